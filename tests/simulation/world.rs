//! The simulated API server: objects, versions, the rules that it enforces itself, and what its watches say.

use std::collections::{BTreeMap, BTreeSet};

use slowlane::command::{Change, Kind};
use slowlane::model::{
    Account, Cluster, JobState, JobStatus, Ledger, LedgerVersion, Name, ObjectKey, Operation, PlaceholdersSeen,
    PodPhase, PodRole, PodSeen, Resources, RunId, Stranger, Time, Uid,
};

use crate::auditor::Auditor;
use crate::objects::{App, JobObject, NamespaceObject, Pod};

/// A driver whose application is gone while a submission is in hand: it may still come.
#[derive(Debug, Clone)]
pub(crate) struct Ghost {
    pub(crate) app: App,
    pub(crate) until: Time,
}

/// A change of a kind at a revision.
pub(crate) type Event = (u64, Kind, Change);

#[derive(Debug, Default)]
pub(crate) struct World {
    pub(crate) now: Time,
    /// Grows with every change.
    pub(crate) revision: u64,
    pub(crate) namespaces: BTreeMap<Name, NamespaceObject>,
    pub(crate) clusters: BTreeMap<Name, Cluster>,
    pub(crate) operations: BTreeMap<ObjectKey, Operation>,
    pub(crate) jobs: BTreeMap<ObjectKey, JobObject>,
    pub(crate) apps: BTreeMap<ObjectKey, App>,
    pub(crate) pods: BTreeMap<ObjectKey, Pod>,
    /// Applications that nobody declared.
    pub(crate) strangers: BTreeMap<ObjectKey, Stranger>,
    /// What holds warm executors, by cluster.
    pub(crate) placeholders: BTreeMap<Name, PlaceholdersSeen>,
    pub(crate) ledger: Option<(LedgerVersion, Ledger)>,
    /// Namespaces with a quota that refuses applications.
    pub(crate) quota: BTreeSet<Name>,
    /// The spark-operator works.
    pub(crate) operator_up: bool,
    /// `SparkApplication`s are known at all.
    pub(crate) operator_installed: bool,
    /// A namespace that the spark-operator does not watch.
    pub(crate) unwatched: Option<Name>,
    pub(crate) ghosts: Vec<Ghost>,
    /// What the watches have to carry to the keepers.
    pub(crate) events: Vec<Event>,
    pub(crate) auditor: Auditor,
}

impl World {
    pub(crate) fn emit(&mut self, kind: Kind, change: Change) {
        self.revision += 1;
        self.events.push((self.revision, kind, change));
    }

    pub(crate) fn new_uid(&mut self, what: &str) -> Uid {
        self.revision += 1;
        format!("{what}-{:05}", self.revision).into()
    }

    /// Everything of a kind, as a list shows it.
    pub(crate) fn list(&self, kind: Kind) -> Vec<Change> {
        match kind {
            Kind::Namespace => self.namespaces.keys().filter_map(|name| self.namespace_change(name)).collect(),
            Kind::Cluster => self.clusters.values().map(|it| Change::Cluster(Box::new(it.clone()))).collect(),
            Kind::Operation => self.operations.values().map(|it| Change::Operation(Box::new(it.clone()))).collect(),
            Kind::Job => self.jobs.values().map(JobObject::change).collect(),
            Kind::Application => self.apps.values().map(|it| Change::Application(Box::new(it.seen()))).collect(),
            Kind::Stranger => self.strangers.values().map(|it| Change::Stranger(Box::new(it.clone()))).collect(),
            Kind::Pod => self.pods.values().map(|it| Change::Pod(Box::new(it.seen()))).collect(),
            Kind::Placeholders => {
                self.placeholders.values().map(|it| Change::Placeholders(Box::new(it.clone()))).collect()
            }
        }
    }

    fn namespace_change(&self, name: &Name) -> Option<Change> {
        let object = self.namespaces.get(name)?;
        let (labels, terminating) = (object.labels.clone(), object.terminating);
        Some(Change::Namespace { name: name.clone(), labels, terminating })
    }

    // ---- what is held warm ------------------------------------------------------------------------------------

