//! Things done behind the keeper's back: its objects deleted, emptied, restored or forged, itself frozen. The limit
//! holds, no job is lost or run twice, and others go on.

use std::process::Command;
use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use slowlane::api::v1alpha1::{JobState, ManagedJob, RunLedger};
use slowlane::model::child_name;

use crate::install::install;
use crate::keeper::Keeper;
use crate::operator::{Operator, Play, state};
use crate::proxy::Proxy;
use crate::scene::{all_is_well, begin_through, ledger_names, one_runs_and_one_waits};
use crate::spark::spark_definition;
use crate::world::{World, eventually, message_of, reason_of, state_of};

// ---- the ledger -----------------------------------------------------------------------------------------------------

#[tokio::test]
async fn a_ledger_that_is_deleted_comes_back_with_the_runs_that_are_alive() {
    let (world, keeper, operator) = one_runs_and_one_waits().await;
    world.api::<RunLedger>().delete("slowlane", &DeleteParams::default()).await.unwrap();
    world.job("third", "other", json!({})).await;
    let began = Instant::now();
    world.job_in("third", JobState::Succeeded).await;
    println!("a deleted ledger: the next job succeeded after {:?}, quarantine 3 s", began.elapsed());
    ledger_names(&world, 1).await;
    assert_eq!(operator.submissions("second"), 0);
    all_is_well(&world, &operator).await;
    drop(keeper);
    world.remove().await;
}

#[tokio::test]
async fn a_ledger_that_is_emptied_gets_its_holders_back() {
    let (world, keeper, operator) = one_runs_and_one_waits().await;
    let mut ledger = world.ledger().await;
    ledger.spec.limits.clear();
    ledger.spec.clusters.clear();
    world.api::<RunLedger>().replace("slowlane", &PostParams::default(), &ledger).await.unwrap();
    world.job("third", "other", json!({})).await;
    world.job_in("third", JobState::Succeeded).await;
    ledger_names(&world, 1).await;
    assert_eq!(operator.submissions("second"), 0);
    all_is_well(&world, &operator).await;
    drop(keeper);
    world.remove().await;
}

#[tokio::test]
async fn an_older_copy_of_the_ledger_does_not_bring_back_or_take_away_a_run() {
    let world = World::new().await;
    world.operation("report", json!({"maxConcurrentRuns": 1})).await;
    world.operation("other", json!({})).await;
    let (keeper, operator) = (Keeper::start(&world), Operator::start(&world));
    world.job("early", "other", json!({})).await;
    world.job_in("early", JobState::Succeeded).await;
    let older = world.ledger().await;
    operator.play("first", Play::Run);
    world.job("first", "report", json!({})).await;
    world.job_in("first", JobState::Running).await;
    world.job("second", "report", json!({})).await;
    let ledgers: Api<RunLedger> = world.api();
    // Written over what the keeper may be writing at the same time.
    eventually(|| async {
        let mut ledger = ledgers.get("slowlane").await?;
        ledger.spec = older.spec.clone();
        ledgers.replace("slowlane", &PostParams::default(), &ledger).await
    })
    .await;
    world.job("third", "other", json!({})).await;
    world.job_in("third", JobState::Succeeded).await;
    assert_eq!(operator.submissions("second"), 0);
    all_is_well(&world, &operator).await;
    drop(keeper);
    world.remove().await;
}

// ---- who leads ------------------------------------------------------------------------------------------------------

#[tokio::test]
async fn a_leader_that_is_frozen_past_its_lease_writes_nothing_when_it_wakes() {
    let proxy = Proxy::start().await;
    let (world, mut leader, operator) = begin_through(&proxy).await;
    let standby = Keeper::start(&world);
    standby.ready().await;
    leader.signal("STOP");
    operator.play("first", Play::Succeed(String::new()));
    let frozen = Instant::now();
    world.job_in("second", JobState::Succeeded).await;
    println!("a frozen leader: the standby brought both jobs to their ends after {:?}, lease 4 s", frozen.elapsed());
    world.job("third", "report", json!({})).await;
    // What came from it before it was frozen has long been answered.
    let written = proxy.writes();
    leader.signal("CONT");
    assert_eq!(leader.ended().await.code(), Some(1));
    assert_eq!(proxy.writes(), written, "{}", leader.log());
    world.job_in("third", JobState::Succeeded).await;
    all_is_well(&world, &operator).await;
    assert_eq!(operator.peak(), 1);
    drop((leader, standby));
    world.remove().await;
}

