//! Takes in what the watches show, and puts every job in its place once all lists are complete.

use super::runs::YOUNGEST_DROPPED;
use super::{Engine, Wake};
use crate::admission::{QueueKey, Rank};
use crate::command::{Change, Kind};
use crate::index::Stage;
use crate::lifecycle::Errand;
use crate::model::{
    ApplicationSeen, ApplicationState, Cluster, Footprint, Holder, Job, JobState, Name, ObjectKey, Operation,
    Placeholder, PodSeen, RunId, Span, Uid, child_name,
};

use crate::admission::JobNumber;

impl Engine {
    pub(super) fn watched(&mut self, change: Change) {
        match change {
            Change::Namespace { name, labels, terminating } => {
                self.relists.name(Kind::Namespace, &cluster_key(&name));
                self.gate.set_namespace(&name, labels, terminating);
                if terminating {
                    self.drop_tombstones_in(&name);
                }
            }
            Change::Unreadable(kind, key) => {
                self.relists.name(kind, &key);
                if kind == Kind::Job {
                    self.unreadable_jobs.insert(key);
                }
            }
            Change::NamespaceGone(name) => self.gate.remove_namespace(&name),
            Change::Cluster(cluster) => {
                self.relists.name(Kind::Cluster, &cluster_key(&cluster.name));
                self.cluster_seen(cluster);
            }
            Change::ClusterGone(name) => self.cluster_gone(&name),
            Change::Operation(operation) => {
                self.relists.name(Kind::Operation, &operation.key);
                self.operation_seen(operation);
            }
            Change::OperationGone(key) => self.operation_gone(&key),
            Change::Job(job) => {
                self.relists.name(Kind::Job, &job.key);
                self.job_seen(*job);
            }
            Change::JobGone(key, uid) => self.job_gone(&key, &uid),
            Change::Application(application) => {
                self.relists.name(Kind::Application, &application.key);
                self.application_seen(*application);
            }
            Change::ApplicationGone(key, uid) => self.application_gone(&key, &uid),
            Change::Pod(pod) => {
                self.relists.name(Kind::Pod, &pod.key);
                self.pod_seen(*pod);
            }
            Change::PodGone(key, uid) => self.pod_gone(&key, &uid),
        }
    }

    /// What a complete list did not name is gone.
    pub(super) fn relist_done(&mut self, kind: Kind) {
        let Some(named) = self.relists.finish(kind) else { return };
        match kind {
            Kind::Namespace => {
                for name in self.gate.namespace_names() {
                    if !named.contains(&cluster_key(&name)) {
                        self.gate.remove_namespace(&name);
                    }
                }
            }
            Kind::Cluster => {
                for name in self.declared_clusters() {
                    if !named.contains(&cluster_key(&name)) {
                        self.cluster_gone(&name);
                    }
                }
            }
            Kind::Operation => {
                for key in self.declared_operations() {
                    if !named.contains(&key) {
                        self.operation_gone(&key);
                    }
                }
            }
            Kind::Job => {
                let known = self.jobs.numbers().into_iter().filter_map(|number| self.jobs.get(number));
                let gone: Vec<_> = known
                    .filter(|entry| !named.contains(&entry.job.key))
                    .map(|entry| (entry.job.key.clone(), entry.job.uid.clone()))
                    .collect();
                gone.iter().for_each(|(key, uid)| self.job_gone(key, uid));
                self.unreadable_jobs.retain(|key| named.contains(key));
                self.dirty_runs.extend(self.runs.keys().cloned());
            }
            Kind::Application => {
                let gone: Vec<_> = self.sightings.application_keys().filter(|(key, _)| !named.contains(key)).collect();
                gone.iter().for_each(|(key, uid)| self.application_gone(key, uid));
            }
            Kind::Pod => {
                let gone: Vec<_> = self.sightings.pod_keys().filter(|(key, _)| !named.contains(key)).collect();
                gone.iter().for_each(|(key, uid)| self.pod_gone(key, uid));
            }
        }
        if !self.synced && self.relists.is_synced() {
            self.take_stock();
        }
    }

