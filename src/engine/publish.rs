//! When statuses are written: nothing for a state that lasts less than two seconds, nothing twice,
//! a bounded number on their way, and each computed when its turn comes, so that none is stale.

use std::collections::BTreeSet;

use super::wording::{blank, reason_of, suspended};
use super::{Engine, Wake, WriteKind};
use crate::admission::{JobNumber, Queue, QueueNumber, Rank, Round};
use crate::command::{Announcement, Command, Failure};
use crate::index::{JobEntry, News, Said, Stage, Unsaid};
use crate::lifecycle::{Errand, RETRY, Run};
use crate::model::{EndReason, JobState, JobStatus, ObjectKey, RunId, Span, Uid};

/// Informational status writes on their way at once; ends are not counted.
const INFORMATIONAL_AT_ONCE: usize = 16;
/// What a waiting job was told and is not so any more is told anew as often as this, all jobs together: so many times at once, then
/// twenty a second, a tenth of what an API server does on one core. Reasons that come and go would cost without bound.
const RETOLD: (i64, Span) = (1000, Span(50));
/// So many times at once a queue's jobs are told of another reason; then each [`detail_interval`](crate::model::Settings::detail_interval).
const TOLD_AT_ONCE: i64 = 3;
/// So many jobs of a queue are looked at in one step when it is told of another reason; the next a moment later.
const TOLD_IN_ONE_STEP: usize = 100;
const MOMENT: Span = Span(1);
/// How long until a status is tried again that the API server refused.
const DENIED: Span = Span::seconds(30);
/// Jobs near the head of an operation whose status carries everything that holds them.
const NEAR_HEAD: usize = 20;

impl Engine {
    // ---- when -------------------------------------------------------------------------------------------------

    /// A job comes into a state (or stays in it).
    pub(super) fn enter_state(&mut self, number: JobNumber, state: JobState) {
        if self.jobs.set_state(number, state, self.now) {
            self.job_changed(number);
        }
    }

    /// Something about a job changed that its status may have to say.
    pub(super) fn job_changed(&mut self, number: JobNumber) {
        let Some(entry) = self.jobs.get(number) else { return };
        let unsaid = entry.said.is_none() || entry.said.as_ref().is_some_and(|said| said.state != entry.state);
        let from = if unsaid { entry.since } else { self.now };
        self.wakes.set(Wake::Job(number), (from + self.settings.status_delay).max(self.now));
    }

    /// A job waits in a queue: its state follows from what holds the queue.
    pub(super) fn waits_in(&mut self, number: JobNumber, queue: QueueNumber) {
        let Some(queue) = self.gate.queue(queue) else { return };
        let is_queued = queue.reason.is_accepted() && !self.comes(number);
        let state = if is_queued { JobState::Queued } else { JobState::Pending };
        self.jobs.set_state(number, state, self.now);
        self.job_changed(number);
        self.clusters_changed();
    }

    /// Queues whose reason changed: everybody in them says so, if it still holds after a while.
    pub(super) fn settle_reasons(&mut self) {
        for (number, before) in self.gate.settle(self.now) {
            let Some(queue) = self.gate.queue(number) else { continue };
            // Who was pending and is queued now, or the other way round, comes into another state at once.
            if queue.reason.is_accepted() == before.is_accepted() {
                if let Some(round) = queue.round {
                    self.gate.set_round(number, Some(Round { again: true, ..round }));
                } else {
                    self.tell_queue(number);
                }
                self.clusters_changed();
            } else {
                let waiting: Vec<JobNumber> = queue.iter().map(|rank| rank.job).collect();
                waiting.into_iter().for_each(|job| self.waits_in(job, number));
            }
        }
        let retold = self.gate.take_retold();
        let operations = retold.into_iter().filter_map(|job| Some(self.jobs.get(job)?.job.operation_key()));
        let operations: Vec<ObjectKey> = operations.collect();
        self.tell_details(operations, self.settings.detail_interval);
        let next = [self.gate.next_overdue(), self.gate.next_impatience()].into_iter().flatten().min();
        if let Some(time) = next {
            self.wakes.set(Wake::Decide, time);
        }
    }

    /// How often people are told of another reason is another thing than before.
    pub(super) fn tell_queues(&mut self) {
        self.gate.queue_numbers().into_iter().for_each(|number| self.tell_queue(number));
    }