    /// The Deployment of a cluster's placeholders; its pods come at once. It goes with its cluster, which owns it.
    pub(crate) fn set_placeholders(&mut self, cluster: &Name, warm: Option<(u64, u64)>) {
        let Some((replicas, desired)) = warm else {
            if self.placeholders.remove(cluster).is_some() {
                self.emit(Kind::Placeholders, Change::PlaceholdersGone(cluster.clone()));
            }
            return;
        };
        let desired = Some(desired);
        let seen = PlaceholdersSeen { cluster: cluster.clone(), replicas, ready: replicas, desired, refused: None };
        if self.placeholders.insert(cluster.clone(), seen.clone()) != Some(seen.clone()) {
            self.emit(Kind::Placeholders, Change::Placeholders(Box::new(seen)));
        }
    }

    // ---- what nobody declares ---------------------------------------------------------------------------------

    pub(crate) fn put_stranger(&mut self, stranger: Stranger) {
        self.strangers.insert(stranger.key.clone(), stranger.clone());
        self.emit(Kind::Stranger, Change::Stranger(Box::new(stranger)));
    }

    pub(crate) fn remove_stranger(&mut self, key: &ObjectKey) {
        if let Some(stranger) = self.strangers.remove(key) {
            self.emit(Kind::Stranger, Change::StrangerGone(key.clone(), stranger.uid));
        }
    }

    // ---- what people declare ----------------------------------------------------------------------------------

    pub(crate) fn put_namespace(&mut self, name: &Name, object: NamespaceObject) {
        self.namespaces.insert(name.clone(), object);
        if let Some(change) = self.namespace_change(name) {
            self.emit(Kind::Namespace, change);
        }
    }

    pub(crate) fn remove_namespace(&mut self, name: &Name) {
        self.namespaces.remove(name);
        self.emit(Kind::Namespace, Change::NamespaceGone(name.clone()));
    }

    /// People write its spec only: what the keeper says of it stays.
    pub(crate) fn put_cluster(&mut self, mut cluster: Cluster) {
        if let Some(known) = self.clusters.get(&cluster.name) {
            (cluster.account, cluster.warmth) = (known.account, known.warmth);
        }
        self.store_cluster(cluster);
    }

    pub(crate) fn store_cluster(&mut self, cluster: Cluster) {
        self.emit(Kind::Cluster, Change::Cluster(Box::new(cluster.clone())));
        self.auditor.cluster_declared(self.revision, &cluster);
        self.clusters.insert(cluster.name.clone(), cluster);
    }

    /// As [`Self::put_cluster`].
    pub(crate) fn put_operation(&mut self, mut operation: Operation) {
        let known = self.operations.get(&operation.key).map(|known| (known.uid.clone(), known.account));
        let known = known.unwrap_or_else(|| (self.new_uid("operation"), Account::default()));
        (operation.uid, operation.account) = known;
        self.store_operation(operation);
    }

    pub(crate) fn store_operation(&mut self, operation: Operation) {
        self.emit(Kind::Operation, Change::Operation(Box::new(operation.clone())));
        self.auditor.operation_declared(self.revision, &operation.key, operation.limit);
        if operation.may_refuse() {
            self.auditor.may_refuse(&operation.key);
        }
        self.operations.insert(operation.key.clone(), operation);
    }

    pub(crate) fn remove_operation(&mut self, key: &ObjectKey) {
        if self.operations.remove(key).is_some() {
            self.emit(Kind::Operation, Change::OperationGone(key.clone()));
            self.auditor.operation_declared(self.revision, key, None);
            self.auditor.operation_removed(key);
        }
    }

    pub(crate) fn put_job(&mut self, object: JobObject) {
        self.emit(Kind::Job, object.change());
        self.auditor.job_declared(self.revision, &object.job);
        self.jobs.insert(object.job.key.clone(), object);
    }

    /// Edits a job that is there; only a change of the spec raises its generation.
    pub(crate) fn edit_job(&mut self, key: &ObjectKey, edit: impl FnOnce(&mut JobObject)) {
        let Some(object) = self.jobs.get_mut(key) else { return };
        edit(object);
        let (change, job) = (object.change(), object.job.clone());
        self.emit(Kind::Job, change);
        self.auditor.job_declared(self.revision, &job);
    }

