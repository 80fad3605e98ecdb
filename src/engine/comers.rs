//! Who is let in: an operation may refuse jobs that come while it is at its limit, or while enough of them wait.
//!
//! A job is judged once: when it has come and could not start at once. Whoever was let in, or had a run, is never refused.

use super::Engine;
use crate::admission::{JobNumber, Queue, Rank};
use crate::index::Stage;
use crate::model::{EndReason, JobState, ObjectKey};

impl Engine {
    /// Whether a job that could be queued has to be judged first: it has just come, to an operation that may refuse it.
    pub(super) fn comes(&mut self, number: JobNumber) -> bool {
        let Some(entry) = self.jobs.get(number).filter(|entry| !entry.let_in) else { return false };
        let Stage::Waiting(_, rank) = entry.stage else { return false };
        let operation = entry.job.operation_key();
        let declared = self.gate.operation(&operation).and_then(|entry| entry.declared.as_ref());
        if !declared.is_some_and(|declared| declared.may_refuse()) {
            return false;
        }
        self.comers.insert(rank);
        true
    }

    /// Judges who has come and could not start, in order. Tells whether somebody was refused: that one may have kept others
    /// from starting.
    pub(super) fn judge(&mut self) -> bool {
        // Of all operations: one that is refused may have kept a job of another from starting.
        while let Some(rank) = self.comers.pop_first() {
            let number = rank.job;
            let Some(entry) = self.jobs.get(number) else { continue };
            let Stage::Waiting(queue, _) = entry.stage else { continue };
            // What cannot be queued is judged when it can.
            let Some(queue) = self.gate.queue(queue).filter(|queue| queue.reason.is_accepted()) else { continue };
            if let Some((reason, message)) = self.refusal(queue, rank) {
                self.end_unstarted(number, JobState::Refused, reason, message);
                return true;
            }
            self.let_in(number);
        }
        false
    }

    fn let_in(&mut self, number: JobNumber) {
        if let Some(entry) = self.jobs.get_mut(number) {
            entry.let_in = true;
        }
        self.enter_state(number, JobState::Queued);
    }

    /// Why an operation refuses a job of this queue that comes now, in a word and in a sentence.
    fn refusal(&self, queue: &Queue, rank: Rank) -> Option<(EndReason, String)> {
        let key = &queue.key.operation;
        let entry = self.gate.operation(key)?;
        let declared = entry.declared.as_ref()?;
        let (alive, waiting) = (u64::from(entry.alive()), self.jobs.queued_of(key));
        let limit = declared.limit.filter(|_| declared.refuses_at_limit);
        if let Some(limit) = limit.filter(|limit| alive + waiting >= u64::from(*limit)) {
            return Some((EndReason::OperationLimitReached, at_limit(key, limit, alive, waiting)));
        }
        let most = declared.max_queued.filter(|most| waiting >= u64::from(*most))?;
        let name = &key.name;
        let words = if most == 0 {
            let why = self.gate.blockers(queue, rank, self.now).into_iter().next();
            let why = why.map(|blocker| blocker.message.clone()).unwrap_or_default();
            format!("Operation {name} lets no job wait: {why}; submit it again later")
        } else {
            format!("the queue of Operation {name} is full: {waiting} of {most} waiting; submit it again later")
        };
        Some((EndReason::QueueFull, words))
    }

    /// The API server does not take a refusal, since the status says that the job was accepted: then it was.
    pub(super) fn take_back_refusal(&mut self, number: JobNumber) {
        let Some(entry) = self.jobs.get_mut(number) else { return };
        (entry.ending, entry.said) = (None, None);
        (entry.stage, entry.let_in) = (Stage::New, true);
        self.place(number);
    }
}

fn at_limit(key: &ObjectKey, limit: u32, alive: u64, waiting: u64) -> String {
    let name = &key.name;
    let in_use = match (limit, waiting) {
        (0, _) => "it is held (maxConcurrentRuns 0)".to_owned(),
        (_, 0) => format!("{alive} of {limit} running"),
        _ => format!("{alive} running and {waiting} waiting for {limit}"),
    };
    format!("Operation {name} refuses jobs at its limit: {in_use}; submit it again later")
}
