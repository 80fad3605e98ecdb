//! What breaks around the keeper, and the keeper itself at any moment. Each test says how long it takes until all is well.

use std::cell::Cell;
use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use serde_json::json;
use slowlane::api::v1alpha1::{JobState, JobUsage};

use crate::bill::{is_booked, sum, usage_of};
use crate::keeper::Keeper;
use crate::operator::{Operator, Play, ended};
use crate::proxy::{Moment, Proxy, Weather};
use crate::scene::{BOUND, all_is_well_since, begin_through, ledger_names, one_runs_and_one_waits};
use crate::world::{World, eventually, reason_of, release_names};

// ---- the keeper dies ------------------------------------------------------------------------------------------------

/// A job that ends well and one that is cancelled while it runs: every kind of write that there is.
struct TwoJobs<'a> {
    world: &'a World,
    operator: &'a Operator,
    done: String,
    cancelled: String,
    /// What all jobs took so far.
    bill: &'a Cell<JobUsage>,
}

impl TwoJobs<'_> {
    async fn are_handed_in(&self) {
        self.operator.play(&self.cancelled, Play::Run);
        for job in [&self.done, &self.cancelled] {
            self.world.job(job, "report", json!({})).await;
        }
    }

    async fn end(&self) {
        let done = self.world.job_in(&self.done, JobState::Succeeded);
        let cancelled = async {
            self.world.job_in(&self.cancelled, JobState::Running).await;
            self.world.set(&self.cancelled, "test", json!({"cancel": true})).await;
            self.world.job_in(&self.cancelled, JobState::Cancelled).await
        };
        for job in <[_; 2]>::from(tokio::join!(done, cancelled)) {
            self.bill.set(sum(self.bill.get(), usage_of(&job)));
            assert_eq!(job.status.unwrap().runs.len(), 1);
        }
        ledger_names(self.world, 0).await;
        assert_eq!([&self.done, &self.cancelled].map(|job| self.operator.submissions(job)), [1, 1]);
    }

    /// Nothing is left of them that every list would carry along.
    async fn are_forgotten(&self) {
        for job in [&self.done, &self.cancelled] {
            self.world.jobs().delete(job, &DeleteParams::default()).await.unwrap();
        }
        release_names(&self.world.client, &self.world.applications()).await;
    }
}

/// Gives a dead leader's lease back, as it would have done itself: how it is taken over otherwise has tests of its own.
async fn give_lease_back(world: &World) {
    let leases: Api<Lease> = world.api();
    let nobody = Patch::Merge(json!({"spec": {"holderIdentity": ""}}));
    leases.patch("slowlane", &PatchParams::default(), &nobody).await.unwrap();
}

/// Where a keeper dies.
#[derive(Debug, Clone, Copy)]
struct Death {
    /// At its first writes as a leader, not in the middle of its work.
    taking_over: bool,
    nth_write: usize,
    moment: Moment,
}

/// A keeper dies while it brings two jobs to their ends: how long the next one takes to do that; nothing if it has done all
/// its writes before.
async fn dies(death: Death, jobs: &TwoJobs<'_>, proxy: &Proxy, keeper: &mut Keeper) -> Option<Duration> {
    let kubeconfig = proxy.kubeconfig();
    let start = || Keeper::start_through(jobs.world, kubeconfig.to_str().unwrap());
    if death.taking_over {
        keeper.terminate().await;
    }
    let sprung = proxy.set_trap(death.nth_write, death.moment);
    if death.taking_over {
        *keeper = start();
    }
    jobs.are_handed_in().await;
    let ends = jobs.end();
    tokio::pin!(ends);
    let took = tokio::select! {
        () = &mut ends => None,
        _ = sprung => {
            keeper.kill();
            proxy.clear_trap();
            give_lease_back(jobs.world).await;
            let killed = Instant::now();
            *keeper = start();
            ends.await;
            Some(killed.elapsed())
        }
    };
    proxy.clear_trap();
    took
}

#[tokio::test]
async fn a_keeper_that_is_killed_at_any_of_its_writes_loses_nothing_and_starts_nothing_twice() {
    let world = World::new().await;
    world.operation("report", json!({"maxConcurrentRuns": 1})).await;
    let (proxy, operator) = (Proxy::start().await, Operator::start(&world));
    let mut keeper = Keeper::start_through(&world, proxy.kubeconfig().to_str().unwrap());
    keeper.ready().await;
    let (mut recoveries, bill) = (Vec::new(), Cell::default());
    for (taking_over, most) in [(true, 2), (false, usize::MAX)] {
        for nth_write in 1..=most {
            let before = recoveries.len();
            for moment in [Moment::Before, Moment::After] {
                let death = Death { taking_over, nth_write, moment };
                let name = |stem: &str| format!("{stem}-{taking_over}-{nth_write}-{moment:?}").to_lowercase();
                let (world, operator) = (&world, &operator);
                let jobs = TwoJobs { world, operator, done: name("done"), cancelled: name("cancelled"), bill: &bill };
                recoveries.extend(dies(death, &jobs, &proxy, &mut keeper).await);
                jobs.are_forgotten().await;
            }
            if recoveries.len() == before {
                break;
            }
        }
    }
    let (kills, worst) = (recoveries.len(), recoveries.iter().max().copied().unwrap_or_default());
    println!("killed {kills} times, before and after each write: both jobs ended within {worst:.1?} of the restart");
    assert!(kills > 20 && worst < BOUND, "{recoveries:?}");
    assert_eq!(operator.peak(), 1);
    is_booked(&world, "report", bill.get()).await;
    drop(keeper);
    world.remove().await;
}