    pub(crate) fn remove_job(&mut self, key: &ObjectKey) {
        if let Some(object) = self.jobs.remove(key) {
            self.emit(Kind::Job, Change::JobGone(key.clone(), object.job.uid));
        }
    }

    pub(crate) fn has_job(&self, uid: &Uid) -> bool {
        self.jobs.values().any(|object| object.job.uid == *uid)
    }

    // ---- applications and pods --------------------------------------------------------------------------------

    pub(crate) fn put_app(&mut self, app: App) {
        self.auditor.saw(format!("application {:?}", app.placeholder));
        self.emit(Kind::Application, Change::Application(Box::new(app.seen())));
        self.apps.insert(app.key.clone(), app.clone());
        self.auditor.created(&app, self.apps.values(), self.ledger.as_ref().map(|(_, content)| content));
    }

    pub(crate) fn edit_app(&mut self, key: &ObjectKey, edit: impl FnOnce(&mut App)) {
        let Some(app) = self.apps.get_mut(key) else { return };
        edit(app);
        let seen = app.seen();
        self.emit(Kind::Application, Change::Application(Box::new(seen)));
        self.remove_if_free(key);
    }

    /// An application that is being deleted goes as soon as nobody holds it.
    fn remove_if_free(&mut self, key: &ObjectKey) {
        let free = self.apps.get(key).is_some_and(|app| app.deleting.is_some() && !app.foreground && !app.held);
        if !free {
            return;
        }
        if let Some(app) = self.apps.remove(key) {
            self.emit(Kind::Application, Change::ApplicationGone(key.clone(), app.uid.clone()));
            if let Some(until) = app.settles_by.filter(|_| app.in_hand) {
                self.ghosts.push(Ghost { app, until });
            }
        }
    }

    pub(crate) fn put_pod(&mut self, mut pod: Pod) {
        if pod.phase != PodPhase::Pending {
            pod.started = pod.started.or(Some(self.now));
        }
        if !pod.phase.is_live() {
            pod.ended = pod.ended.or(Some(self.now));
        }
        self.emit(Kind::Pod, Change::Pod(Box::new(pod.seen())));
        self.auditor.pod_changed(&pod);
        self.pods.insert(pod.key.clone(), pod);
    }

    pub(crate) fn edit_pod(&mut self, key: &ObjectKey, edit: impl FnOnce(&mut Pod)) {
        let Some(mut pod) = self.pods.get(key).cloned() else { return };
        edit(&mut pod);
        self.put_pod(pod);
    }

    pub(crate) fn remove_pod(&mut self, key: &ObjectKey) {
        if let Some(pod) = self.pods.remove(key) {
            self.emit(Kind::Pod, Change::PodGone(key.clone(), pod.uid));
        }
    }

    /// A driver pod comes up for an application: that is a start.
    pub(crate) fn start_driver(&mut self, app: &App, stuck: bool) {
        let uid = self.new_uid("driver");
        let (key, run) = (app.driver_key(), app.run.clone());
        let pod = Pod {
            key,
            uid,
            run,
            role: PodRole::Driver,
            phase: PodPhase::Pending,
            started: None,
            ended: None,
            end: None,
            app: app.uid.clone(),
            driver: None,
            stuck,
            terminating: false,
            foreign: false,
        };
        self.put_pod(pod);
        let live = self.live_runs();
        self.auditor.started(app, &live, self.jobs.values());
    }

    /// Runs that hold something of the world now: a live pod, or an application that is on its way.
    pub(crate) fn live_runs(&self) -> BTreeMap<RunId, LiveRun> {
        let mut live = BTreeMap::new();
        let of_pods: BTreeSet<&RunId> =
            self.pods.values().filter(|pod| pod.phase.is_live() && !pod.foreign).map(|pod| &pod.run).collect();
        for app in self.apps.values().filter(|app| app.placeholder.is_none() && !app.foreign) {
            let under_way = app.deleting.is_none() && !app.is_terminal();
            if under_way || of_pods.contains(&app.run) {
                live.insert(app.run.clone(), LiveRun::of(app));
            }
        }
        for run in of_pods {
            if !live.contains_key(run)
                && let Some(known) = self.auditor.started_as(run)
            {
                live.insert(run.clone(), known.clone());
            }
        }
        live
    }