    /// Everybody in a queue is told what holds it now, if that still holds after a while.
    fn tell_queue(&mut self, number: QueueNumber) {
        let Some(queue) = self.gate.queue(number) else { return };
        let every = self.settings.detail_interval;
        // The interval may have been longer before.
        let opens = queue.telling.opens(TOLD_AT_ONCE, every).min(self.now + every);
        self.wakes.set(Wake::Queue(number), (self.now + self.settings.status_delay).max(opens));
    }

    /// What holds a queue changed a while ago: those who are next in it are told.
    pub(super) fn publish_queue(&mut self, number: QueueNumber) {
        let Some(queue) = self.gate.queue(number) else { return };
        let mut round = queue.round.unwrap_or_default();
        let next: Vec<Rank> = queue.behind(round.last).take(TOLD_IN_ONE_STEP).copied().collect();
        // Who was never told anything is told in its own time.
        let is_untold = |entry: &JobEntry| entry.said.is_some() && !self.is_told(entry);
        let next_jobs = next.iter().map(|rank| rank.job);
        let untold: Vec<JobNumber> = next_jobs.filter(|job| self.jobs.get(*job).is_some_and(is_untold)).collect();
        if !untold.is_empty() && !round.has_told {
            round.has_told = true;
            self.gate.tell(number, self.settings.detail_interval);
        }
        let is_over = next.len() < TOLD_IN_ONE_STEP;
        round.last = next.last().copied();
        self.gate.set_round(number, Some(round).filter(|_| !is_over));
        if !is_over {
            self.wakes.set(Wake::Queue(number), self.now + MOMENT);
        } else if round.again {
            self.tell_queue(number);
        }
        untold.into_iter().for_each(|job| self.publish_job(job));
    }

    /// What holds the jobs of these operations may be said in other words under the same reason.
    pub(super) fn tell_details(&mut self, operations: impl IntoIterator<Item = ObjectKey>, after: Span) {
        let told = self.now + after;
        operations.into_iter().for_each(|key| self.wakes.set(Wake::Details(key), told));
    }

    pub(super) fn operation_changed(&mut self, key: &ObjectKey) {
        self.wakes.set(Wake::Operation(key.clone()), self.now + self.settings.status_delay);
        self.wakes.set(Wake::Details(key.clone()), self.now + self.settings.detail_interval);
        self.clusters_changed();
    }

    pub(super) fn clusters_changed(&mut self) {
        self.wakes.set(Wake::Clusters, self.now + self.settings.status_delay);
    }

    // ---- jobs -------------------------------------------------------------------------------------------------

    /// A job's status is due.
    pub(super) fn publish_job(&mut self, number: JobNumber) {
        self.publish_if_changed(number, false);
    }

    /// Jobs near the head of an operation's queues say all that holds them, at most this often; and who has been pushed back does
    /// not go on to tell its place among them.
    pub(super) fn publish_details(&mut self, key: &ObjectKey) {
        let first: BTreeSet<JobNumber> = self.first_of(key).into_iter().map(|rank| rank.job).collect();
        let told = self.positions.remove(key).unwrap_or_default();
        let stays: BTreeSet<JobNumber> = told.intersection(&first).copied().collect();
        if !stays.is_empty() {
            self.positions.insert(key.clone(), stays);
        }
        let waits = |job: &JobNumber| {
            let entry = self.jobs.get(*job).filter(|entry| matches!(entry.stage, Stage::Waiting(..)));
            entry.is_some_and(|entry| entry.job.operation_key() == *key)
        };
        let pushed_back: Vec<JobNumber> = told.difference(&first).copied().filter(waits).collect();
        first.into_iter().chain(pushed_back).for_each(|job| self.publish_if_changed(job, true));
    }

    /// What keeps a run from its driver may have come to be another thing under the same reason.
    pub(super) fn publish_words(&mut self, number: JobNumber) {
        self.publish_if_changed(number, true);
    }

    pub(super) fn first_of(&self, key: &ObjectKey) -> Vec<Rank> {
        let Some(operation) = self.gate.operation(key) else { return Vec::new() };
        let queues = operation.queues.iter().filter_map(|number| self.gate.queue(*number));
        let mut first: Vec<Rank> = queues.flat_map(|queue| queue.iter().take(NEAR_HEAD).copied()).collect();
        first.sort();
        first.truncate(NEAR_HEAD);
        first
    }