// ---- the way to the API server --------------------------------------------------------------------------------------

/// Things go on behind the keeper's back for a while.
async fn meanwhile(world: &World, operator: &Operator, job: &str) {
    operator.play("first", Play::Succeed(String::new()));
    world.job(job, "other", json!({})).await;
}

#[tokio::test]
async fn an_api_server_that_refuses_and_then_hangs_for_a_minute_costs_time_only() {
    const HALF: Duration = Duration::from_secs(30);
    let proxy = Proxy::start().await;
    let (world, mut keeper, operator) = begin_through(&proxy).await;
    proxy.weather(Weather::Refusing(429));
    meanwhile(&world, &operator, "third").await;
    tokio::time::sleep(HALF).await;
    proxy.weather(Weather::Hanging);
    tokio::time::sleep(HALF).await;
    proxy.weather(Weather::Fair);
    all_is_well_since(Instant::now(), "429 and time-outs for a minute", &world, &operator).await;
    assert!(!keeper.has_ended(), "it sits that out");
    drop(keeper);
    world.remove().await;
}

#[tokio::test]
async fn a_watch_that_is_cut_again_and_again_is_taken_up_where_it_was() {
    let proxy = Proxy::start().await;
    let (world, keeper, operator) = begin_through(&proxy).await;
    let restarts = keeper.metric("slowlane_watch_restarts_total", "Pod").await;
    proxy.weather(Weather::Cutting);
    meanwhile(&world, &operator, "third").await;
    eventually(|| async {
        let more = keeper.metric("slowlane_watch_restarts_total", "Pod").await - restarts;
        if more > 3.5 { Ok(()) } else { Err(more) }
    })
    .await;
    proxy.weather(Weather::Fair);
    all_is_well_since(Instant::now(), "watches that were cut", &world, &operator).await;
    drop(keeper);
    world.remove().await;
}

#[tokio::test]
async fn a_watch_that_falls_silent_is_noticed() {
    let proxy = Proxy::start().await;
    let (world, keeper, operator) = begin_through(&proxy).await;
    proxy.weather(Weather::Mute);
    meanwhile(&world, &operator, "third").await;
    // Connections that went silent stay so, when all is well otherwise.
    proxy.weather(Weather::Fair);
    all_is_well_since(Instant::now(), "watches that went silent", &world, &operator).await;
    assert!(proxy.silenced() >= 6, "a watch of each kind fell silent: {}", proxy.silenced());
    drop(keeper);
    world.remove().await;
}

// ---- the spark-operator ---------------------------------------------------------------------------------------------

#[tokio::test]
async fn a_spark_operator_that_dies_while_it_submits_and_stays_away_costs_no_run_and_no_limit() {
    let world = World::new().await;
    world.operation("report", json!({"maxConcurrentRuns": 1})).await;
    world.operation("other", json!({})).await;
    let (keeper, operator) = (Keeper::start(&world), Operator::start(&world));
    operator.play("first", Play::DieSubmitting(json!({"resultUri": "s3a://lake/first"}).to_string()));
    world.job("first", "report", json!({})).await;
    eventually(|| async { if operator.is_away() { Ok(()) } else { Err("it is there") } }).await;
    for (job, operation) in [("second", "report"), ("third", "other")] {
        world.job(job, operation, json!({})).await;
    }
    // Its driver runs, whatever the operator says of it.
    world.job_in("first", JobState::Running).await;
    world.job_that("third", |job| reason_of(job) == "SparkOperatorSilent").await;
    assert_eq!((operator.submissions("second"), operator.submissions("third")), (0, 0));
    operator.come_back();
    let back = Instant::now();
    let first = world.job_in("first", JobState::Succeeded).await;
    assert_eq!(first.status.unwrap().result_uri.as_deref(), Some("s3a://lake/first"));
    for job in ["first", "second", "third"] {
        let done = world.job_in(job, JobState::Succeeded).await;
        assert_eq!((operator.submissions(job), done.status.unwrap().runs.len()), (1, 1), "{job}");
    }
    println!("a spark-operator that was away: all was well {:.1?} after it was back", back.elapsed());
    assert!(back.elapsed() < BOUND && operator.peak() <= 2);
    drop(keeper);
    world.remove().await;
}

#[tokio::test]
async fn a_driver_that_ends_while_the_spark_operator_is_away_has_its_end_and_gives_its_slot_back() {
    let (world, keeper, operator) = one_runs_and_one_waits().await;
    let driver = format!("{}-driver", world.all_applications().await[0].name_any());
    operator.leave();
    let message = json!({"resultUri": "s3a://lake/first"}).to_string();
    let done = Patch::Merge(json!({"status": ended("Succeeded", 0, "Completed", &message)}));
    world.api::<Pod>().patch_status(&driver, &PatchParams::default(), &done).await.unwrap();
    let first = world.job_in("first", JobState::Succeeded).await;
    assert_eq!(first.status.unwrap().result_uri.as_deref(), Some("s3a://lake/first"));
    world.job_in("second", JobState::Starting).await;
    operator.come_back();
    world.job_in("second", JobState::Succeeded).await;
    assert_eq!((operator.submissions("first"), operator.submissions("second"), operator.peak()), (1, 1, 1));
    drop(keeper);
    world.remove().await;
}