    /// Everything is listed for the first time: find the runs that the ledger does not name, place every job.
    fn take_stock(&mut self) {
        self.synced = true;
        if self.drop_strangers() {
            return self.list_anew();
        }
        self.end_needless_quarantine();
        for run in self.sightings.applications.keys().cloned().collect::<Vec<_>>() {
            self.take_in(&run);
        }
        for number in self.jobs.numbers() {
            self.take_in_vanished(number);
            self.place(number);
        }
        self.dirty_runs.extend(self.runs.keys().cloned());
    }

    // ---- clusters and operations ------------------------------------------------------------------------------

    fn declared_clusters(&self) -> Vec<Name> {
        let declared = self.gate.clusters().filter(|(_, entry)| entry.declared.is_some());
        declared.map(|(name, _)| name.clone()).collect()
    }

    fn declared_operations(&self) -> Vec<ObjectKey> {
        let declared = self.gate.operations().filter(|(_, entry)| entry.declared.is_some());
        declared.map(|(key, _)| key.clone()).collect()
    }

    fn cluster_seen(&mut self, mut cluster: Box<Cluster>) {
        let name = cluster.name.clone();
        let published = cluster.published.take();
        self.clusters.entry(name.clone()).or_default().said = published;
        let known = self.gate.cluster(&name).and_then(|entry| entry.declared.as_ref());
        if known != Some(&cluster) {
            self.gate.set_cluster(cluster);
            self.limits_changed();
        }
        self.clusters_changed();
    }

    fn cluster_gone(&mut self, name: &Name) {
        self.gate.remove_cluster(name);
        self.clusters.remove(name);
    }

    fn operation_seen(&mut self, mut operation: Box<Operation>) {
        let key = operation.key.clone();
        let published = operation.published.take();
        self.operations.entry(key.clone()).or_default().said = published;
        let known = self.gate.operation(&key).and_then(|entry| entry.declared.as_ref());
        if known != Some(&operation) {
            let rekey = known.is_none_or(|known| {
                known.defaults != operation.defaults
                    || known.parameters != operation.parameters
                    || known.result_parameters != operation.result_parameters
                    || known.needs_result != operation.needs_result
            });
            self.gate.set_operation(operation);
            self.limits_changed();
            if rekey {
                self.place_jobs_of(&key);
                // How long their runs may take is among the defaults.
                let alive = self.gate.operation(&key).map(|entry| entry.holders.keys().cloned().collect::<Vec<_>>());
                self.dirty_runs.extend(alive.unwrap_or_default());
            }
        }
        self.operation_changed(&key);
    }

    fn operation_gone(&mut self, key: &ObjectKey) {
        self.gate.remove_operation(key);
        self.operations.remove(key);
        self.place_jobs_of(key);
    }

    pub(super) fn operator_available(&mut self, available: bool) {
        self.gate.set_operator_available(available);
        self.clusters_changed();
    }

    // ---- jobs -------------------------------------------------------------------------------------------------

    fn job_seen(&mut self, job: Job) {
        self.not_unreadable(&job.key);
        if let Some(number) = self.jobs.by_key(&job.key) {
            let Some(entry) = self.jobs.get_mut(number) else { return };
            if entry.job.uid == job.uid {
                let same = entry.job.generation == job.generation && entry.job.deleting == job.deleting;
                let ended = is_published_terminal(&job) && (entry.stage != Stage::Ended || entry.ending.is_some());
                // Our own words come back here; but a run that was seen, in a late word of an older leader, stays seen.
                let tells_more = ended || job.published.run.is_some_and(|(_, seen)| seen);
                let known = std::mem::take(&mut entry.job.published);
                let published = if tells_more { job.published.after(known) } else { known };
                entry.job = Job { published, ..job };
                if ended {
                    self.ended_in_api(number);
                } else if !same {
                    self.job_edited(number);
                }
                return;
            }
            let (key, uid) = (entry.job.key.clone(), entry.job.uid.clone());
            self.job_gone(&key, &uid);
        }
        let number = self.jobs.add(job, self.now);
        if self.synced {
            self.place(number);
        }
    }

    /// A job can be read again, or is gone: every run that waited for that is looked at. Which UID an unreadable one had
    /// is not known.
    fn not_unreadable(&mut self, key: &ObjectKey) {
        if self.unreadable_jobs.remove(key) {
            let waiting = self.runs.iter().filter(|(_, run)| run.holder.job == *key);
            self.dirty_runs.extend(waiting.map(|(id, _)| id.clone()));
        }
    }

