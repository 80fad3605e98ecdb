//! Brings each run to its end: asks `lifecycle` what it needs next, and carries that out.

use std::collections::BTreeMap;

use super::{Engine, Wake};
use crate::admission::JobNumber;
use crate::command::{Command, Failure, Kind};
use crate::index::Stage;
use crate::lifecycle::{Errand, Intent, RETRY, Run, Step, View, next, observe, take_end};
use crate::model::{
    ApplicationSeen, ApplicationState, Job, JobState, Name, ObjectKey, Outcome, Placeholder, PodPhase, PodSeen, RunId,
    Span, Time, Usage,
};

/// Tombstones younger than this are never dropped for their number: far longer than a request can be on its way.
pub(super) const YOUNGEST_DROPPED: Span = Span::seconds(300);

/// How long the watch may take to show an application that was created.
const UNTIL_WATCHED: Span = Span::seconds(10);
/// How long a job waits whose run was granted for something that was edited since.
const REPLAN: Span = Span::seconds(5);

impl Engine {
    /// Looks after one run until it needs nothing more at present.
    pub(super) fn look_after(&mut self, id: &RunId) {
        let Some(mut run) = self.runs.lend(id) else { return };
        let before = run.holder.seen;
        let number = self.jobs.by_uid(&id.job);
        while self.advance(&mut run, number) {}
        if run.holder.seen != before {
            self.restated.insert(id.clone());
        }
        self.runs.restore(id, run);
        if let Some(number) = number {
            self.show_state(id, number);
        }
    }

    /// One step of a run, whose job has this number; tells whether to look again at once.
    fn advance(&mut self, run: &mut Run, number: Option<JobNumber>) -> bool {
        if run.closed.is_some() {
            self.gate.leave_line(&run.id);
            return self.end_closed(run);
        }
        let entry = number.and_then(|number| self.jobs.get(number));
        self.remember_defaults(run, entry);
        if !run.own_grant
            && let Some(published) = entry.and_then(|entry| entry.job.published.as_ref())
            && let Some((last, seen)) = published.run
            && last == run.id.number
        {
            if seen {
                run.see();
            }
            run.outcome = run.outcome.take().or_else(|| published.outcome.clone());
            run.peak = run.peak.max(published.peak);
        }
        let view = self.view_of(run);
        observe(run, &view, self.now);
        let intent = self.intent(run, &view, entry);
        let step = next(run, &view, &intent, &self.settings, self.now);
        let application = view.application.map(|application| (application.key.clone(), application.uid.clone()));
        if let Some(number) = number {
            self.wake_when_late(run, number);
        }
        match step {
            Step::Wait(Some(until)) => self.wakes.set(Wake::Run(run.id.clone()), until),
            Step::Wait(None) => {}
            // Nothing can be built of a job that cannot be read, and its status may say that this run was there before.
            Step::Create(None) if self.unreadable_jobs.contains(&run.holder.job) => {}
            Step::Create(placeholder) => self.create(run, placeholder),
            Step::Confirm => {
                run.errand = Some(Errand::Confirm);
                self.out.push(Command::ConfirmRun { run: run.id.clone(), key: run.key.clone() });
            }
            Step::Record => return self.record(run, &intent),
            Step::Delete => {
                let Some((key, uid)) = application else { return false };
                run.errand = Some(Errand::Delete);
                run.deleted = true;
                self.out.push(Command::DeleteApplication { run: run.id.clone(), key, uid });
            }
            Step::Close(_) if application.is_none() && !self.is_given_up(&run.id) => {
                // Nothing in the cluster holds its name: the ledger has to tell every later leader not to create it.
                run.see();
                self.ledger_dirty = true;
            }
            Step::Close(outcome) => {
                run.outcome = Some(outcome);
                self.close(run);
                self.remember_time(run);
                return true;
            }
            Step::CloseForReplan => self.replan(run),
        }
        false
    }