    /// A job's place among the first of its operation, if it is one of them.
    pub(super) fn position_of(&self, queue: &Queue, rank: &Rank) -> Option<u32> {
        // Who is not near the head of its own queue is not near that of all.
        let mut position = queue.iter().take(NEAR_HEAD).position(|other| other == rank)?;
        if !self.gate.is_only_queue(queue) {
            position = self.first_of(&queue.key.operation).iter().position(|other| other == rank)?;
        }
        u32::try_from(position + 1).ok()
    }

    pub(super) fn publish_backlog(&mut self) {
        while self.informational < INFORMATIONAL_AT_ONCE && !self.is_undecided() {
            let Some(((news, _), _)) = self.backlog.first() else { break };
            let (at_once, every) = RETOLD;
            let opens = self.retelling.opens(at_once, every);
            if *news != News::State && opens > self.now {
                return self.wakes.set(Wake::Retell, opens);
            }
            let Some((_, number)) = self.backlog.pop_first() else { break };
            let Some(entry) = self.jobs.get_mut(number) else { continue };
            // Whatever it waited for its turn with: a new reason, or other words.
            let details = entry.backlogged.take().is_some_and(|(_, unsaid)| unsaid == Unsaid::Words);
            self.publish_if_changed(number, details);
        }
    }

    /// Whether something happened that the next decision will take in: until then nothing true can be said of what holds a job.
    fn is_undecided(&self) -> bool {
        !self.gate.is_settled()
    }

    fn publish_if_changed(&mut self, number: JobNumber, details: bool) {
        let Some(entry) = self.jobs.get(number) else { return };
        if matches!(entry.stage, Stage::New | Stage::Ended) || entry.ending.is_some() {
            return;
        }
        if self.writing.contains_key(&entry.job.uid) {
            if let Some(entry) = self.jobs.get_mut(number) {
                entry.again = entry.again.max(unsaid(details));
            }
            return;
        }
        if !details && self.is_told(entry) {
            return;
        }
        // What it says is computed when its turn comes; of what holds a job, when that is decided.
        let is_waiting = matches!(entry.stage, Stage::Waiting(..));
        let is_retelling = is_waiting && entry.announced == Some(entry.state);
        let (at_once, every) = RETOLD;
        if self.informational >= INFORMATIONAL_AT_ONCE
            || (is_waiting && self.is_undecided())
            || (is_retelling && self.retelling.opens(at_once, every) > self.now)
        {
            let news = match () {
                () if !is_retelling => News::State,
                () if details && self.is_told(entry) => News::Words,
                () => News::Reason,
            };
            return self.wait_for_turn(number, news, unsaid(details));
        }
        let status = match entry.stage {
            Stage::Granted(attempt) => {
                let id = RunId { job: entry.job.uid.clone(), number: attempt };
                let Some(run) = self.runs.get(&id) else { return };
                self.status_of_run(entry, run)
            }
            Stage::Waiting(queue, ref rank) => self.status_of_waiting(entry, queue, rank),
            Stage::Suspended => JobStatus {
                reason: EndReason::Suspended.as_str(),
                message: suspended(entry),
                runs: entry.job.past_runs().to_vec(),
                ..blank(entry, JobState::Suspended)
            },
            Stage::New | Stage::Ended => return,
        };
        if status.queue.as_ref().is_some_and(|queue| queue.position.is_some()) {
            let operation = entry.job.operation_key();
            self.positions.entry(operation).or_default().insert(number);
        }
        let said = self.jobs.said(&status);
        let same = entry
            .said
            .is_some_and(|known| known.headline == said.headline && (!details || known.details == said.details));
        if same {
            return;
        }
        if is_retelling {
            self.retelling.take(self.now, every);
        }
        self.informational += 1;
        self.say(number, status, said, WriteKind::Informational);
    }

    /// Whether a waiting job's status says what holds it, details aside.
    fn is_told(&self, entry: &JobEntry) -> bool {
        let Stage::Waiting(queue, _) = entry.stage else { return false };
        let (Some(queue), Some(said)) = (self.gate.queue(queue), entry.said) else { return false };
        said.headline == self.jobs.headline(entry.state, reason_of(entry, queue).as_str(), entry.job.generation)
    }

