//! Judges limits by Spark's own objects: which applications are alive, by the operation of the job that owns them.
//! It reads no status of ours and no ledger. An application is alive from its creation until it has ended **and** its
//! driver pod has finished or is gone.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, ResourceExt,
    api::DynamicObject,
    runtime::{WatchStreamExt, watcher},
};
use tokio::task::JoinHandle;

use crate::world::{NAMESPACE, World, owner_of};

#[derive(Default)]
struct Seen {
    unfinished: BTreeSet<String>,
    /// Whether each driver pod is alive, by the application's name and the pod's UID.
    drivers: BTreeMap<(String, String), bool>,
    ours: BTreeSet<String>,
    old: BTreeSet<String>,
    peak: usize,
    history: Vec<String>,
}

impl Seen {
    fn judge(&mut self, because: &str) {
        let living_drivers = self.drivers.iter().filter(|(_, alive)| **alive).map(|((name, _), _)| name);
        let living_drivers = living_drivers.filter(|name| self.ours.contains(*name));
        let alive: BTreeSet<&String> = self.unfinished.iter().chain(living_drivers).collect();
        self.peak = self.peak.max(alive.len());
        self.history.push(format!("{because}: {} alive {alive:?}", alive.len()));
    }
}

pub(crate) struct Observer {
    seen: Arc<Mutex<Seen>>,
    tasks: [JoinHandle<()>; 2],
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Observer {
    /// Watches the runs of one operation from now on; what an earlier run of the suite left is left out.
    pub(crate) async fn start(world: &World, operation: &'static str) -> Self {
        let applications = world.api("sparkoperator.k8s.io", "v1beta2", "SparkApplication", "sparkapplications");
        let old = applications.list(&kube::api::ListParams::default()).await.expect("the spark-operator is installed");
        let seen = Arc::new(Mutex::new(Seen {
            old: old.items.iter().map(ResourceExt::name_any).collect(),
            ..Seen::default()
        }));
        let tasks = [
            tokio::spawn(watch_applications(applications, world.client.clone(), operation, seen.clone())),
            tokio::spawn(watch_drivers(Api::namespaced(world.client.clone(), NAMESPACE), seen.clone())),
        ];
        Self { seen, tasks }
    }

    pub(crate) fn peak(&self) -> usize {
        self.seen.lock().expect("no observer panics").peak
    }

    /// Driver pods that there ever were: an application that is submitted twice counts twice.
    pub(crate) fn started(&self) -> usize {
        let seen = self.seen.lock().expect("no observer panics");
        seen.drivers.keys().filter(|(application, _)| seen.ours.contains(application)).count()
    }

    pub(crate) fn history(&self) -> String {
        self.seen.lock().expect("no observer panics").history.join("\n")
    }
}

async fn watch_applications(
    applications: Api<DynamicObject>,
    client: kube::Client,
    operation: &'static str,
    seen: Arc<Mutex<Seen>>,
) {
    let world = World { client };
    let mut changes = watcher(applications, watcher::Config::default()).default_backoff().boxed();
    while let Some(change) = changes.next().await {
        let (application, gone) = match change {
            Ok(watcher::Event::Apply(it) | watcher::Event::InitApply(it)) => (it, false),
            Ok(watcher::Event::Delete(it)) => (it, true),
            _ => continue,
        };
        let name = application.name_any();
        if seen.lock().expect("no observer panics").old.contains(&name) {
            continue;
        }
        let known = seen.lock().expect("no observer panics").ours.contains(&name);
        let Some(job) = owner_of(&application) else { continue };
        if !known && world.operation_of(&job).await.as_deref() != Some(operation) {
            continue;
        }
        let state = application.data["status"]["applicationState"]["state"].as_str().unwrap_or_default().to_owned();
        let ended = gone || matches!(state.as_str(), "COMPLETED" | "FAILED");
        let mut seen = seen.lock().expect("no observer panics");
        seen.ours.insert(name.clone());
        if ended {
            seen.unfinished.remove(&name)
        } else {
            seen.unfinished.insert(name.clone())
        };
        seen.judge(&format!("{name} {state:?}"));
    }
}

async fn watch_drivers(pods: Api<Pod>, seen: Arc<Mutex<Seen>>) {
    let drivers = watcher::Config::default().labels("spark-role=driver");
    let mut changes = watcher(pods, drivers).default_backoff().boxed();
    while let Some(change) = changes.next().await {
        let (pod, gone) = match change {
            Ok(watcher::Event::Apply(it) | watcher::Event::InitApply(it)) => (it, false),
            Ok(watcher::Event::Delete(it)) => (it, true),
            _ => continue,
        };
        let Some(name) = pod.labels().get("sparkoperator.k8s.io/app-name").cloned() else { continue };
        let uid = pod.uid().unwrap_or_default();
        let phase = pod.status.and_then(|status| status.phase).unwrap_or_default();
        let mut seen = seen.lock().expect("no observer panics");
        if !seen.old.contains(&name) {
            // Whose it is may become known later only: the two watches do not wait for each other.
            seen.drivers.insert((name.clone(), uid), !gone && phase != "Succeeded" && phase != "Failed");
            seen.judge(&format!("driver of {name} {phase}"));
        }
    }
}