    /// A terminal status stands in the API, whoever wrote it: that never changes again.
    fn ended_in_api(&mut self, number: JobNumber) {
        self.leave_queue(number);
        let Some(entry) = self.jobs.get_mut(number) else { return };
        entry.stage = Stage::Ended;
        if entry.ending.take().is_none() {
            self.tell_of_foreign_end(number);
        }
        let Some(entry) = self.jobs.get(number) else { return };
        let (uid, state) = (entry.job.uid.clone(), entry.job.published.state);
        if let Some(state) = state {
            self.jobs.set_state(number, state, self.now);
        }
        let runs = self.runs_of(&uid);
        self.dirty_runs.extend(runs);
    }

    fn job_edited(&mut self, number: JobNumber) {
        if self.synced {
            self.place(number);
        }
        self.job_changed(number);
    }

    fn job_gone(&mut self, key: &ObjectKey, uid: &Uid) {
        self.not_unreadable(key);
        self.dirty_runs.extend(self.runs_of(uid));
        let Some(number) = self.jobs.by_key(key) else { return };
        if self.jobs.get(number).is_none_or(|entry| entry.job.uid != *uid) {
            return;
        }
        self.leave_queue(number);
        if let Some(since) = self.jobs.remove(number).and_then(|entry| entry.backlogged) {
            self.backlog.remove(&(since, number));
        }
        for id in self.runs_of(uid) {
            // Nobody is left to tell: an outcome that was to be recorded is not waited for.
            if let Some(run) = self.runs.get_mut(&id).filter(|run| run.errand == Some(Errand::Record)) {
                run.errand = None;
                run.recorded = true;
            }
            self.dirty_runs.insert(id);
        }
    }

    pub(super) fn runs_of(&self, uid: &Uid) -> Vec<RunId> {
        let first = RunId { job: uid.clone(), number: 0 };
        self.runs.range(first..).map(|(run, _)| run).take_while(|run| run.job == *uid).cloned().collect()
    }

    /// Jobs of an operation are looked at anew: their defaults changed.
    fn place_jobs_of(&mut self, key: &ObjectKey) {
        let queues = self.gate.operation(key).map(|entry| entry.queues.clone()).unwrap_or_default();
        let waiting: Vec<JobNumber> = queues
            .iter()
            .filter_map(|number| self.gate.queue(*number))
            .flat_map(|queue| queue.iter().map(|rank| rank.job))
            .collect();
        waiting.into_iter().for_each(|number| self.place(number));
    }

    /// Puts a job where it belongs: at its end, with its run, or into a queue.
    pub(super) fn place(&mut self, number: JobNumber) {
        let Some(entry) = self.jobs.get(number) else { return };
        if entry.stage == Stage::Ended {
            return;
        }
        if entry.job.published.state.is_some_and(JobState::is_terminal) {
            self.leave_queue(number);
            if let Some(entry) = self.jobs.get_mut(number) {
                entry.stage = Stage::Ended;
            }
            return;
        }
        if let Stage::Granted(run) = entry.stage {
            self.dirty_runs.insert(RunId { job: entry.job.uid.clone(), number: run });
            return;
        }
        if let Some(run) = self.runs_of(&entry.job.uid.clone()).pop() {
            self.assign(&run);
            self.dirty_runs.insert(run);
            return;
        }
        if entry.job.deleting {
            self.leave_queue(number);
            // In the quarantine a create of a run that nobody remembers may still land: it is too early to say that it
            // never started. All jobs are placed again when the quarantine is over.
        } else if entry.job.cancel && self.quarantined_until.is_none() {
            self.leave_queue(number);
            self.end_waiting(number);
        } else if entry.job.suspend {
            self.suspend(number);
        } else {
            self.queue(number);
        }
    }

    /// A job that is suspended waits in no queue: it costs nothing and blocks nobody.
    fn suspend(&mut self, number: JobNumber) {
        self.leave_queue(number);
        if let Some(entry) = self.jobs.get_mut(number) {
            entry.stage = Stage::Suspended;
        }
        self.enter_state(number, JobState::Suspended);
        self.job_changed(number);
    }