    fn wait_for_turn(&mut self, number: JobNumber, news: News, what: Unsaid) {
        let Some(entry) = self.jobs.get_mut(number) else { return };
        let before = entry.backlogged;
        // Who is to be told of a new state, or of another reason, does not wait with the others any more.
        let same = before.filter(|((waits_with, _), _)| *waits_with <= news).map(|(turn, _)| turn);
        let turn = same.unwrap_or((news, self.now));
        entry.backlogged = Some((turn, before.map_or(what, |(_, before)| before.max(what))));
        if same.is_none() {
            before.map(|(turn, _)| self.backlog.remove(&(turn, number)));
            self.backlog.insert((turn, number));
        }
    }

    /// Sends a status and takes it as said; a failure takes that back.
    fn say(&mut self, number: JobNumber, status: JobStatus, said: Said, kind: WriteKind) {
        let Some(entry) = self.jobs.get_mut(number) else { return };
        entry.let_in |= status.accepted.is_some();
        let is_transition = entry.announced != Some(status.state);
        entry.announced = Some(status.state);
        entry.said = Some(said);
        entry.again = Unsaid::Nothing;
        let (key, uid) = (entry.job.key.clone(), entry.job.uid.clone());
        self.writing.insert(uid.clone(), kind);
        // A refusal may not be taken by the API server: people hear of it when it stands.
        if is_transition && status.state != JobState::Refused {
            self.announce(number, &status);
        }
        self.out.push(Command::WriteJobStatus { key, uid, status: Box::new(status) });
    }

    pub(super) fn announce(&mut self, number: JobNumber, status: &JobStatus) {
        let Some(entry) = self.jobs.get(number) else { return };
        self.out.push(Command::Announce(Box::new(Announcement {
            job: entry.job.key.clone(),
            uid: entry.job.uid.clone(),
            state: status.state,
            reason: status.reason,
            // Where a declared result lies is known when the status is written.
            message: if status.declared_result { "succeeded".into() } else { status.message.clone() },
            warning: status.state == JobState::Failed || status.accepted.is_none(),
        })));
    }

    pub(super) fn job_status_written(&mut self, uid: &Uid, result: &Result<(), Failure>) {
        let Some(kind) = self.writing.remove(uid) else { return };
        if kind == WriteKind::Informational {
            self.informational = self.informational.saturating_sub(1);
        }
        // A job that is gone, or was made anew under its name, has nothing to be told any more. A conflict may be a mere
        // race between writers: it is tried again until the watch shows that the job is another one.
        let done = matches!(result, Ok(()) | Err(Failure::Gone));
        if kind == WriteKind::Record {
            // What the API server refuses to record is not worth a slot: the run goes on to its end without.
            self.outcome_recorded(uid, done || matches!(result, Err(Failure::Denied(_))));
        }
        let Some(number) = self.jobs.by_uid(uid) else { return };
        let Some(entry) = self.jobs.get_mut(number) else { return };
        let is_denied = matches!(result, Err(Failure::Denied(_)));
        let is_refusal = entry.ending.as_ref().is_some_and(|status| status.state == JobState::Refused);
        if is_denied && kind == WriteKind::End && is_refusal {
            return self.take_back_refusal(number);
        }
        if !done {
            entry.said = None;
            let is_ending = entry.ending.is_some();
            // What the API server refuses now it will most likely refuse again.
            let again = self.now + if is_denied { DENIED } else { RETRY };
            self.wakes.set(Wake::Job(number), again);
            if is_ending {
                self.wakes.set(Wake::End(number), again);
            }
            // An outcome may have waited behind this write.
            self.outcome_recorded(uid, false);
            return;
        }
        if kind == WriteKind::End {
            let ending = entry.ending.take();
            entry.stage = Stage::Ended;
            let runs = self.runs_of(uid);
            self.dirty_runs.extend(runs);
            if let Some(refusal) = ending.filter(|_| is_refusal && result.is_ok()) {
                self.announce(number, &refusal);
            }
            return;
        }
        let again = entry.again;
        if entry.ending.is_some() {
            self.write_end(number);
        } else if let Some(run) = self.unrecorded(uid) {
            if self.is_recorded(number, &run) {
                self.outcome_recorded(uid, true);
            } else {
                self.write_record(number, &run);
            }
        } else if again != Unsaid::Nothing {
            self.publish_if_changed(number, again == Unsaid::Words);
        }
    }

