//! The pods of a run, as Kubernetes tells of them.

use std::collections::BTreeMap;

use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, ResourceExt,
    api::ListParams,
    runtime::{WatchStreamExt, watcher},
};

use crate::world::{NAMESPACE, World};

/// UID, phase and restarts of each pod, by its name.
pub(crate) type Pods = BTreeMap<String, (String, String, i32)>;

/// Those of a job's run, once so many of them run.
pub(crate) async fn running(world: &World, job: &str, number: usize) -> Pods {
    let api: Api<Pod> = Api::namespaced(world.client.clone(), NAMESPACE);
    let mut changes = watcher(api, watcher::Config::default().labels(&of(world, job).await)).default_backoff().boxed();
    let found = tokio::time::timeout(crate::PATIENCE, async {
        loop {
            changes.next().await;
            let pods = all(world, job).await;
            if pods.values().filter(|(_, phase, _)| phase == "Running").count() == number {
                return pods;
            }
        }
    });
    found.await.unwrap_or_else(|_| panic!("{number} pods of {job} do not run in time"))
}

pub(crate) async fn all(world: &World, job: &str) -> Pods {
    let api: Api<Pod> = Api::namespaced(world.client.clone(), NAMESPACE);
    let ours = ListParams::default().labels(&of(world, job).await);
    let pods = api.list(&ours).await.expect("the API server answers").items.into_iter();
    pods.map(|pod| {
        let (name, uid) = (pod.name_any(), pod.uid().unwrap_or_default());
        let status = pod.status.unwrap_or_default();
        let restarts = status.container_statuses.iter().flatten().map(|container| container.restart_count).sum();
        (name, (uid, status.phase.unwrap_or_default(), restarts))
    })
    .collect()
}

async fn of(world: &World, job: &str) -> String {
    let job = world.jobs().get(job).await.expect("the job is there");
    format!("slowlane.dev/job-uid={}", job.uid().unwrap_or_default())
}
