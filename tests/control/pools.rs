//! Pools: placeholders that a real scheduler puts on a node, displaces for what is real, and that go when nobody needs them.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Node, Pod, ResourceQuota};
use k8s_openapi::api::scheduling::v1::PriorityClass;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use slowlane::api::convert::placeholders_name;
use slowlane::api::v1alpha1::{ComputeClusterStatus, JobState};
use tokio::task::JoinHandle;

use crate::account::apply;
use crate::keeper::Keeper;
use crate::operator::{Operator, Play};
use crate::places::edit;
use crate::world::{World, eventually, unique};

/// A node of so many cores that runs whatever is put on it.
struct Kubelet {
    nodes: Api<Node>,
    name: String,
    running: JoinHandle<()>,
}

impl Kubelet {
    async fn start(world: &World, cores: u32) -> Self {
        let nodes: Api<Node> = Api::all(world.client.clone());
        let name = unique("node");
        let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": {"test": world.namespace}}});
        apply(&nodes, &node).await;
        let has = json!({"cpu": cores, "memory": "64Gi", "pods": 110});
        let ready = json!({"type": "Ready", "status": "True", "reason": "Test", "message": "", "lastHeartbeatTime": "2100-01-01T00:00:00Z",
            "lastTransitionTime": "2026-01-01T00:00:00Z"});
        let status = json!({"status": {"capacity": has, "allocatable": has, "conditions": [ready]}});
        nodes.patch_status(&name, &PatchParams::default(), &Patch::Merge(status)).await.expect("a node");
        // The taint of a node that is yet to show itself.
        let patch = Patch::Merge(json!({"spec": {"taints": null}}));
        nodes.patch(&name, &PatchParams::default(), &patch).await.expect("a node without taints");
        let (pods, node) = (world.api::<Pod>(), name.clone());
        let running = tokio::spawn(async move {
            loop {
                let here = ListParams::default().fields(&format!("spec.nodeName={node},status.phase=Pending"));
                for pod in pods.list(&here).await.map(|list| list.items).unwrap_or_default() {
                    let status =
                        json!({"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}});
                    let _ = pods.patch_status(&pod.name_any(), &PatchParams::default(), &Patch::Merge(status)).await;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
        Self { nodes, name, running }
    }

    async fn stop(self) {
        self.running.abort();
        let _ = self.nodes.delete(&self.name, &DeleteParams::default()).await;
    }
}

/// What placeholders are of.
pub(crate) async fn priority_class(world: &World) {
    let class = json!({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "slowlane-placeholder"},
        "value": -10, "preemptionPolicy": "Never"});
    apply(&Api::<PriorityClass>::all(world.client.clone()), &class).await;
}

/// Of units of a core each, with times that let a test end soon.
pub(crate) fn pool(world: &World, min: u32, max: u32, warm: u32) -> Value {
    json!({
        "executors": {"min": min, "max": max, "warm": warm}, "executor": {"cores": 1, "memory": "2Gi"},
        "occupancy": {"stabilizationSeconds": 1, "idleSeconds": 3}, "warmCapacity": "Placeholder",
        "template": {"sparkVersion": "4.0.1", "image": "spark:4", "serviceAccount": "spark",
            "executor": {"nodeSelector": {"test": world.namespace}}},
    })
}

async fn cluster_that(world: &World, wanted: impl Fn(&ComputeClusterStatus) -> bool) -> ComputeClusterStatus {
    eventually(|| async {
        let cluster = world.clusters().get(&world.cluster).await.map_err(|error| error.to_string())?;
        let status = cluster.status.unwrap_or_default();
        if wanted(&status) { Ok(status) } else { Err(format!("{:?} {:?}", status.executors, scaled(&status))) }
    })
    .await
}

fn scaled(status: &ComputeClusterStatus) -> (String, String, String) {
    let found = status.conditions.iter().find(|condition| condition.type_ == "Scaled");
    found.map(|it| (it.status.clone(), it.reason.clone(), it.message.clone())).unwrap_or_default()
}

/// Desired, and warm.
fn sizes(status: &ComputeClusterStatus) -> (Option<i32>, Option<i32>) {
    let executors = status.executors.unwrap_or_default();
    (executors.desired, executors.warm)
}

async fn placeholders(world: &World) -> Option<Deployment> {
    let deployments = world.api::<Deployment>();
    deployments.get_opt(&placeholders_name(&world.cluster)).await.expect("an answer")
}

async fn two_placeholders(world: &World) {
    eventually(|| async {
        let replicas = placeholders(world).await.and_then(|it| it.spec).and_then(|spec| spec.replicas);
        if replicas == Some(2) { Ok(()) } else { Err(format!("{replicas:?}")) }
    })
    .await;
}

#[tokio::test]
async fn placeholders_come_are_displaced_by_what_is_real_and_go() {
    let world = World::new().await;
    priority_class(&world).await;
    let kubelet = Kubelet::start(&world, 3).await;
    edit_before(&world, pool(&world, 0, 6, 2)).await;
    world.operation("report", json!({})).await;
    let (keeper, operator) = (Keeper::start(&world), Operator::start(&world));
    let status = cluster_that(&world, |status| sizes(status) == (Some(2), Some(2))).await;
    assert_eq!(scaled(&status).0, "True", "{status:?}");

    // Something real wants two of the three cores.
    let pods = world.api::<Pod>();
    let real = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "real"}, "spec": {
        "automountServiceAccountToken": false, "nodeSelector": {"test": world.namespace}, "terminationGracePeriodSeconds": 0,
        "containers": [{"name": "c", "image": "x", "resources": {"requests": {"cpu": "2", "memory": "1Gi"}}}]}});
    pods.create(&PostParams::default(), &serde_json::from_value(real).unwrap()).await.unwrap();
    eventually(|| async {
        let pod = pods.get("real").await.map_err(|error| error.to_string())?;
        let is_placed = pod.spec.and_then(|spec| spec.node_name).is_some();
        if is_placed { Ok(()) } else { Err(format!("{:?}", pod.status.map(|status| status.conditions))) }
    })
    .await;
    cluster_that(&world, |status| sizes(status) == (Some(2), Some(1))).await;
    pods.delete("real", &DeleteParams::default()).await.unwrap();
    cluster_that(&world, |status| sizes(status) == (Some(2), Some(2))).await;

    // A run takes a driver's unit and one executor; two more are held beside it.
    operator.play("first", Play::Run);
    world.job("first", "report", json!({"executors": {"min": 1, "max": 1}})).await;
    world.job_in("first", JobState::Running).await;
    let grown = cluster_that(&world, |status| sizes(status).0 == Some(4)).await;
    assert_eq!(scaled(&grown).1, "PoolFull", "{grown:?}");
    two_placeholders(&world).await;
    // Somebody edits the Deployment: it is as the keeper says.
    let deployments = world.api::<Deployment>();
    let name = placeholders_name(&world.cluster);
    let patch = Patch::Merge(json!({"spec": {"replicas": 9}}));
    deployments.patch(&name, &PatchParams::default(), &patch).await.unwrap();
    two_placeholders(&world).await;

    // `kubectl scale` sets what it may have at most; the run stays.
    let scale = Patch::Merge(json!({"spec": {"replicas": 2}}));
    world.clusters().patch_scale(&world.cluster, &PatchParams::default(), &scale).await.unwrap();
    let scaled_down = cluster_that(&world, |status| sizes(status) == (Some(2), Some(0))).await;
    assert_eq!(scaled(&scaled_down).1, "BoundsChanged", "{scaled_down:?}");
    assert_eq!(world.clusters().get(&world.cluster).await.unwrap().spec.executors.unwrap().max, Some(2));

    operator.play("first", Play::Succeed(String::new()));
    world.job_in("first", JobState::Succeeded).await;
    let idle = cluster_that(&world, |status| sizes(status) == (Some(0), Some(0))).await;
    assert_eq!(scaled(&idle).1, "PoolIdle", "{idle:?}");
    // Two of a core and 2 GiB each ran for some seconds.
    let warm = idle.usage.unwrap();
    let (cores, memory) = (warm.warm_core_seconds.unwrap(), warm.warm_memory_gib_seconds.unwrap());
    assert!(cores >= 4 && (2 * cores..=2 * cores + 1).contains(&memory), "{cores} and {memory}");
    assert!(keeper.metric("slowlane_warm_core_seconds_total", &world.cluster).await >= 4.0);
    edit(&world, "", json!({"warmCapacity": "None"})).await;
    eventually(|| async { if placeholders(&world).await.is_none() { Ok(()) } else { Err("it is there") } }).await;
    drop(keeper);
    kubelet.stop().await;
    world.remove().await;
}

#[tokio::test]
async fn what_keeps_placeholders_from_coming_is_said_and_jobs_run_all_the_same() {
    let world = World::new().await;
    priority_class(&world).await;
    let quotas = world.api::<ResourceQuota>();
    let quota = json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "small"}, "spec": {"hard": {
        "count/pods": "100", "requests.memory": "1Gi"}}});
    quotas.create(&PostParams::default(), &serde_json::from_value(quota).unwrap()).await.unwrap();
    edit_before(&world, pool(&world, 1, 6, 9)).await;
    world.operation("report", json!({})).await;
    let keeper = Keeper::start(&world);
    let refused = cluster_that(&world, |status| scaled(status).1 == "PlaceholdersRefused").await;
    let words = scaled(&refused).2;
    assert!(words.contains("raise its quota") && words.contains("exceeded quota: small"), "{words}");
    quotas.delete("small", &DeleteParams::default()).await.unwrap();
    // Six at most, whatever is to be warm.
    let conflict = cluster_that(&world, |status| scaled(status).1 == "BoundsConflict").await;
    assert_eq!(
        scaled(&conflict).2,
        "spec.executors.warm is 9, above max, which is 6: 6 holds; raise max or lower warm"
    );
    assert_eq!(sizes(&conflict).0, Some(6));
    let _operator = Operator::start(&world);
    world.job("first", "report", json!({})).await;
    world.job_in("first", JobState::Succeeded).await;
    let (drained, said) = keeper.drain();
    assert!(drained, "{said}");
    assert!(placeholders(&world).await.is_none(), "nothing is held warm for a keeper that is gone");
    drop(keeper);
    world.remove().await;
}

/// Edits the world's cluster before a keeper looks at it.
pub(crate) async fn edit_before(world: &World, spec: Value) {
    let patch = Patch::Merge(json!({"spec": spec}));
    world.clusters().patch(&world.cluster, &PatchParams::default(), &patch).await.expect("an edit");
}