#[tokio::test]
async fn both_replicas_can_be_killed_in_mid_run() {
    let (world, mut leader, operator) = one_runs_and_one_waits().await;
    let mut standby = Keeper::start(&world);
    standby.ready().await;
    leader.kill();
    standby.kill();
    world.job("third", "other", json!({})).await;
    let began = Instant::now();
    let (one, two) = (Keeper::start(&world), Keeper::start(&world));
    world.job_in("third", JobState::Succeeded).await;
    println!("both replicas killed: the next job succeeded {:?} after they were back, lease 4 s", began.elapsed());
    all_is_well(&world, &operator).await;
    drop((one, two));
    world.remove().await;
}

#[tokio::test]
async fn a_lease_that_is_deleted_ends_nobodys_job() {
    let (world, keeper, operator) = one_runs_and_one_waits().await;
    world.api::<Lease>().delete("slowlane", &DeleteParams::default()).await.unwrap();
    let held = eventually(|| async {
        let found = world.api::<Lease>().get_opt("slowlane").await.map_err(|error| error.to_string())?;
        found.and_then(|lease| lease.spec?.holder_identity).ok_or_else(|| "no lease".to_owned())
    })
    .await;
    assert!(held.starts_with("keeper_"), "{held}");
    all_is_well(&world, &operator).await;
    assert_eq!(operator.peak(), 1);
    drop(keeper);
    world.remove().await;
}

#[tokio::test]
async fn a_keeper_that_is_removed_leaves_nothing_that_waits_for_it_and_can_come_back() {
    let (world, mut keeper, operator) = one_runs_and_one_waits().await;
    world.job("third", "other", json!({})).await;
    world.job_in("third", JobState::Succeeded).await;
    let (drained, words) = keeper.drain();
    assert!(drained, "{words}");
    assert!(words.contains("drained: 2 SparkApplications let go, 1 of them go on by themselves"), "{words}");
    assert_eq!(keeper.ended().await.code(), Some(1), "the leader ended");
    assert!(world.all_applications().await.iter().all(|application| application.finalizers().is_empty()));
    world.jobs().delete("third", &DeleteParams::default()).await.unwrap();
    eventually(|| async {
        let left = world.all_applications().await.len();
        if left == 1 { Ok(()) } else { Err(format!("{left} applications")) }
    })
    .await;
    // The lease is held for a minute against keepers that go on trying.
    world.api::<Lease>().delete("slowlane", &DeleteParams::default()).await.unwrap();
    let next = Keeper::start(&world);
    all_is_well(&world, &operator).await;
    drop((keeper, next));
    world.remove().await;
}

// ---- applications, their kind, their namespace ----------------------------------------------------------------------

#[tokio::test]
async fn an_application_that_somebody_else_made_under_our_name_fails_the_job_and_is_left_alone() {
    let world = World::new().await;
    world.operation("report", json!({"maxConcurrentRuns": 0})).await;
    let (keeper, operator) = (Keeper::start(&world), Operator::start(&world));
    let job = world.job("first", "report", json!({})).await;
    let name = child_name("first", job.uid().unwrap(), 1);
    let mut foreign = DynamicObject::new(&name, &slowlane::spark::api_resource());
    foreign.data = json!({"spec": {"type": "Scala", "mode": "cluster", "sparkVersion": "4.0.1", "mainClass": "theirs",
        "mainApplicationFile": "local:///theirs", "driver": {}, "executor": {}}});
    let made = world.applications().create(&PostParams::default(), &foreign).await.unwrap();
    world.operation("report", json!({"maxConcurrentRuns": 1})).await;
    world.job("second", "report", json!({})).await;
    let failed = world.job_in("first", JobState::Failed).await;
    assert_eq!(reason_of(&failed), "SubmissionFailed");
    assert!(message_of(&failed).contains("was made by somebody else"), "{}", message_of(&failed));
    world.job_in("second", JobState::Succeeded).await;
    let left = world.applications().get(&name).await.unwrap();
    assert_eq!((left.uid(), left.metadata.deletion_timestamp), (made.uid(), None));
    assert_eq!(operator.submissions("first"), 0);
    drop(keeper);
    world.remove().await;
}

