//! Puts every job where it belongs: at its end, with its run, held back, or into a queue.

use super::wording::cancelled_unstarted;
use super::{Engine, Wake};
use crate::admission::{JobNumber, QueueKey, Rank};
use crate::index::{JobEntry, Stage};
use crate::lifecycle::{Errand, Run};
use crate::model::{EndReason, ExecutorChoice, Hold, Job, JobState, ObjectKey, Operation, RunId, Span, Uid};

impl Engine {
    pub(super) fn job_seen(&mut self, mut job: Job) {
        self.not_unreadable(&job.key);
        self.jobs.share(&mut job);
        if let Some(number) = self.jobs.by_key(&job.key) {
            let Some(entry) = self.jobs.get_mut(number) else { return };
            if entry.job.uid == job.uid {
                job.hold = kept_hold(&entry.job, &job);
                let of = |job: &Job| (job.generation, job.deleting);
                let same = of(&entry.job) == of(&job) && entry.job.answers == job.answers;
                let ended = job.published_end().is_some() && (entry.stage != Stage::Ended || entry.ending.is_some());
                // Our own words come back here; but a run that was seen, in a late word of an older leader, stays seen.
                let tells_more = ended || job.published_run().is_some_and(|(_, seen)| seen);
                let known = entry.job.published.take();
                let published = match (job.published.take(), known) {
                    (Some(told), Some(known)) if tells_more => Some(Box::new(told.after(*known))),
                    (Some(told), None) if tells_more => Some(told),
                    (_, known) => known,
                };
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
        if self.synced && self.gathers(number) {
            self.gathering.insert(number);
            self.wakes.set(Wake::Gathered, self.now + self.settings.gathering);
        } else if self.synced {
            self.place(number);
        }
    }

    /// Those who have gathered are decided on together with all who wait.
    pub(super) fn gathered(&mut self) {
        self.gate.gathered();
        self.is_decided = false;
        std::mem::take(&mut self.gathering).into_iter().for_each(|job| self.place(job));
    }

    /// Whether a job that has just come may take so much that others who come with it had better be known first. Between two
    /// gatherings there is a decision: nobody is kept waiting by ever new ones.
    fn gathers(&mut self, number: JobNumber) -> bool {
        let Some(entry) = self.jobs.get(number) else { return false };
        let job = &entry.job;
        let declared = || self.gate.operation(&job.operation_key())?.declared.as_deref();
        let executors = job.executors.as_ref().or_else(|| declared()?.defaults.executors.as_ref());
        // Most jobs have no choice: nothing more is asked of them.
        let is_elastic = executors.is_some_and(ExecutorChoice::is_elastic);
        let is_new = job.published.is_none() && !job.cancel && !job.suspend;
        if !is_elastic || !is_new || !self.is_decided || self.settings.gathering <= Span(0) {
            return false;
        }
        let (key, rank) = self.queue_key(entry, number);
        self.gate.gather(&key, rank)
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
        match (entry.ending.take(), entry.job.published_end()) {
            (None, _) => self.tell_of_foreign_end(number),
            (Some(ours), Some(JobState::Refused)) if ours.state == JobState::Refused => self.announce(number, &ours),
            _ => {}
        }
        let Some(entry) = self.jobs.get(number) else { return };
        let (uid, state) = (entry.job.uid.clone(), entry.job.published_end());
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

    pub(super) fn job_gone(&mut self, key: &ObjectKey, uid: &Uid) {
        self.not_unreadable(key);
        self.dirty_runs.extend(self.runs_of(uid));
        let Some(number) = self.jobs.by_key(key) else { return };
        if self.jobs.get(number).is_none_or(|entry| entry.job.uid != *uid) {
            return;
        }
        self.leave_queue(number);
        if let Some((turn, _)) = self.jobs.remove(number).and_then(|entry| entry.backlogged) {
            self.backlog.remove(&(turn, number));
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
        self.records_of(uid).map(|(run, _)| run.clone()).collect()
    }

    pub(super) fn records_of(&self, uid: &Uid) -> impl Iterator<Item = (&RunId, &Box<Run>)> {
        self.runs.of_job(uid)
    }

    /// Jobs of an operation are looked at anew: their defaults changed.
    pub(super) fn place_jobs_of(&mut self, key: &ObjectKey) {
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
        if entry.job.published_end().is_some() {
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
        if let Some(run) = self.records_of(&entry.job.uid).last().map(|(run, _)| run.clone()) {
            self.assign(&run);
            self.dirty_runs.insert(run);
            return;
        }
        if entry.job.deleting {
            self.leave_queue(number);
            // In the quarantine a create of a run that nobody remembers may still land: it is too early to say that it
            // never started. All jobs are placed again when the quarantine is over.
        } else if entry.job.cancel && self.quarantined_until.is_none() {
            let message = cancelled_unstarted(&entry.job);
            self.end_unstarted(number, JobState::Cancelled, EndReason::Cancelled, message);
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
        let (key, rank) = self.queue_key(entry, number);
        if let Stage::Waiting(queue, old) = &entry.stage {
            if *old == rank && self.gate.queue(*queue).is_some_and(|queue| queue.key == key) {
                return;
            }
            self.leave_queue(number);
        }
        let operation = key.operation.clone();
        let queue = self.gate.enqueue(key, rank);
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
    fn queue_key(&self, entry: &JobEntry, number: JobNumber) -> (QueueKey, Rank) {
        let job = &entry.job;
        let operation = job.operation_key();
        let declared = self.gate.operation(&operation).and_then(|entry| entry.declared.as_deref());
        let defaults = declared.map(|declared| &declared.defaults);
        let class = job.priority.or_else(|| defaults?.priority).unwrap_or_default();
        let key = QueueKey {
            class,
            cluster: job.cluster.clone().or_else(|| defaults?.cluster.clone()),
            executors: job.executors.clone().or_else(|| defaults?.executors.clone()).unwrap_or_default(),
            own_limit: job.own_limit.or_else(|| defaults?.own_limit),
            answers: job.answers.clone(),
            defect: job.defect.clone().or_else(|| lacking(job, declared?)),
            operation,
        };
        (key, Rank::new(class, job.created, entry.arrival, number, self.settings.aging))
    }

    /// Takes a job out of its queue, if it waits in one.
    pub(super) fn leave_queue(&mut self, number: JobNumber) {
        let Some(entry) = self.jobs.get_mut(number) else { return };
        let stage = std::mem::replace(&mut entry.stage, Stage::New);
        let Stage::Waiting(queue, rank) = stage else {
            entry.stage = stage;
            return;
        };
        let operation = entry.job.operation_key();
        self.comers.remove(&rank);
        self.gate.dequeue(queue, &rank);
        self.operation_changed(&operation);
    }
}

/// Who holds a job back. The time of a manager's entry moves with whatever else that manager changes: the first that was
/// known stands.
fn kept_hold(known: &Job, job: &Job) -> Option<Box<Hold>> {
    let hold = job.hold.clone()?;
    let is_same = (known.cancel, known.suspend) == (job.cancel, job.suspend);
    let first = known.hold.as_ref().filter(|first| is_same && first.by == hold.by);
    Some(Box::new(hold.known_at(first.and_then(|first| first.since))))
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