    /// What the watches show of a run.
    pub(super) fn view_of(&self, run: &Run) -> View<'_> {
        static NO_PODS: BTreeMap<Name, Box<PodSeen>> = BTreeMap::new();
        let pods = self.sightings.pods_of(&run.id, &run.key.namespace).unwrap_or(&NO_PODS);
        let application = self.sightings.application(&run.id);
        View {
            application,
            pods,
            driver: pods.values().map(Box::as_ref).find(|pod| run.is_driver(pod, application)),
            listing: self.relists.is_listing(Kind::Pod),
        }
    }

    /// Whether the ledger says that a run is not to be created (again).
    fn is_given_up(&self, id: &RunId) -> bool {
        self.acknowledged.holders.get(id).is_some_and(|holder| holder.seen)
    }

    fn create(&mut self, run: &mut Run, placeholder: Option<Placeholder>) {
        run.errand = Some(Errand::Create);
        let (run, holder) = (run.id.clone(), run.holder.clone());
        self.out.push(Command::CreateApplication { run, holder, placeholder });
    }

    /// Pods are about to be deleted: the outcome has to stand in the job's status first.
    fn record(&mut self, run: &mut Run, intent: &Intent) -> bool {
        run.outcome = run.outcome.take().or_else(|| intent.outcome());
        let number = self.jobs.by_uid(&run.id.job);
        match number.and_then(|number| Some((number, self.jobs.get(number)?))) {
            Some((number, entry)) if entry.stage != Stage::Ended && !self.is_recorded(number, run) => {
                run.errand = Some(Errand::Record);
                self.record_outcome(number, run);
                false
            }
            _ => {
                run.recorded = true;
                true
            }
        }
    }

    /// A closed run: the job's end is written, then the slot is given back.
    fn end_closed(&mut self, run: &mut Run) -> bool {
        let Some(number) = self.jobs.by_uid(&run.id.job) else {
            // The end of a job that cannot be read has nowhere to stand: until it has, the ledger keeps the run.
            if !self.unreadable_jobs.contains(&run.holder.job) {
                self.ended.insert(run.id.clone());
            }
            return false;
        };
        let Some(entry) = self.jobs.get(number) else { return false };
        let is_current = entry.stage == Stage::Granted(run.id.number);
        if is_current && matches!(run.outcome, Some(Outcome::Suspended(_))) {
            return self.end_suspended(number, run);
        }
        // A run without an outcome was closed to be planned anew: its job goes on.
        if is_current && run.outcome.is_some() {
            self.end_run(number, run);
        } else if entry.ending.is_none() {
            // An end that another leader wrote late may stand there: its word on what the run took is the one that stands.
            if let Some((closed, usage)) = closed_before(&entry.job, run) {
                (run.closed, run.usage) = (Some(closed), run.usage.map(|_| usage));
            }
            self.ended.insert(run.id.clone());
        }
        false
    }

    /// A run ended because its job is suspended: that stands in the job's status before its slot goes back.
    fn end_suspended(&mut self, number: JobNumber, run: &mut Run) -> bool {
        match run.not_before {
            _ if run.errand.is_some() => {}
            Some((Errand::Record, until)) if until > self.now => self.wakes.set(Wake::Run(run.id.clone()), until),
            _ if !run.recorded && !self.is_recorded(number, run) => {
                run.errand = Some(Errand::Record);
                self.record_outcome(number, run);
            }
            _ => {
                self.keep_ended_run(number, run);
                self.ended.insert(run.id.clone());
            }
        }
        false
    }

    /// Nothing of the run is left: what it took is known, once and for all. If its job's status says that already, a leader before
    /// has closed it.
    fn close(&self, run: &mut Run) {
        let told = self.jobs.of(&run.id.job).and_then(|entry| closed_before(&entry.job, run));
        let (closed, usage) = told.unwrap_or_else(|| {
            let pods = self.sightings.pods_of(&run.id, &run.key.namespace).into_iter().flat_map(BTreeMap::values);
            let spent = pods.fold(run.spent, |sum, pod| sum.plus(pod.spent(self.now)));
            (self.now, Usage::of(&run.holder, self.now, spent))
        });
        (run.closed, run.usage) = (Some(closed), Some(usage));
        // What stands there of a run that is suspended is yet to say what it took.
        run.recorded &= !matches!(run.outcome, Some(Outcome::Suspended(_)));
    }

    /// The run never started: its slot goes back and its job queues again as the next run.
    fn replan(&mut self, run: &mut Run) {
        run.closed = Some(self.now);
        self.ended.insert(run.id.clone());
        let Some(number) = self.jobs.by_uid(&run.id.job) else { return };
        if let Some(entry) = self.jobs.get_mut(number) {
            entry.used_up = entry.used_up.max(run.id.number);
        }
    }

    /// A run left the ledger. Its application stays as a tombstone; a replanned job queues again.
    pub(super) fn forget_run(&mut self, id: &RunId) {
        self.ended.remove(id);
        self.unnamed.remove(id);
        let Some(run) = self.runs.remove(id) else { return };
        self.operation_changed(&run.holder.operation_key());
        self.bury(id, run.closed.unwrap_or(self.now));
        if let Some(number) = self.jobs.by_uid(&id.job)
            && let Some(entry) = self.jobs.get_mut(number)
            && entry.stage == Stage::Granted(id.number)
        {
            entry.stage = Stage::New;
            let is_suspended = entry.job.suspend || matches!(run.outcome, Some(Outcome::Suspended(_)));
            let pause = if is_suspended { Span(0) } else { REPLAN };
            self.wakes.set(Wake::Place(number), self.now + pause);
        }
    }

    /// The state of a job that has a run, from what is seen of the run.
    fn show_state(&mut self, id: &RunId, number: JobNumber) {
        let Some(run) = self.runs.get(id) else { return };
        let Some(entry) = self.jobs.get(number) else { return };
        if entry.stage != Stage::Granted(id.number) {
            return;
        }
        let runs = || self.view_of(run).driver.is_some_and(|driver| driver.phase == PodPhase::Running);
        let state = match () {
            () if run.outcome.is_some() || run.deleted => JobState::Finishing,
            () if run.running_since.is_some() || runs() => JobState::Running,
            () => JobState::Starting,
        };
        self.enter_state(number, state);
    }

    // ---- receipts ---------------------------------------------------------------------------------------------

    pub(super) fn created(&mut self, id: &RunId, result: Result<Box<ApplicationSeen>, Failure>) {
        let Some(run) = self.runs.get(id) else { return };
        let is_ending =
            run.holder.seen || self.intent(run, &self.view_of(run), self.jobs.of(&run.id.job)) != Intent::Run;
        let Some(run) = self.runs.get_mut(id) else { return };
        run.errand = None;
        let again = (Errand::Create, self.now + RETRY);
        let mut kind_is_missing = false;
        match result {
            Ok(application) if application.run.as_ref() == Some(id) && application.key == run.key => {
                // The watch shows it: taking it in from here could bring back one that is gone again. From now on the
                // run is never created a second time; should the watch never show it, a placeholder takes the name.
                if application.placeholder.is_none() {
                    run.see();
                    self.restated.insert(id.clone());
                }
                run.denied = None;
                run.not_before = Some((Errand::Create, self.now + UNTIL_WATCHED));
                // However long its way was, the spark-operator can have known of it only now.
                let seen = self.sightings.application(id);
                if application.placeholder.is_none() && seen.is_none_or(|seen| seen.state == ApplicationState::New) {
                    self.gate.join_line(id);
                }
            }
            Ok(application) => {
                let words = format!("SparkApplication {} was made by somebody else", application.key.name);
                run.denied.get_or_insert((self.now, words.into()));
                run.not_before = Some(again);
            }
            Err(Failure::GrantOutdated) => run.outdated = true,
            Err(Failure::Denied(words)) => {
                let since = run.denied.as_ref().map_or(self.now, |(since, _)| *since);
                run.denied = Some((since, words));
                run.not_before = Some(again);
            }
            Err(Failure::NamespaceTerminating) => {
                run.denied.get_or_insert((self.now, "its namespace is being deleted".into()));
                run.not_before = Some(again);
            }
            // No job can be gone for a placeholder: the namespace or the kind is.
            Err(missing @ (Failure::Gone | Failure::KindMissing)) => {
                kind_is_missing = missing == Failure::KindMissing;
                if is_ending {
                    run.denied.get_or_insert((self.now, "its namespace or its kind is gone".into()));
                } else if kind_is_missing {
                    run.trouble =
                        Some("the API server knows no SparkApplications: is the spark-operator installed?".into());
                }
                run.not_before = Some(again);
            }
            // It may have been created: patience begins anew.
            Err(Failure::Unknown(words)) => {
                run.trouble = Some(words);
                if let Some((since, _)) = &mut run.denied {
                    *since = self.now;
                }
                run.not_before = Some(again);
            }
            Err(Failure::NotSent(words) | Failure::Conflict(words)) => {
                run.trouble = Some(words);
                run.not_before = Some(again);
            }
        }
        let job = run.id.job.clone();
        if run.denied.is_some() {
            self.refused.insert(id.clone());
        }
        self.dirty_runs.insert(id.clone());
        if let Some(number) = self.jobs.by_uid(&job) {
            self.job_changed(number);
        }
        if kind_is_missing {
            self.drop_leaving_tombstones();
        }
    }

    pub(super) fn confirmed(
        &mut self,
        id: &RunId,
        result: Result<(Option<Box<ApplicationSeen>>, Vec<PodSeen>), Failure>,
    ) {
        let Some(run) = self.runs.get_mut(id) else { return };
        run.errand = None;
        self.dirty_runs.insert(id.clone());
        // A verdict, not news: the watches may be ahead of it by now, so nothing of it is taken into the view. Only a
        // finished driver that the watch has not shown tells its outcome.
        let is_known = self.sightings.application(id).is_some();
        let own = result.map(|(application, pods)| {
            let stands = application.is_some_and(|it| it.run.as_ref() == Some(id));
            (stands, pods.into_iter().filter(|pod| pod.run == *id).collect::<Vec<_>>())
        });
        match own {
            // The watch is behind: it will show what changed.
            Ok((stands, _)) if stands != is_known => {
                run.not_before = Some((Errand::Confirm, self.now + UNTIL_WATCHED));
            }
            Ok((_, pods)) if !pods.iter().any(|pod| pod.phase.is_live()) => {
                run.confirmed = true;
                let driver = pods.iter().find(|pod| run.is_driver(pod, self.sightings.application(id)));
                let killed = run.deleted || run.leaving.is_some();
                if let Some(driver) = driver.filter(|pod| pod.phase == PodPhase::Succeeded || !killed) {
                    take_end(run, driver);
                }
            }
            _ => run.not_before = Some((Errand::Confirm, self.now + RETRY)),
        }
    }

    pub(super) fn deleted(&mut self, id: &RunId, result: &Result<(), Failure>) {
        let Some(run) = self.runs.get_mut(id) else { return };
        run.errand = None;
        // Until the watch shows the deletion there is nothing more to do; a failed one is tried again.
        // Pods may take their grace period (30 s) to go.
        let pause = if result.is_ok() { Span::seconds(45) } else { RETRY };
        run.not_before = Some((Errand::Delete, self.now + pause));
        self.dirty_runs.insert(id.clone());
    }

    // ---- tombstones -------------------------------------------------------------------------------------------

    /// The time of a tombstone has come, unless it was buried again or the settings changed meanwhile.
    pub(super) fn tombstone_due(&mut self, id: &RunId) {
        let Some(since) = self.tombstones.since(id) else { return };
        let until = since + self.keep_tombstone(id);
        if until > self.now {
            self.wakes.set(Wake::Tombstone(id.clone()), until);
            self.cap_tombstones();
        } else {
            self.drop_tombstone(id);
        }
    }

    /// Tombstones are timed anew: how long they stay has changed.
    pub(super) fn time_tombstones(&mut self) {
        for (since, run) in self.tombstones.oldest_first().cloned().collect::<Vec<_>>() {
            let until = since + self.keep_tombstone(&run);
            self.wakes.set(Wake::Tombstone(run), until);
        }
    }

    pub(super) fn drop_tombstone(&mut self, id: &RunId) {
        if !self.tombstones.contains(id) || self.runs.contains_key(id) || self.dropping.contains(id) {
            return;
        }
        if let Some(application) = self.sightings.application(id) {
            self.dropping.insert(id.clone());
            let (key, uid) = (application.key.clone(), application.uid.clone());
            self.out.push(Command::DropTombstone { key, uid });
        }
    }

    pub(super) fn tombstone_dropped(&mut self, key: &ObjectKey, result: &Result<(), Failure>) {
        let Some(id) = self.dropping.iter().find(|id| self.is_application(id, key)).cloned() else { return };
        // Until the watch shows that it is gone it counts as being dropped: nothing is asked for twice.
        let pause = match result {
            Ok(()) | Err(Failure::Gone) => return,
            // It went with its kind; the watch shows that once the kind is back.
            Err(Failure::KindMissing) => YOUNGEST_DROPPED,
            Err(_) => Span::seconds(30),
        };
        self.dropping.remove(&id);
        self.wakes.set(Wake::Tombstone(id), self.now + pause);
    }

    fn is_application(&self, id: &RunId, key: &ObjectKey) -> bool {
        self.sightings.application(id).is_some_and(|application| application.key == *key)
    }

    /// Nothing can be created in a namespace that is being deleted: tombstones only hold it up.
    pub(super) fn drop_tombstones_in(&mut self, namespace: &Name) {
        self.drop_tombstones(|application| application.key.namespace == *namespace);
    }

    /// No application can be created while their kind is being deleted: tombstones only hold it up.
    fn drop_leaving_tombstones(&mut self) {
        self.drop_tombstones(|application| application.deleting.is_some());
    }

    fn drop_tombstones(&mut self, is_one: impl Fn(&ApplicationSeen) -> bool) {
        let runs = self.tombstones.oldest_first().map(|(_, run)| run);
        let those = runs.filter(|run| self.sightings.application(run).is_some_and(&is_one));
        for run in those.cloned().collect::<Vec<_>>() {
            self.drop_tombstone(&run);
        }
    }

    /// The oldest go first where there are too many.
    pub(super) fn cap_tombstones(&mut self) {
        let excess = self.tombstones.len().saturating_sub(self.settings.max_tombstones + self.dropping.len());
        for _ in 0..excess {
            let oldest = self.tombstones.oldest_first().find(|(_, run)| !self.dropping.contains(run)).cloned();
            let Some((since, run)) = oldest else { break };
            // Those after it are younger still: one is enough to look again in time.
            if self.now - since < YOUNGEST_DROPPED {
                self.wakes.set(Wake::Tombstone(run), since + YOUNGEST_DROPPED);
                break;
            }
            self.drop_tombstone(&run);
            if !self.dropping.contains(&run) {
                break;
            }
        }
    }
}

/// When another leader closed a run and what it took until then, as its job's status says.
fn closed_before(job: &Job, run: &Run) -> Option<(Time, Usage)> {
    job.closed_run(run.id.number).filter(|_| !run.own_grant)
}
