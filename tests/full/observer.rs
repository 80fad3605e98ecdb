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
    /// Applications of the operations that are watched, and whose they are.
    ours: BTreeMap<String, &'static str>,
    old: BTreeSet<String>,
    /// The most runs of each operation at once.
    peaks: BTreeMap<&'static str, usize>,
    /// The most operations that had a run at once.
    together: usize,
    history: Vec<String>,
}

impl Seen {
    fn judge(&mut self, because: &str) {
        let living_drivers = self.drivers.iter().filter(|(_, alive)| **alive).map(|((name, _), _)| name);
        let living_drivers = living_drivers.filter(|name| self.ours.contains_key(*name));
        let alive: BTreeSet<&String> = self.unfinished.iter().chain(living_drivers).collect();
        let mut runs = BTreeMap::<&'static str, usize>::new();
        for operation in alive.iter().filter_map(|name| self.ours.get(*name)) {
            *runs.entry(operation).or_default() += 1;
        }
        self.together = self.together.max(runs.len());
        for (operation, runs) in runs {
            let peak = self.peaks.entry(operation).or_default();
            *peak = runs.max(*peak);
        }
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
    /// Watches the runs of these operations from now on; what an earlier run of the suite left is left out.
    pub(crate) async fn start(world: &World, operations: &'static [&'static str]) -> Self {
        let applications = world.api("sparkoperator.k8s.io", "v1beta2", "SparkApplication", "sparkapplications");
        let old = applications.list(&kube::api::ListParams::default()).await.expect("the spark-operator is installed");
        let seen = Arc::new(Mutex::new(Seen {
            old: old.items.iter().map(ResourceExt::name_any).collect(),
            ..Seen::default()
        }));
        let tasks = [
            tokio::spawn(watch_applications(applications, world.client.clone(), operations, seen.clone())),
            tokio::spawn(watch_drivers(Api::namespaced(world.client.clone(), NAMESPACE), seen.clone())),
        ];
        Self { seen, tasks }
    }

    /// The most runs of an operation that were alive at once.
    pub(crate) fn peak(&self, operation: &str) -> usize {
        self.seen.lock().expect("no observer panics").peaks.get(operation).copied().unwrap_or(0)
    }

    /// The most operations that had a run alive at once.
    pub(crate) fn together(&self) -> usize {
        self.seen.lock().expect("no observer panics").together
    }

    /// Driver pods that there ever were: an application that is submitted twice counts twice.
    pub(crate) fn started(&self) -> usize {
        let seen = self.seen.lock().expect("no observer panics");
        seen.drivers.keys().filter(|(application, _)| seen.ours.contains_key(application)).count()
    }

    pub(crate) fn history(&self) -> String {
        self.seen.lock().expect("no observer panics").history.join("\n")
    }
}

async fn watch_applications(
    applications: Api<DynamicObject>,
    client: kube::Client,
    operations: &'static [&'static str],
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
        let known = seen.lock().expect("no observer panics").ours.get(&name).copied();
        let Some(job) = owner_of(&application) else { continue };
        let operation = match known {
            Some(operation) => operation,
            None => match world.operation_of(&job).await.and_then(|of| operations.iter().find(|it| **it == of)) {
                Some(operation) => operation,
                None => continue,
            },
        };
        let state = application.data["status"]["applicationState"]["state"].as_str().unwrap_or_default().to_owned();
        let ended = gone || matches!(state.as_str(), "COMPLETED" | "FAILED");
        let mut seen = seen.lock().expect("no observer panics");
        seen.ours.insert(name.clone(), operation);
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