    // ---- ends -------------------------------------------------------------------------------------------------

    /// A job ends without a run: it was cancelled, or came where it is not taken.
    pub(super) fn end_unstarted(&mut self, number: JobNumber, state: JobState, reason: EndReason, message: String) {
        self.leave_queue(number);
        let Some(entry) = self.jobs.get_mut(number) else { return };
        entry.stage = Stage::Ended;
        let status = JobStatus {
            reason: reason.as_str(),
            message,
            completion: Some(self.now),
            since: self.now,
            waited: Some(self.now - entry.waiting_since),
            runs: entry.job.past_runs().to_vec(),
            ..blank(entry, state)
        };
        self.end(number, status);
    }

    /// A run was closed: its job ends with it.
    pub(super) fn end_run(&mut self, number: JobNumber, run: &Run) {
        let Some(entry) = self.jobs.get(number) else { return };
        if entry.ending.is_some() {
            return;
        }
        let status = self.status_of_end(entry, run);
        self.end(number, status);
    }

    fn end(&mut self, number: JobNumber, status: JobStatus) {
        self.jobs.set_state(number, status.state, self.now);
        if let Some(entry) = self.jobs.get_mut(number) {
            entry.ending = Some(Box::new(status));
        }
        self.write_end(number);
    }

    /// Somebody else wrote an end into a job's status. It stands for ever: people hear that it is not the keeper's word.
    pub(super) fn tell_of_foreign_end(&mut self, number: JobNumber) {
        let Some(entry) = self.jobs.get(number) else { return };
        let Some(state) = entry.job.published_end() else { return };
        self.out.push(Command::Announce(Box::new(Announcement {
            job: entry.job.key.clone(),
            uid: entry.job.uid.clone(),
            state,
            reason: "EndedByOthers",
            message: "somebody else wrote this end into its status: what runs of it is ended".to_owned(),
            warning: true,
        })));
    }

    pub(super) fn write_end(&mut self, number: JobNumber) {
        let Some(entry) = self.jobs.get(number) else { return };
        if self.writing.contains_key(&entry.job.uid) {
            return;
        }
        if let Some(status) = entry.ending.clone() {
            let said = self.jobs.said(&status);
            self.say(number, *status, said, WriteKind::End);
        }
    }

    // ---- outcomes before deletions ----------------------------------------------------------------------------

    /// The outcome of a run goes into its job's status, because its pods are about to go.
    pub(super) fn record_outcome(&mut self, number: JobNumber, run: &Run) {
        let Some(entry) = self.jobs.get(number) else { return };
        if !self.writing.contains_key(&entry.job.uid) {
            self.write_record(number, run);
        }
    }

    /// Whether the outcome of a run stands in its job's status already.
    pub(super) fn is_recorded(&self, number: JobNumber, run: &Run) -> bool {
        let Some(entry) = self.jobs.get(number) else { return false };
        let is_written = !self.writing.contains_key(&entry.job.uid);
        is_written && entry.said.as_ref() == Some(&self.jobs.said(&self.status_of_run(entry, run)))
    }

    fn write_record(&mut self, number: JobNumber, run: &Run) {
        self.jobs.set_state(number, JobState::Finishing, self.now);
        let Some(entry) = self.jobs.get(number) else { return };
        let status = self.status_of_run(entry, run);
        let said = self.jobs.said(&status);
        self.say(number, status, said, WriteKind::Record);
    }

    fn unrecorded(&self, uid: &Uid) -> Option<Box<Run>> {
        self.records_of(uid).map(|(_, run)| run).find(|run| run.errand == Some(Errand::Record)).cloned()
    }

    fn outcome_recorded(&mut self, uid: &Uid, done: bool) {
        for id in self.runs_of(uid) {
            if let Some(run) = self.runs.get_mut(&id).filter(|run| run.errand == Some(Errand::Record)) {
                run.errand = None;
                run.recorded = done;
                run.not_before = (!done).then(|| (Errand::Record, self.now + RETRY));
                self.dirty_runs.insert(id);
            }
        }
    }
}

fn unsaid(details: bool) -> Unsaid {
    if details { Unsaid::Words } else { Unsaid::Headline }
}