    fn queue(&mut self, number: JobNumber) {
        let Some(entry) = self.jobs.get(number) else { return };
        let (key, rank) = self.queue_key(&entry.job, number);
        if let Stage::Waiting(queue, old) = &entry.stage {
            if *old == rank && self.gate.queue(*queue).is_some_and(|queue| queue.key == key) {
                return;
            }
            self.leave_queue(number);
        }
        let operation = key.operation.clone();
        let queue = self.gate.enqueue(key, rank.clone());
        if let Some(entry) = self.jobs.get_mut(number) {
            // It was held back, or its last run was ended for that.
            if matches!(entry.state, JobState::Suspended | JobState::Finishing) {
                entry.waiting_since = self.now;
            }
            entry.stage = Stage::Waiting(queue, rank);
        }
        self.operation_changed(&operation);
        self.waits_in(number, queue);
    }

    /// What decides where a job waits: its own fields, then the operation's defaults.
    fn queue_key(&self, job: &Job, number: JobNumber) -> (QueueKey, Rank) {
        let operation = ObjectKey { namespace: job.key.namespace.clone(), name: job.operation.clone() };
        let declared = self.gate.operation(&operation).and_then(|entry| entry.declared.as_deref());
        let defaults = declared.map(|declared| &declared.defaults);
        let priority = job.priority.or_else(|| defaults?.priority).unwrap_or_default();
        let key = QueueKey {
            cluster: job.cluster.clone().or_else(|| defaults?.cluster.clone()),
            bounds: job.executors.or_else(|| defaults?.executors).unwrap_or_default(),
            own_limit: job.own_limit.or_else(|| defaults?.own_limit),
            defect: job.defect.clone().or_else(|| lacking(job, declared?)),
            operation,
        };
        (key, Rank::new(priority, job.created, job.key.name.clone(), number))
    }

    /// Takes a job out of its queue, if it waits in one.
    pub(super) fn leave_queue(&mut self, number: JobNumber) {
        let Some(entry) = self.jobs.get_mut(number) else { return };
        let stage = std::mem::replace(&mut entry.stage, Stage::New);
        let Stage::Waiting(queue, rank) = stage else {
            entry.stage = stage;
            return;
        };
        let operation = ObjectKey { namespace: entry.job.key.namespace.clone(), name: entry.job.operation.clone() };
        self.gate.dequeue(queue, &rank);
        self.operation_changed(&operation);
    }

    // ---- applications and pods --------------------------------------------------------------------------------

    fn application_seen(&mut self, application: ApplicationSeen) {
        let Some(run) = application.run.clone().filter(|run| self.is_ours(run, &application)) else { return };
        if let Some(record) = self.runs.get_mut(&run) {
            record.confirmed = false;
            // The watch was behind a quorum read: it may have caught up.
            record.not_before.take_if(|(errand, _)| *errand == Errand::Confirm);
        }
        if self.sightings.applications.get(&run) == Some(&application) {
            return;
        }
        let known = self.sightings.applications.get(&run).filter(|known| known.uid == application.uid);
        if application.state != ApplicationState::New && known.is_some_and(|it| it.state == ApplicationState::New) {
            let sighted = self.runs.get(&run).and_then(|record| record.sighted);
            let touch = self.touched.entry(application.key.namespace.clone()).or_default();
            touch.at = self.now;
            touch.newest = touch.newest.max(sighted.unwrap_or_default());
        }
        if self.sightings.applications.get(&run).is_some_and(|known| known.uid != application.uid) {
            self.dropping.remove(&run);
        }
        self.sightings.set_application(run.clone(), application);
        if !self.synced {
            return;
        }
        if self.runs.contains_key(&run) {
            self.dirty_runs.insert(run);
        } else {
            self.take_in(&run);
        }
    }

    fn application_gone(&mut self, key: &ObjectKey, uid: &Uid) {
        let Some(run) = self.sightings.remove_application(key, uid) else { return };
        self.dropping.remove(&run);
        self.tombstones.remove(&run);
        if let Some(record) = self.runs.get_mut(&run) {
            record.not_before.take_if(|(errand, _)| *errand == Errand::Confirm);
            self.dirty_runs.insert(run);
        }
    }

    /// Labels can be copied anywhere: what bears a run's label counts only in the namespace of the run.
    fn is_at_home(&self, run: &RunId, namespace: &Name) -> bool {
        let home = self.runs.get(run).map(|record| &record.key.namespace);
        let home = home.or_else(|| self.jobs.of(&run.job).map(|entry| &entry.job.key.namespace));
        let home = home.or_else(|| self.sightings.applications.get(run).map(|it| &it.key.namespace));
        home.is_none_or(|home| home == namespace)
    }

