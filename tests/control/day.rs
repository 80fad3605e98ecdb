//! A day of a pool, an hour in four seconds, on nodes of a real scheduler: it grows with the morning and goes to its least at night,
//! what is warm is displaced by what is real, and whatever people do meanwhile `max` holds and no busy executor is lost.

mod judge;
mod spark;

use std::time::Duration;

use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::account;
use crate::account::apply;
use crate::day::judge::{Declared, Judge};
use crate::day::spark::{Released, Spark};
use crate::keeper::Keeper;
use crate::kwok::Kwok;
use crate::observer::{Judging, Observer};
use crate::pools::{edit_before, pool, priority_class};
use crate::world::{World, eventually, unique};

const HOUR: Duration = Duration::from_secs(4);
const STABILIZATION: Duration = Duration::from_secs(3);
/// Of four cores each: all of them hold as many executors as the pool may have.
const NODES: u32 = 5;
const MIN: u32 = 2;
const MAX: u32 = 20;
/// What somebody lets it have in the morning.
const LOWERED: u32 = 8;

/// Jobs that come in each hour. A job takes 3.5 units for some six seconds: more than four an hour are more than the pool bears.
const COMING: [u32; 24] = [0, 0, 0, 0, 0, 0, 1, 1, 2, 4, 5, 5, 3, 4, 6, 6, 4, 2, 1, 1, 1, 0, 0, 0];

fn most_executors(number: u32) -> u32 {
    1 + number * 7 % 4
}

/// 3 to 7 s; jobs are named by their numbers.
fn lasts(job: &str) -> Duration {
    let number: u64 = job.rsplit('-').next().and_then(|digits| digits.parse().ok()).expect("a job's number");
    Duration::from_millis(3000 + number * 1700 % 4001)
}

/// Midnight was when it was made.
struct Day(Instant);

impl Day {
    async fn hour(&self, hour: f64) {
        tokio::time::sleep_until(self.0 + HOUR.mul_f64(hour)).await;
    }
}

async fn nodes(world: &World) {
    let nodes: Api<Node> = Api::all(world.client.clone());
    for _ in 0..NODES {
        let labels = json!({"test": world.namespace});
        let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": unique("node"), "labels": labels}});
        apply(&nodes, &node).await;
    }
    let ours = ListParams::default().labels(&format!("test={}", world.namespace));
    let is_ready = |node: &Node| {
        let (spec, status) = (node.spec.clone().unwrap_or_default(), node.status.clone().unwrap_or_default());
        status.allocatable.is_some() && spec.taints.unwrap_or_default().is_empty()
    };
    eventually(|| async {
        let nodes = nodes.list(&ours).await.map_err(|error| error.to_string())?;
        if nodes.iter().all(is_ready) { Ok(()) } else { Err(format!("{:?}", nodes.items)) }
    })
    .await;
}

fn the_pool(world: &World) -> Value {
    let mut pool = pool(world, MIN, MAX, 3);
    pool["occupancy"] = json!({"stabilizationSeconds": STABILIZATION.as_secs(), "idleSeconds": 5});
    pool["template"]["driver"] = pool["template"]["executor"].clone();
    pool
}

/// Two of them: the second stands by.
fn keeper(world: &World) -> Keeper {
    Keeper::start_with(world, account::kubeconfig(), |settings| {
        settings["admission"]["gatherSeconds"] = json!(1);
        // A busy machine is no reason to take over.
        settings["leaderElection"]["leaseSeconds"] = json!(6);
        settings["leaderElection"]["renewDeadlineSeconds"] = json!(5);
    })
}

async fn scale(world: &World, max: u32) {
    let scale = Patch::Merge(json!({"spec": {"replicas": max}}));
    world.clusters().patch_scale(&world.cluster, &PatchParams::default(), &scale).await.expect("it can be scaled");
}

fn name_of_visitor(number: u32) -> String {
    format!("visitor-{number}")
}

