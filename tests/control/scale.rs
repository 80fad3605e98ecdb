//! Many jobs at once: every limit that there is holds at every change, also while one keeper takes over from another.

use std::time::Instant;

use futures::{StreamExt, stream};
use jiff::{RoundMode, Timestamp, ToSpan, Unit, ZonedRound, tz::TimeZone};
use kube::api::{DeleteParams, PostParams};
use serde_json::{Value, json};

use crate::account;
use crate::judge::{Declared, Judge};
use crate::keeper::Keeper;
use crate::kwok::Kwok;
use crate::observer::{Judging, Observer};
use crate::world::{AT_ONCE, World};

const JOBS: usize = 2000;
const OPERATIONS: usize = 50;
/// All that the judge knows.
const KINDS_OF_LIMITS: usize = 13;

/// A kind of operation: what it declares, how many jobs it has, and what job number `n` says beside its operation.
struct Kind {
    spec: Value,
    jobs: usize,
    job: fn(usize) -> Value,
}

/// There are five operations of each.
fn kinds() -> [Kind; 10] {
    let kind = |jobs, spec, job: fn(usize) -> Value| Kind { spec, jobs, job };
    let plain: fn(usize) -> Value = |_| json!({});
    [
        kind(12, json!({"maxConcurrentRuns": 1}), plain),
        kind(24, json!({"maxConcurrentRuns": 2}), plain),
        kind(36, json!({"maxConcurrentRuns": 3}), plain),
        kind(36, json!({"maxConcurrentRuns": 6}), |_| json!({"maxConcurrentRuns": 2})),
        kind(40, json!({"locks": [{"name": "lake", "permits": 2}]}), plain),
        kind(40, json!({"locks": [{"name": "disk"}]}), plain),
        kind(30, json!({}), |_| json!({"executors": {"min": 4, "max": 4}})),
        kind(50, json!({}), |_| json!({"executors": {"min": 1, "max": 3}})),
        kind(20, json!({"maxConcurrentRuns": 9}), |_| json!({"clusterSelector": {"matchLabels": {"tier": "night"}}})),
        kind(112, json!({}), |n| if n % 2 == 0 { json!({}) } else { json!({"maxConcurrentRuns": 9}) }),
    ]
}

fn priority(kind: usize, n: usize) -> &'static str {
    match n % 10 {
        _ if kind == 8 => "Low",
        0 => "Critical",
        1 | 2 => "High",
        3 | 4 => "Low",
        _ => "Normal",
    }
}

/// Namespaces with 50 operations and 2,000 jobs, and what the five clusters are to be.
struct Plan {
    spaces: Vec<World>,
    /// Operation, spec.
    operations: Vec<(usize, String, Value)>,
    /// Namespace, name, operation, spec.
    jobs: Vec<(usize, String, String, Value)>,
    clusters: Vec<Value>,
    locks: Value,
}

impl Plan {
    async fn draw(world: &World) -> Self {
        let mut spaces = Vec::new();
        for _ in 0..3 {
            spaces.push(world.tenant(&world.namespace).await);
        }
        let (mut operations, mut jobs) = (Vec::new(), Vec::new());
        for number in 0..OPERATIONS {
            let (space, of) = (number % spaces.len(), number % 10);
            let (name, kind) = (format!("operation-{number}"), &kinds()[of]);
            operations.push((space, name.clone(), kind.spec.clone()));
            for n in 0..kind.jobs {
                let mut spec = (kind.job)(n);
                spec["priority"] = json!(priority(of, n));
                jobs.push((space, format!("job-{number}-{n}"), name.clone(), spec));
            }
        }
        // They come as people's do: those of no operation together.
        jobs.sort_by_key(|(_, name, ..)| name.bytes().rev().collect::<Vec<_>>());
        let opens = next_minute(Timestamp::now() + 40.seconds());
        let clusters = clusters(world, &spaces, opens);
        Self { spaces, operations, jobs, clusters, locks: json!({"lake": 24}) }
    }

    fn declared(&self) -> Declared {
        let key = |space: &usize, name: &str| format!("{}/{name}", self.spaces[*space].namespace);
        let job = |spec: &Value, operation: &str| {
            let mut spec = spec.clone();
            spec["operation"] = json!(operation);
            spec
        };
        let clusters =
            self.clusters.iter().map(|it| (it["metadata"]["name"].as_str().unwrap_or_default().to_owned(), it.clone()));
        let operations = self.operations.iter().map(|(space, name, spec)| (key(space, name), spec.clone()));
        let jobs = self.jobs.iter().map(|(space, name, of, spec)| (key(space, name), job(spec, of)));
        let locks = self.locks.as_object().into_iter().flatten();
        Declared {
            clusters: clusters.collect(),
            operations: operations.collect(),
            jobs: jobs.collect(),
            locks: locks.filter_map(|(lock, permits)| Some((lock.clone(), permits.as_i64()?))).collect(),
        }
    }

    async fn hand_in(&self, jobs: &[(usize, String, String, Value)]) {
        let each = |(space, name, operation, spec): &(usize, String, String, Value)| {
            let (space, name, operation, spec) = (&self.spaces[*space], name.clone(), operation.clone(), spec.clone());
            async move { _ = space.job(&name, &operation, spec).await }
        };
        stream::iter(jobs).map(each).buffer_unordered(AT_ONCE).collect::<()>().await;
    }