    pub(crate) fn pods_of<'a>(&'a self, run: &'a RunId) -> impl Iterator<Item = &'a Pod> {
        self.pods.values().filter(move |pod| pod.run == *run && !pod.foreign)
    }

    pub(crate) fn pods_seen(&self, run: &RunId) -> Vec<PodSeen> {
        self.pods_of(run).map(Pod::seen).collect()
    }

    // ---- the ledger -------------------------------------------------------------------------------------------

    pub(crate) fn put_ledger(&mut self, content: Ledger) -> LedgerVersion {
        self.revision += 1;
        let version: LedgerVersion = format!("v{}", self.revision).into();
        let old = self.ledger.as_ref().map(|(_, old)| &old.holders);
        let new = content.holders.keys().filter(|run| old.is_none_or(|old| !old.contains_key(*run)));
        new.for_each(|run| self.auditor.granted(self.revision, self.now, run));
        if let Some((_, old)) = &self.ledger {
            let jobs: BTreeSet<&Uid> = self.jobs.values().map(|object| &object.job.uid).collect();
            self.auditor.billed(old, &content, self.now, |uid| jobs.contains(uid));
        }
        self.ledger = Some((version.clone(), content));
        version
    }

    /// What the definition's rules say about a write (`crds/runledgers.yaml`).
    pub(crate) fn refuses_ledger(&self, new: &Ledger) -> Option<String> {
        let old = self.ledger.as_ref().map(|(_, content)| content);
        if old.is_some_and(|old| new.epoch < old.epoch) {
            return Some("spec.epoch never goes down".to_owned());
        }
        let none = Ledger::default();
        let old = old.unwrap_or(&none);
        let operations =
            new.operation_limits.iter().map(|(key, limit)| (of_operation(new, key), of_operation(old, key), *limit));
        let clusters =
            new.cluster_limits.iter().map(|(key, limit)| (of_cluster(new, key), of_cluster(old, key), *limit));
        for (now, before, limit) in operations.chain(clusters) {
            if now.len() > limit as usize && (before.is_empty() || !now.is_subset(&before)) {
                return Some(format!("{} holders exceed limit {limit}", now.len()));
            }
        }
        let overfull = new.cluster_capacity.iter().find(|(name, capacity)| {
            let (now, before) = (used(new, name), used(old, name));
            let known = !of_cluster(old, name).is_empty();
            !(now.fits(**capacity) || (known && fits_each(now, before, **capacity)))
        });
        overfull
            .map(|(name, _)| format!("more is reserved in {name} than it has"))
            .or_else(|| refuses_locks(old, new))
            .or_else(|| refuses_shares(old, new))
    }

    // ---- statuses ---------------------------------------------------------------------------------------------

    /// What the definition's rules say about a job's status.
    pub(crate) fn refuses_status(old: Option<&JobStatus>, new: &JobStatus) -> Option<String> {
        let ended = old.filter(|old| old.state.is_terminal());
        if let Some(old) = ended
            && (old.state, &old.completion, &old.result) != (new.state, &new.completion, &new.result)
        {
            return Some(format!("status.state is final: it is {}", old.state.as_str()));
        }
        let accepted = old.filter(|old| old.accepted.is_some() || !old.runs.is_empty());
        if let Some(old) = accepted
            && new.state == JobState::Refused
        {
            return Some(format!("status.state is {}: a job that was accepted is not refused", old.state.as_str()));
        }
        (new.result.is_some() && new.state != JobState::Succeeded)
            .then(|| "status.result is for Succeeded jobs only".to_owned())
    }
}

/// A run as the auditor counts it.
#[derive(Debug, Clone)]
pub(crate) struct LiveRun {
    pub(crate) operation: ObjectKey,
    pub(crate) cluster: Name,
    pub(crate) resources: Resources,
}