/// Somebody else's pods, one as large as a node on each of them.
async fn visitors_come(world: &World) {
    let pods = world.api::<Pod>();
    for number in 0..NODES {
        let pod = json!({"metadata": {"name": name_of_visitor(number)}, "spec": {
            "automountServiceAccountToken": false, "nodeSelector": {"test": world.namespace},
            "containers": [{"name": "c", "image": "x", "resources": {"requests": {"cpu": "4", "memory": "1Gi"}}}]}});
        pods.create(&PostParams::default(), &serde_json::from_value(pod).expect("a pod")).await.expect("it is taken");
    }
    for number in 0..NODES {
        eventually(|| async {
            let pod = pods.get(&name_of_visitor(number)).await.map_err(|error| error.to_string())?;
            let is_placed = pod.spec.and_then(|spec| spec.node_name).is_some();
            if is_placed { Ok(()) } else { Err(format!("{:?}", pod.status)) }
        })
        .await;
    }
}

async fn visitors_leave(world: &World) {
    for number in 0..NODES {
        let deleted = world.api::<Pod>().delete(&name_of_visitor(number), &DeleteParams::default()).await;
        deleted.expect("it was there");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn through_a_day_of_load_max_holds_and_no_busy_executor_is_lost() {
    let world = World::new().await;
    priority_class(&world).await;
    let _kwok = Kwok::kubelets(&world);
    nodes(&world).await;
    edit_before(&world, the_pool(&world)).await;
    world.operation("report", json!({})).await;
    let released = Released::default();
    let declared =
        Declared { namespace: world.namespace.clone(), cluster: world.cluster.clone(), stabilization: STABILIZATION };
    let mut observer = Observer::start(&world.client, Judge::new(declared, released.clone())).await;
    let _spark = Spark::start(&world, released, lasts);
    let mut first = keeper(&world);
    first.ready().await;
    let second = keeper(&world);

    let day = Day(Instant::now());
    let (min, max, lowered) = (u64::from(MIN), u64::from(MAX), u64::from(LOWERED));
    let at_rest = |judge: &Judge| judge.desired() == Some(min) && judge.held() == min;
    let mut jobs = 0;
    for (hour, coming) in (0..).zip(COMING) {
        day.hour(f64::from(hour)).await;
        match hour {
            2 => observer.until("the pool rests at night", at_rest).await,
            3 => {
                visitors_come(&world).await;
                observer.until("they displace what is warm", |judge| judge.displaced() >= MIN as usize).await;
            }
            5 => visitors_leave(&world).await,
            10 => {
                observer.until("more is in use than there may be soon", |judge| judge.granted() > lowered).await;
                scale(&world, LOWERED).await;
            }
            12 => {
                observer.until("it has shrunk", |judge| judge.desired() == Some(lowered)).await;
                scale(&world, MAX).await;
            }
            15 => {
                observer.until("the pool is full", |judge| judge.desired() == Some(max)).await;
                first.kill();
                observer.judge().keeper_died(std::time::Instant::now());
            }
            _ => {}
        }
        for number in 0..coming {
            day.hour(f64::from(hour) + f64::from(number) / f64::from(coming)).await;
            let executors = json!({"executors": {"min": 1, "max": most_executors(jobs)}});
            world.job(&format!("job-{jobs}"), "report", executors).await;
            jobs += 1;
        }
    }
    observer.until("every job succeeds", |judge| judge.succeeded() == jobs as usize).await;
    day.hour(24.0).await;
    observer.until("the pool rests again", at_rest).await;
    let judge = observer.end();
    println!("{}", judge.summary());
    judge.has_found_nothing();
    assert_eq!(judge.extremes(), Some((min, max)));
    for job in world.jobs().list(&ListParams::default()).await.unwrap().items {
        assert_eq!(job.status.map(|status| status.runs.len()), Some(1), "it ran once");
    }
    drop((first, second));
    world.remove().await;
}