    /// An application is its run's only if it bears the derived name in the job's own namespace: a label alone proves
    /// nothing. Where neither run nor job is known, its own word for the job's name has to fit at least.
    fn is_ours(&self, run: &RunId, application: &ApplicationSeen) -> bool {
        if let Some(record) = self.runs.get(run) {
            return record.key == application.key;
        }
        let job = self.jobs.of(&run.job).map(|entry| &entry.job.key.name).or(application.job.as_ref());
        self.is_at_home(run, &application.key.namespace)
            && job.is_some_and(|job| child_name(job, &run.job, run.number) == *application.key.name)
    }

    /// What was listed before its job was: now it shows whether it belongs there. A stranger may stand where the right
    /// one was not taken in.
    fn drop_strangers(&mut self) -> bool {
        let strangers = self.sightings.applications.iter().filter(|(run, it)| !self.is_ours(run, it));
        let strangers: Vec<_> = strangers.map(|(_, it)| (it.key.clone(), it.uid.clone())).collect();
        strangers.iter().for_each(|(key, uid)| _ = self.sightings.remove_application(key, uid));
        !strangers.is_empty()
    }

    fn pod_seen(&mut self, pod: PodSeen) {
        let run = pod.run.clone();
        let known = self.sightings.pods_of(&run, &pod.key.namespace).and_then(|pods| pods.get(&pod.key.name));
        let is_new_word = known.and_then(|known| known.waiting.as_ref()) != pod.waiting.as_ref();
        self.sightings.set_pod(pod);
        if is_new_word && let Some(number) = self.jobs.by_uid(&run.job) {
            self.job_changed(number);
            // The same reason in other words: what is said is corrected, but not as often as a container tries again.
            self.wakes.set(Wake::Words(number), self.now + self.settings.detail_interval);
        }
        self.pods_changed(run);
    }

    fn pod_gone(&mut self, key: &ObjectKey, uid: &Uid) {
        if let Some(run) = self.sightings.remove_pod(key, uid) {
            self.pods_changed(run);
        }
    }

    fn pods_changed(&mut self, run: RunId) {
        if self.runs.contains_key(&run) {
            self.dirty_runs.insert(run);
        } else if self.synced {
            self.take_in(&run);
        }
    }

    /// An application whose run the ledger does not name: a tombstone, or (after a lost ledger) a live run.
    fn take_in(&mut self, run: &RunId) {
        let in_flight = self.flight.as_ref().is_some_and(|flight| flight.grants.contains_key(run));
        if self.runs.contains_key(run) || in_flight {
            return;
        }
        let Some(application) = self.sightings.applications.get(run) else { return };
        let is_past = self.jobs.of(&run.job).is_some_and(|entry| {
            run.number <= entry.used_up || entry.job.published.runs.iter().any(|past| past.number == run.number)
        });
        let replanned = is_past || application.placeholder == Some(Placeholder::Replan);
        let pods = self.sightings.pods_of(run, &application.key.namespace);
        let has_live_pod = pods.is_some_and(|pods| pods.values().any(|pod| pod.phase.is_live()));
        // An outcome stands in the status before its run is ended: one that is past and still whole may yet start.
        let is_ended = is_past && application.deleting.is_some();
        let over = (is_ended || application.placeholder.is_some() || application.state.is_terminal()) && !has_live_pod;
        // With a ledger that was never lost every run is in it: what it does not name is over, or nobody's.
        let is_trusted = !self.rebuilding && self.quarantined_until.is_none();
        let job_open = match self.jobs.of(&run.job) {
            Some(entry) => entry.stage != Stage::Ended && !is_published_terminal(&entry.job),
            None => !is_trusted && self.is_of_unreadable(application),
        };
        if replanned
            && let Some(number) = self.jobs.by_uid(&run.job)
            && let Some(entry) = self.jobs.get_mut(number)
        {
            entry.used_up = entry.used_up.max(run.number);
        }
        let over = over || (is_trusted && !job_open && application.deleting.is_some() && !has_live_pod);
        if over && (replanned || !job_open) {
            let since = application.terminated.or(application.deleting).unwrap_or(application.created);
            self.bury(run, since);
            return;
        }
        if is_trusted && self.jobs.of(&run.job).is_none() {
            return;
        }
        // A slot that was given back is not charged again; it is only brought to its end.
        let mut holder = holder_of(application);
        if is_trusted && !job_open {
            (holder.footprint, holder.min_executors, holder.max_executors) = (Footprint::default(), 0, 0);
        }
        self.tombstones.remove(run);
        self.hold(run.clone(), holder);
        self.ledger_dirty = true;
    }