impl LiveRun {
    pub(crate) fn of(app: &App) -> Self {
        Self {
            operation: ObjectKey { namespace: app.key.namespace.clone(), name: app.operation.clone() },
            cluster: app.cluster.clone(),
            resources: app.footprint.with(app.executors),
        }
    }
}

fn refuses_locks(old: &Ledger, new: &Ledger) -> Option<String> {
    let everywhere = new.lock_permits.iter().find(|(lock, most)| {
        let before = old.lock_permits.contains_key(*lock).then(|| permits(old, None, lock));
        grew_above(permits(new, None, lock), before, u64::from(**most))
    });
    let at_cluster = new.cluster_lock_permits.iter().find(|(key, most)| {
        let of = |ledger: &Ledger| permits(ledger, Some(&key.0), &key.1);
        let before = old.cluster_lock_permits.contains_key(*key).then(|| of(old));
        grew_above(of(new), before, u64::from(**most))
    });
    let lock = everywhere.map(|(lock, _)| lock).or(at_cluster.map(|((_, lock), _)| lock))?;
    Some(format!("more permits of {lock} are taken than there are"))
}

fn refuses_shares(old: &Ledger, new: &Ledger) -> Option<String> {
    let overfull = new.shares.iter().find(|(key, share)| {
        let (now, before) = (share_of(new, key), old.shares.contains_key(*key).then(|| share_of(old, key)));
        grew_above(now.0, before.map(|before| before.0), share.max_jobs.map_or(u64::MAX, u64::from))
            || grew_above(now.1, before.map(|before| before.1), share.max_executors.unwrap_or(u64::MAX))
    });
    overfull.map(|((cluster, namespace), _)| format!("{namespace} has more of {cluster} than its share"))
}

/// Above the most, and more than before or not there before.
fn grew_above(now: u64, before: Option<u64>, most: u64) -> bool {
    now > most && before.is_none_or(|before| now > before)
}

/// Permits of a lock that are taken, in one cluster or everywhere.
fn permits(ledger: &Ledger, cluster: Option<&Name>, lock: &Name) -> u64 {
    let holders = ledger.holders.values().filter(|holder| cluster.is_none_or(|cluster| holder.cluster == *cluster));
    let of_lock = holders.flat_map(|holder| holder.locks.iter()).filter(|(name, _)| name == lock);
    of_lock.map(|(_, permits)| u64::from(*permits)).sum()
}

/// Runs and executors of a namespace in a cluster.
fn share_of(ledger: &Ledger, (cluster, namespace): &(Name, Name)) -> (u64, u64) {
    let holders = ledger.holders.values();
    let of_share = holders.filter(|holder| holder.cluster == *cluster && holder.job.namespace == *namespace);
    of_share.fold((0, 0), |(runs, executors), holder| (runs + 1, executors + holder.max_executors))
}

fn of_operation<'a>(ledger: &'a Ledger, key: &ObjectKey) -> BTreeSet<&'a RunId> {
    let of_key = ledger.holders.iter().filter(|(_, it)| it.operation == key.name && it.job.namespace == key.namespace);
    of_key.map(|(run, _)| run).collect()
}

fn of_cluster<'a>(ledger: &'a Ledger, name: &Name) -> BTreeSet<&'a RunId> {
    ledger.holders.iter().filter(|(_, holder)| holder.cluster == *name).map(|(run, _)| run).collect()
}

fn used(ledger: &Ledger, name: &Name) -> Resources {
    let of_cluster = ledger.holders.values().filter(|holder| holder.cluster == *name);
    of_cluster.fold(Resources::default(), |sum, holder| sum.plus(holder.resources()))
}

/// Each dimension within the capacity, or no more than before.
fn fits_each(now: Resources, before: Resources, capacity: Resources) -> bool {
    (now.executors <= capacity.executors || now.executors <= before.executors)
        && (now.milli_cores <= capacity.milli_cores || now.milli_cores <= before.milli_cores)
        && (now.memory_mib <= capacity.memory_mib || now.memory_mib <= before.memory_mib)
}
