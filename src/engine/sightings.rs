//! Takes in what is seen of applications and pods: whose they are, and which run nobody remembers.

use std::sync::Arc;

use super::runs::YOUNGEST_DROPPED;
use super::{Engine, Wake};
use crate::admission::JobNumber;
use crate::index::Stage;
use crate::lifecycle::Errand;
use crate::model::{
    ApplicationSeen, ApplicationState, Footprint, Holder, Locks, Name, ObjectKey, Placeholder, PodRole, PodSeen, RunId,
    Span, Time, Uid, child_name,
};

impl Engine {
    pub(super) fn application_seen(&mut self, application: Box<ApplicationSeen>) {
        let Some(run) = application.run.clone().filter(|run| self.is_ours(run, &application)) else { return };
        if let Some(record) = self.runs.get_mut(&run) {
            record.confirmed = false;
            // The watch was behind a quorum read: it may have caught up.
            record.not_before.take_if(|(errand, _)| *errand == Errand::Confirm);
        }
        if self.sightings.application(&run) == Some(&application) {
            return;
        }
        let known = self.sightings.application(&run).filter(|known| known.uid == application.uid);
        let was_new = known.is_some_and(|it| it.state == ApplicationState::New);
        if application.state != ApplicationState::New {
            // What others granted may have been taken up long before it is listed here: that tells nothing of the pace.
            if was_new || self.runs.get(&run).is_some_and(|record| record.own_grant) {
                self.gate.take_up(&run);
            } else {
                self.gate.leave_line(&run);
            }
            if was_new {
                let sighted = self.runs.get(&run).and_then(|record| record.sighted);
                let touch = self.touched.entry(application.key.namespace.clone()).or_default();
                touch.at = self.now;
                touch.newest = touch.newest.max(sighted.unwrap_or_default());
            }
        }
        if self.sightings.application(&run).is_some_and(|known| known.uid != application.uid) {
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

    pub(super) fn application_gone(&mut self, key: &ObjectKey, uid: &Uid) {
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
        let home = home.or_else(|| self.sightings.application(run).map(|it| &it.key.namespace));
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

    /// What was listed before its job was: now it shows whether it belongs there. What does not may stand where
    /// the right one was not taken in.
    pub(super) fn drop_misplaced(&mut self) -> bool {
        let misplaced = self.sightings.applications().into_iter().filter(|(run, it)| !self.is_ours(run, it));
        let misplaced: Vec<_> = misplaced.map(|(_, it)| (it.key.clone(), it.uid.clone())).collect();
        misplaced.iter().for_each(|(key, uid)| _ = self.sightings.remove_application(key, uid));
        !misplaced.is_empty()
    }

    pub(super) fn pod_seen(&mut self, mut pod: Box<PodSeen>) {
        let run = pod.run.clone();
        let known = self.sightings.pods_of(&run, &pod.key.namespace).and_then(|pods| pods.get(&pod.key.name));
        // A kubelet that has lost a container does not know any more when it ran.
        let same = known.filter(|known| known.uid == pod.uid);
        pod.started = pod.started.or(same.and_then(|known| known.started));
        if !pod.phase.is_live() {
            pod.ended = pod.ended.or(same.and_then(|known| known.ended)).or(Some(self.now));
        }
        let is_new_word = known.and_then(|known| known.waiting.as_ref()) != pod.waiting.as_ref();
        if pod.role == PodRole::Executor && known.map(|known| known.phase) != Some(pod.phase) {
            self.clusters_changed();
            self.executors_changed(&run);
        }
        self.sightings.set_pod(pod);
        if is_new_word && let Some(number) = self.jobs.by_uid(&run.job) {
            self.job_changed(number);
            // The same reason in other words: what is said is corrected, but not as often as a container tries again.
            self.wakes.set(Wake::Words(number), self.now + self.settings.detail_interval);
        }
        self.pods_changed(run);
    }

    pub(super) fn pod_gone(&mut self, key: &ObjectKey, uid: &Uid) {
        if let Some(gone) = self.sightings.remove_pod(key, uid) {
            self.clusters_changed();
            self.executors_changed(&gone.run);
            if let Some(run) = self.runs.get_mut(&gone.run).filter(|run| run.key.namespace == gone.key.namespace) {
                // One that went before its end was seen has ended by now.
                run.spent = run.spent.plus(gone.spent(self.now));
            }
            self.pods_changed(gone.run);
        }
    }

    /// How many executors of a run run is said with what else is said of it, and not as often as it changes.
    fn executors_changed(&mut self, run: &RunId) {
        if let Some(number) = self.jobs.by_uid(&run.job).filter(|_| self.runs.contains_key(run)) {
            self.wakes.set(Wake::Words(number), self.now + self.settings.detail_interval);
        }
    }

    fn pods_changed(&mut self, run: RunId) {
        if self.runs.contains_key(&run) {
            self.count_pods(&run);
            self.dirty_runs.insert(run);
        } else if self.synced {
            self.take_in(&run);
        }
    }

    /// A run takes what its live pods do, where that is more than was granted.
    pub(super) fn count_pods(&mut self, run: &RunId) {
        let Some(record) = self.runs.get_mut(run) else { return };
        let there = self.sightings.really_there(run, &record.holder.job.namespace);
        self.gate.set_really_there(run, &record.holder, there);
        record.peak = record.peak.max(self.sightings.ready_executors(run, &record.key.namespace));
    }

    /// An application whose run the ledger does not name: a tombstone, or (after a lost ledger) a live run.
    pub(super) fn take_in(&mut self, run: &RunId) {
        let in_flight = self.flight.as_ref().is_some_and(|flight| flight.grants.contains_key(run));
        if self.runs.contains_key(run) || in_flight {
            return;
        }
        let Some(application) = self.sightings.application(run) else { return };
        let is_past = self.jobs.of(&run.job).is_some_and(|entry| {
            run.number <= entry.used_up || entry.job.past_runs().iter().any(|past| past.number == run.number)
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
            Some(entry) => entry.stage != Stage::Ended && entry.job.published_end().is_none(),
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
        // It was closed before, and what it took then is told: what it takes from now on is another thing.
        // A second that is begun counts for the one before.
        let past =
            self.jobs.of(&run.job).and_then(|it| it.job.past_runs().iter().find(|past| past.number == run.number));
        let told = past.and_then(|past| past.completion).map_or(self.now, |told| told + Span::seconds(1));
        holder.granted = if is_past { self.now.max(told) } else { holder.granted };
        if is_trusted && !job_open {
            (holder.footprint, holder.min_executors, holder.max_executors) = (Footprint::default(), 0, 0);
            holder.locks = Locks::default();
        }
        self.tombstones.remove(run);
        self.hold(run.clone(), Arc::new(holder));
        self.ledger_dirty = true;
    }

    /// Whether an application may be a run of a job that cannot be read: its end may not stand there yet.
    fn is_of_unreadable(&self, application: &ApplicationSeen) -> bool {
        let namespace = application.key.namespace.clone();
        application.job.clone().is_some_and(|name| self.unreadable_jobs.contains(&ObjectKey { namespace, name }))
    }

    /// A job whose status names a run that was seen, while neither the ledger nor the cluster knows it: that run is
    /// not started again.
    pub(super) fn take_in_vanished(&mut self, number: JobNumber) {
        let Some(entry) = self.jobs.get(number) else { return };
        let Some((attempt, true)) = entry.job.published_run() else { return };
        let run = RunId { job: entry.job.uid.clone(), number: attempt };
        let known = self.runs.contains_key(&run) || self.sightings.application(&run).is_some();
        let is_past = entry.job.past_runs().iter().any(|past| past.number == attempt);
        if known || is_past || entry.job.published_end().is_some() {
            return;
        }
        let chosen = entry.job.cluster.as_ref().and_then(|choice| choice.name());
        let declared = self.gate.operation(&entry.job.operation_key()).and_then(|entry| entry.declared.as_ref());
        let locks = declared.map(|declared| declared.locks.clone()).unwrap_or_default();
        let holder = Holder {
            job: entry.job.key.clone(),
            operation: entry.job.operation.clone(),
            cluster: chosen.cloned().unwrap_or_else(|| "unknown".into()),
            footprint: Footprint::default(),
            min_executors: 0,
            max_executors: 0,
            locks,
            expected: None,
            granted: entry.since,
            seen: true,
        };
        self.hold(run, Arc::new(holder));
        self.ledger_dirty = true;
    }

    /// How long a tombstone stays. One that is being deleted tells nobody anything any more and only holds its name:
    /// whoever deleted it, or its kind, does not wait for it longer than any request can be on its way.
    pub(super) fn keep_tombstone(&self, run: &RunId) -> Span {
        match self.sightings.application(run) {
            None => Span(0),
            Some(application) if self.gate.is_terminating(&application.key.namespace) => Span(0),
            Some(application) if application.deleting.is_some() => self.settings.tombstone.min(YOUNGEST_DROPPED),
            Some(_) => self.settings.tombstone,
        }
    }

    pub(super) fn bury(&mut self, run: &RunId, since: Time) {
        if self.sightings.application(run).is_some() {
            self.tombstones.insert(run.clone(), since);
            let until = since + self.keep_tombstone(run);
            self.wakes.set(Wake::Tombstone(run.clone()), until);
            self.cap_tombstones();
        }
    }
}

fn holder_of(application: &ApplicationSeen) -> Holder {
    let (footprint, executors, locks) = application.grant.clone().unwrap_or_default();
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
        locks,
        expected: None,
        granted: application.created,
        seen: true,
    }
}