    /// Two of them: the second stands by.
    fn keeper(&self, world: &World) -> Keeper {
        Keeper::start_with(world, account::kubeconfig(), |settings| {
            settings["locks"] = self.locks.clone();
            settings["status"] = json!({"delaySeconds": 2, "detailSeconds": 30});
            settings["log"]["level"] = json!("info");
            // The API server is busier than in other tests.
            settings["leaderElection"]["leaseSeconds"] = json!(8);
            settings["leaderElection"]["renewDeadlineSeconds"] = json!(6);
            // Nobody leaves the line before the spark-operator for want of patience.
            settings["runs"]["operatorAbsentSeconds"] = json!(600);
        })
    }
}

fn next_minute(after: Timestamp) -> Timestamp {
    let round = ZonedRound::new().smallest(Unit::Minute).mode(RoundMode::Ceil);
    after.to_zoned(TimeZone::UTC).round(round).expect("a minute").timestamp()
}

fn clusters(world: &World, spaces: &[World], opens: Timestamp) -> Vec<Value> {
    let clock = |at: Timestamp| at.to_zoned(TimeZone::UTC).strftime("%H:%M").to_string();
    let all: Vec<&str> = spaces.iter().map(|space| &*space.namespace).collect();
    let cluster = |name: &str, admits: &[&str], mut spec: Value| {
        let name = format!("{}-{name}", world.cluster);
        spec["namespaceSelector"] =
            json!({"matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "In", "values": admits}]});
        spec["template"] = json!({"sparkVersion": "4.0.1", "image": name, "serviceAccount": "spark"});
        let tier = if spec["windows"].is_null() { "day" } else { "night" };
        json!({"apiVersion": "slowlane.dev/v1alpha1", "kind": "ComputeCluster",
            "metadata": {"name": name, "labels": {"tier": tier}}, "spec": spec})
    };
    let unit = |milli_cores: u32, mebibytes: u32| json!({"cores": format!("{milli_cores}m"), "memory": format!("{mebibytes}Mi")});
    let window = json!({"name": "night", "from": clock(opens), "to": clock(opens + 120.minutes())});
    let lake = |number: usize| format!("{}/operation-{number}", spaces[number % spaces.len()].namespace);
    let some: Vec<String> = (0..OPERATIONS)
        .filter_map(|number| match number % 10 {
            4 => Some(lake(number)),
            5 | 9 => Some(format!("operation-{number}")),
            _ => None,
        })
        .collect();
    vec![
        cluster(
            "jobs",
            &all,
            json!({"limits": {"maxConcurrentJobs": 20}, "executors": {"max": 36},
            "executor": unit(2000, 2048)}),
        ),
        cluster(
            "cores",
            &all,
            json!({"limits": {"locks": {"disk": 6}}, "executors": {"max": 32},
            "executor": unit(1000, 2048), "ordering": {"strategy": "Backfill"}}),
        ),
        cluster(
            "memory",
            &all[..2],
            json!({"executors": {"max": 24}, "executor": unit(4000, 1024),
            "ordering": {"strategy": "StrictFifo"}}),
        ),
        cluster(
            "shares",
            &all,
            json!({"limits": {"perNamespace": {"maxConcurrentJobs": 6, "maxExecutors": 7},
            "locks": {"disk": 5, "lake": 8}}, "accept": [{"operations": some}]}),
        ),
        cluster(
            "window",
            &all,
            json!({"executors": {"max": 20}, "executor": unit(2000, 2048), "windows": [window],
            "accept": [{"during": ["night"], "priorities": ["Low"]}, {"priorities": ["High", "Critical"]}],
            "occupancy": {"admitBelowPercent": 70}, "submission": {"maxPending": 4}}),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_jobs_of_fifty_operations_keep_every_limit_of_five_clusters_through_a_take_over() {
    let world = World::new().await;
    world.clusters().delete(&world.cluster, &DeleteParams::default()).await.unwrap();
    let plan = Plan::draw(&world).await;
    assert_eq!(plan.jobs.len(), JOBS);
    let mut observer = Observer::start(&world.client, Judge::new(plan.declared())).await;
    for cluster in &plan.clusters {
        world
            .clusters()
            .create(&PostParams::default(), &serde_json::from_value(cluster.clone()).unwrap())
            .await
            .unwrap();
    }
    for (space, name, spec) in &plan.operations {
        plan.spaces[*space].operation(name, spec.clone()).await;
    }
    let began = Instant::now();
    let _kwok = Kwok::operator();
    let mut first = plan.keeper(&world);
    first.ready().await;
    let second = plan.keeper(&world);
    plan.hand_in(&plan.jobs).await;
    println!("all jobs are handed in after {:.1?}, {} have ended", began.elapsed(), observer.judge().ended());
    observer.until("half of the jobs end", |judge| judge.ended() >= JOBS / 2).await;
    first.kill();
    let (killed, before) = (Instant::now(), observer.judge().ended());
    println!("the keeper is killed after {:.1?}", began.elapsed());
    observer.until("somebody takes over", |judge| judge.ended() > before).await;
    println!("the next job ended {:.1?} later", killed.elapsed());
    observer.until("all jobs end", |judge| judge.ended() == JOBS).await;
    let mut judge = observer.end();
    println!("after {:.1?}: {}", began.elapsed(), judge.summary());
    judge.all_have_ended_once();
    judge.has_found_nothing();
    // Each job once, then twenty a second; each keeper may begin with a thousand.
    let most = JOBS + 2 * 1000 + 20 * usize::try_from(began.elapsed().as_secs()).unwrap();
    assert!(judge.told() <= most, "{} statuses of waiting jobs, {most} at most", judge.told());
    assert_eq!(judge.kinds().len(), KINDS_OF_LIMITS, "each was judged");
    drop(second);
    world.remove().await;
}
