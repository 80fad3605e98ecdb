//! The keeper as an administrator sees it: pods of a Deployment and a lease; killed as a crash would.

use std::{fs, process::Command, time::Duration};

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::{coordination::v1::Lease, core::v1::Pod};
use kube::{
    Api, ResourceExt,
    runtime::{WatchStreamExt, watcher},
};

use crate::world::World;

const NAMESPACE: &str = "slowlane-system";

fn holder(lease: &Lease) -> Option<String> {
    let identity = lease.spec.as_ref()?.holder_identity.clone()?;
    (!identity.is_empty()).then_some(identity)
}

/// Who leads now.
pub(crate) async fn leader(world: &World) -> String {
    next_leader(world, "", Duration::from_mins(1)).await
}

/// Who leads instead of `before`.
pub(crate) async fn next_leader(world: &World, before: &str, patience: Duration) -> String {
    let leases: Api<Lease> = Api::namespaced(world.client.clone(), NAMESPACE);
    let mut changes = watcher(leases, watcher::Config::default()).default_backoff().applied_objects().boxed();
    let found = tokio::time::timeout(patience, async {
        loop {
            let lease = changes.try_next().await.ok().flatten();
            if let Some(identity) = lease.as_ref().and_then(holder).filter(|identity| identity != before) {
                return identity;
            }
        }
    });
    found.await.unwrap_or_else(|_| panic!("nobody but {before:?} leads after {patience:?}"))
}

/// Kills the process of the keeper with this identity: SIGKILL, as a crash or the kernel's memory killer would.
pub(crate) async fn kill_nine(world: &World, identity: &str) {
    let pods: Api<Pod> = Api::namespaced(world.client.clone(), NAMESPACE);
    let pods = pods.list(&kube::api::ListParams::default()).await.expect("the API server answers");
    let pod =
        pods.items.iter().find(|pod| identity.starts_with(&pod.name_any())).expect("the leader is one of the pods");
    let uid = pod.uid().expect("every pod has a UID");
    let process = processes_of(&uid).into_iter().find(|process| command_of(process).contains("slowlane"));
    let process = process.expect("the leader's process runs on this machine");
    let killed = Command::new("kill").args(["-9", &process]).status().expect("kill runs");
    assert!(killed.success(), "process {process} was killed");
}

fn processes_of(pod_uid: &str) -> Vec<String> {
    let processes = fs::read_dir("/proc").expect("/proc is there").flatten();
    let names = processes.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names
        .filter(|name| name.chars().all(|c| c.is_ascii_digit()))
        .filter(|name| fs::read_to_string(format!("/proc/{name}/cgroup")).is_ok_and(|text| text.contains(pod_uid)))
        .collect()
}

fn command_of(process: &str) -> String {
    fs::read_to_string(format!("/proc/{process}/cmdline")).unwrap_or_default()
}
