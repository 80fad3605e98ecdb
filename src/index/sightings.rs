//! Applications and pods with our labels, as the watches show them.

use std::collections::{BTreeMap, BTreeSet};

use hashbrown::HashMap;

use crate::model::{ApplicationSeen, Name, ObjectKey, PodSeen, Resources, RunId, Uid};

/// Pods of a run in one namespace.
#[derive(Debug)]
struct RunPods {
    namespace: Name,
    by_name: BTreeMap<Name, Box<PodSeen>>,
    /// What those that live take.
    take: Resources,
    /// Executors that run.
    ready: u64,
}

/// Applications and pods with our labels, by the run that they belong to.
#[derive(Debug, Default)]
pub struct Sightings {
    /// Applications, tombstones among them.
    applications: HashMap<RunId, Box<ApplicationSeen>>,
    /// Pods, by the run and the namespace, which mostly is one: labels can be copied anywhere.
    pods: HashMap<RunId, Vec<RunPods>>,
    application_runs: HashMap<ObjectKey, RunId>,
    pod_runs: HashMap<ObjectKey, RunId>,
}

impl Sightings {
    /// An application is there.
    pub fn set_application(&mut self, run: RunId, application: Box<ApplicationSeen>) {
        self.application_runs.insert(application.key.clone(), run.clone());
        self.applications.insert(run, application);
    }

    /// The application of a run.
    #[must_use]
    pub fn application(&self, run: &RunId) -> Option<&ApplicationSeen> {
        self.applications.get(run).map(Box::as_ref)
    }

    /// Every application, by run.
    #[must_use]
    pub fn applications(&self) -> Vec<(&RunId, &ApplicationSeen)> {
        let mut all: Vec<_> = self.applications.iter().map(|(run, application)| (run, &**application)).collect();
        all.sort_unstable_by_key(|(run, _)| *run);
        all
    }

    /// Whether there is none.
    #[must_use]
    pub fn has_no_application(&self) -> bool {
        self.applications.is_empty()
    }

    /// An application is gone, if it is still the one with this UID.
    pub fn remove_application(&mut self, key: &ObjectKey, uid: &Uid) -> Option<RunId> {
        let run = self.application_runs.get(key)?.clone();
        if self.applications.get(&run).is_some_and(|application| application.uid == *uid) {
            self.applications.remove(&run);
            self.application_runs.remove(key);
            return Some(run);
        }
        None
    }

    /// A pod is there.
    pub fn set_pod(&mut self, pod: Box<PodSeen>) {
        self.pod_runs.insert(pod.key.clone(), pod.run.clone());
        let of_run = self.pods.entry(pod.run.clone()).or_insert_with(|| Vec::with_capacity(1));
        let at = of_run.iter().position(|pods| pods.namespace == pod.key.namespace).unwrap_or_else(|| {
            let namespace = pod.key.namespace.clone();
            of_run.push(RunPods { namespace, by_name: BTreeMap::new(), take: Resources::default(), ready: 0 });
            of_run.len() - 1
        });
        let pods = &mut of_run[at];
        pods.take = pods.take.plus(pod.takes());
        pods.ready += u64::from(pod.is_ready_executor());
        if let Some(before) = pods.by_name.insert(pod.key.name.clone(), pod) {
            pods.take = pods.take.minus(before.takes());
            pods.ready -= u64::from(before.is_ready_executor());
        }
    }

    /// A pod is gone, if it is still the one with this UID.
    pub fn remove_pod(&mut self, key: &ObjectKey, uid: &Uid) -> Option<Box<PodSeen>> {
        let run = self.pod_runs.get(key)?.clone();
        let of_run = self.pods.get_mut(&run)?;
        let at = of_run.iter().position(|pods| pods.namespace == key.namespace)?;
        let pods = &mut of_run[at];
        if pods.by_name.get(&key.name).is_none_or(|pod| pod.uid != *uid) {
            return None;
        }
        let gone = pods.by_name.remove(&key.name)?;
        pods.take = pods.take.minus(gone.takes());
        pods.ready -= u64::from(gone.is_ready_executor());
        if pods.by_name.is_empty() {
            of_run.swap_remove(at);
        }
        if of_run.is_empty() {
            self.pods.remove(&run);
        }
        self.pod_runs.remove(key);
        Some(gone)
    }

    /// The pods of a run in a namespace.
    #[must_use]
    pub fn pods_of(&self, run: &RunId, namespace: &Name) -> Option<&BTreeMap<Name, Box<PodSeen>>> {
        self.pods_in(run, namespace).map(|pods| &pods.by_name)
    }

    /// What the live pods of a run in a namespace take.
    #[must_use]
    pub fn really_there(&self, run: &RunId, namespace: &Name) -> Resources {
        self.pods_in(run, namespace).map(|pods| pods.take).unwrap_or_default()
    }

    /// Executors of a run that run, in a namespace.
    #[must_use]
    pub fn ready_executors(&self, run: &RunId, namespace: &Name) -> u64 {
        self.pods_in(run, namespace).map_or(0, |pods| pods.ready)
    }

    fn pods_in(&self, run: &RunId, namespace: &Name) -> Option<&RunPods> {
        self.pods.get(run)?.iter().find(|pods| pods.namespace == *namespace)
    }

    /// Keys and UIDs of applications that a list does not name, in order.
    #[must_use]
    pub fn applications_beside(&self, named: &BTreeSet<ObjectKey>) -> BTreeSet<(ObjectKey, Uid)> {
        let unnamed = self.applications.values().filter(|it| !named.contains(&it.key));
        unnamed.map(|it| (it.key.clone(), it.uid.clone())).collect()
    }

    /// Keys and UIDs of pods that a list does not name, in order.
    #[must_use]
    pub fn pods_beside(&self, named: &BTreeSet<ObjectKey>) -> BTreeSet<(ObjectKey, Uid)> {
        let all = self.pods.values().flatten().flat_map(|pods| pods.by_name.values());
        all.filter(|it| !named.contains(&it.key)).map(|it| (it.key.clone(), it.uid.clone())).collect()
    }
}