    /// Whether an application may be a run of a job that cannot be read: its end may not stand there yet.
    fn is_of_unreadable(&self, application: &ApplicationSeen) -> bool {
        let namespace = application.key.namespace.clone();
        application.job.clone().is_some_and(|name| self.unreadable_jobs.contains(&ObjectKey { namespace, name }))
    }

    /// A job whose status names a run that was seen, while neither the ledger nor the cluster knows it: that run is
    /// not started again.
    fn take_in_vanished(&mut self, number: JobNumber) {
        let Some(entry) = self.jobs.get(number) else { return };
        let Some((attempt, true)) = entry.job.published.run else { return };
        let run = RunId { job: entry.job.uid.clone(), number: attempt };
        let known = self.runs.contains_key(&run) || self.sightings.applications.contains_key(&run);
        let is_past = entry.job.published.runs.iter().any(|past| past.number == attempt);
        if known || is_past || is_published_terminal(&entry.job) {
            return;
        }
        let holder = Holder {
            job: entry.job.key.clone(),
            operation: entry.job.operation.clone(),
            cluster: entry.job.cluster.clone().unwrap_or_else(|| "unknown".into()),
            footprint: Footprint::default(),
            min_executors: 0,
            max_executors: 0,
            granted: entry.since,
            seen: true,
        };
        self.hold(run, holder);
        self.ledger_dirty = true;
    }

    /// How long a tombstone stays. One that is being deleted tells nobody anything any more and only holds its name:
    /// whoever deleted it, or its kind, does not wait for it longer than any request can be on its way.
    pub(super) fn keep_tombstone(&self, run: &RunId) -> Span {
        match self.sightings.applications.get(run) {
            None => Span(0),
            Some(application) if self.gate.is_terminating(&application.key.namespace) => Span(0),
            Some(application) if application.deleting.is_some() => self.settings.tombstone.min(YOUNGEST_DROPPED),
            Some(_) => self.settings.tombstone,
        }
    }

    pub(super) fn bury(&mut self, run: &RunId, since: crate::model::Time) {
        if self.sightings.applications.contains_key(run) {
            self.tombstones.insert(run.clone(), since);
            let until = since + self.keep_tombstone(run);
            self.wakes.set(Wake::Tombstone(run.clone()), until);
            self.cap_tombstones();
        }
    }
}

/// The API's scope has no namespace here; one key type serves both.
fn cluster_key(name: &Name) -> ObjectKey {
    ObjectKey { namespace: "".into(), name: name.clone() }
}

fn is_published_terminal(job: &Job) -> bool {
    job.published.state.is_some_and(JobState::is_terminal)
}

fn holder_of(application: &ApplicationSeen) -> Holder {
    let (footprint, executors) = application.grant.unwrap_or_default();
    let unknown = || Name::from("unknown");
    Holder {
        job: ObjectKey {
            namespace: application.key.namespace.clone(),
            name: application.job.clone().unwrap_or_else(unknown),
        },
        operation: application.operation.clone().unwrap_or_else(unknown),
        cluster: application.cluster.clone().unwrap_or_else(unknown),
        footprint,
        min_executors: executors,
        max_executors: executors,
        granted: application.created,
        seen: true,
    }
}

/// What the operation refers to and the job does not give.
fn lacking(job: &Job, operation: &Operation) -> Option<Box<str>> {
    let name = &operation.key.name;
    if operation.needs_result && !job.declares_result {
        return Some(format!("spec.result.uri is missing: Operation {name} refers to it").into());
    }
    let of_result = operation.result_parameters.iter().filter(|_| !job.declares_result);
    let mut wanted = operation.parameters.iter().chain(of_result);
    let missing = wanted.find(|wanted| job.parameters.binary_search(wanted).is_err())?;
    Some(format!("spec.parameters.{missing} is missing: Operation {name} refers to it").into())
}