#[tokio::test]
async fn an_application_that_somebody_edits_is_ended_and_not_started_again() {
    let (world, keeper, operator) = one_runs_and_one_waits().await;
    edit_application(&world, "first", json!({"driver": {"cores": 2}})).await;
    let failed = world.job_in("first", JobState::Failed).await;
    assert_eq!(reason_of(&failed), "ApplicationEdited", "{}", message_of(&failed));
    let done = world.job_in("second", JobState::Succeeded).await;
    // What has ended is not started again by an edit, either.
    edit_application(&world, "second", json!({"driver": {"cores": 2}})).await;
    let name = child_name("second", done.uid().unwrap(), 1);
    eventually(|| async {
        let standing = world.applications().get(&name).await.map_err(|error| error.to_string())?;
        if standing.metadata.deletion_timestamp.is_some() { Ok(()) } else { Err(state(&standing).to_owned()) }
    })
    .await;
    assert_eq!((operator.submissions("first"), operator.submissions("second"), operator.peak()), (1, 1, 1));
    drop(keeper);
    world.remove().await;
}

#[tokio::test]
async fn an_application_that_somebody_suspends_is_ended_with_a_word_about_it() {
    let (world, keeper, operator) = one_runs_and_one_waits().await;
    edit_application(&world, "first", json!({"suspend": true})).await;
    let failed = world.job_in("first", JobState::Failed).await;
    assert_eq!(reason_of(&failed), "ApplicationEdited", "{}", message_of(&failed));
    world.job_in("second", JobState::Succeeded).await;
    assert_eq!((operator.submissions("first"), operator.peak()), (1, 1));
    drop(keeper);
    world.remove().await;
}

#[tokio::test]
async fn an_application_whose_finalizer_is_taken_off_runs_to_its_end() {
    let (world, keeper, operator) = one_runs_and_one_waits().await;
    let bare = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    let name = world.all_applications().await[0].name_any();
    world.applications().patch(&name, &PatchParams::default(), &bare).await.unwrap();
    all_is_well(&world, &operator).await;
    assert_eq!(operator.peak(), 1);
    drop(keeper);
    world.remove().await;
}

#[tokio::test]
async fn a_driver_that_somebody_deletes_is_lost_and_executors_are_not_missed() {
    let (world, keeper, operator) = one_runs_and_one_waits().await;
    operator.play("third", Play::Run);
    world.job("third", "other", json!({})).await;
    world.job_in("third", JobState::Running).await;
    delete_pods(&world, "third", "-executor").await;
    delete_pods(&world, "first", "-driver").await;
    let lost = world.job_in("first", JobState::Failed).await;
    assert_eq!((reason_of(&lost), message_of(&lost)), ("DriverLost", DRIVER_GONE));
    world.job_in("second", JobState::Succeeded).await;
    operator.play("third", Play::Succeed(String::new()));
    world.job_in("third", JobState::Succeeded).await;
    assert_eq!((operator.submissions("first"), operator.submissions("third"), operator.peak()), (1, 1, 2));
    drop(keeper);
    world.remove().await;
}

const DRIVER_GONE: &str = "the driver's pod was gone before its end could be read";

async fn edit_application(world: &World, job: &str, spec: Value) {
    let uid = world.jobs().get(job).await.unwrap().uid().unwrap();
    let patch = Patch::Merge(json!({"spec": spec}));
    world.applications().patch(&child_name(job, &uid, 1), &PatchParams::default(), &patch).await.unwrap();
}

async fn delete_pods(world: &World, job: &str, which: &str) {
    let names: Vec<String> = world.pods().await.iter().map(ResourceExt::name_any).collect();
    let pods: Vec<_> = names.iter().filter(|pod| pod.starts_with(job) && pod.ends_with(which)).collect();
    assert_eq!(pods.len(), 1, "{names:?}");
    world.api::<Pod>().delete(pods[0], &DeleteParams::default()).await.unwrap();
}

#[tokio::test]
async fn the_kind_of_applications_can_go_and_come_back_while_runs_are_alive() {
    let (world, keeper, operator) = one_runs_and_one_waits().await;
    world.job("third", "other", json!({})).await;
    world.job_in("third", JobState::Succeeded).await;
    let definitions: Api<CustomResourceDefinition> = Api::all(world.client.clone());
    let spark = spark_definition();
    definitions.delete(&spark.name_any(), &DeleteParams::default()).await.unwrap();
    // Its objects go first; ours carry a finalizer, which is the keeper's to take off.
    eventually(|| async {
        match definitions.get_opt(&spark.name_any()).await {
            Ok(None) => Ok(()),
            other => Err(format!("{:?}", other.map(|found| found.and_then(|it| it.status)))),
        }
    })
    .await;
    install(world.client.clone(), vec![spark]).await;
    let first = world.job_that("first", |job| state_of(job).is_some_and(|state| state == JobState::Failed)).await;
    assert_eq!(reason_of(&first), "ApplicationDeleted", "{}", message_of(&first));
    world.job_in("second", JobState::Succeeded).await;
    assert_eq!((operator.submissions("first"), operator.submissions("second")), (1, 1));
    let before = keeper.metric("slowlane_commands_total", "").await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let after = keeper.metric("slowlane_commands_total", "").await;
    assert!(after - before < 10.0, "{} commands in five quiet seconds", after - before);
    drop(keeper);
    world.remove().await;
}

#[tokio::test]
async fn a_namespace_that_is_deleted_goes_with_its_jobs_whatever_their_state() {
    let (world, keeper, operator) = one_runs_and_one_waits().await;
    world.job("third", "other", json!({})).await;
    world.job_in("third", JobState::Succeeded).await;
    let namespaces: Api<Namespace> = Api::all(world.client.clone());
    let other = tenant_with_jobs(&world).await;
    let jobs: Api<ManagedJob> = Api::namespaced(world.client.clone(), &other);
    namespaces.delete(&other, &DeleteParams::default()).await.unwrap();
    let began = Instant::now();
    eventually(|| async {
        match namespaces.get_opt(&other).await {
            Ok(None) => Ok(()),
            found => {
                Err(format!("{found:?}, jobs {:?}", jobs.list(&ListParams::default()).await.map(|it| it.items.len())))
            }
        }
    })
    .await;
    println!("a deleted namespace with a run, a waiting job and a tombstone went after {:?}", began.elapsed());
    all_is_well(&world, &operator).await;
    drop(keeper);
    world.remove().await;
}

/// Another namespace that the cluster admits, with a job that runs, one that waits, and one that ended.
async fn tenant_with_jobs(world: &World) -> String {
    let tenant = world.tenant(&world.namespace).await;
    tenant.operation("report", json!({"maxConcurrentRuns": 1})).await;
    let operator = Operator::start(&tenant);
    tenant.job("done", "report", json!({})).await;
    tenant.job_in("done", JobState::Succeeded).await;
    operator.play("runs", Play::Run);
    tenant.job("runs", "report", json!({})).await;
    tenant.job_in("runs", JobState::Running).await;
    tenant.job("waits", "report", json!({})).await;
    tenant.job_in("waits", JobState::Queued).await;
    tenant.namespace
}

impl Keeper {
    fn signal(&self, name: &str) {
        let told = Command::new("kill").args([format!("-{name}"), self.id().to_string()]).status();
        assert!(told.expect("kill is installed").success());
    }
}
