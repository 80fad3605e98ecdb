//! What a job's status says: of a job that waits, of one with a run, of one that has ended.

use super::Engine;
use super::intent::ADMITTED;
use crate::admission::{Queue, QueueNumber, Rank};
use crate::index::JobEntry;
use crate::lifecycle::Run;
use crate::model::{
    Blocker, EndReason, ExecutorShare, Job, JobState, JobStatus, Outcome, QueueStatus, Report, RunStatus, Usage,
    WaitReason,
};

impl Engine {
    pub(super) fn status_of_waiting(&self, entry: &JobEntry, number: QueueNumber, rank: &Rank) -> JobStatus {
        let Some(queue) = self.gate.queue(number) else { return blank(entry, entry.state) };
        let reason = reason_of(entry, queue);
        let position = self.position_of(queue, rank);
        let blockers = if reason != queue.reason {
            vec![unjudged().into()]
        } else if position.is_some() {
            self.gate.blockers(queue, *rank, self.now)
        } else {
            let first = self.gate.first_blocker(queue, *rank, self.now);
            first.map(|blocker| without_holders(&blocker).into()).into_iter().collect()
        };
        JobStatus {
            reason: reason.as_str(),
            message: blockers.first().map(|blocker| blocker.message.clone()).unwrap_or_default(),
            queue: Some(QueueStatus { waiting_since: entry.waiting_since, position, blockers }),
            runs: entry.job.past_runs().to_vec(),
            ..blank(entry, entry.state)
        }
    }

    pub(super) fn status_of_run(&self, entry: &JobEntry, run: &Run) -> JobStatus {
        let (reason, message) = match (entry.state, self.asked_for(entry, run)) {
            (JobState::Starting | JobState::Running, Some(words)) => ("Ending", words.to_owned()),
            (JobState::Starting, None) => match self.not_started(run, &self.view_of(run)) {
                (ADMITTED, _) => (ADMITTED, format!("as {}", run.key.name)),
                waiting => waiting,
            },
            (JobState::Finishing, _) if run.unconfirmed_since.is_some() => {
                ("Finishing", "its driver has ended; the spark-operator has not said so yet".to_owned())
            }
            (JobState::Finishing, _) => ("Finishing", "its last pods are going".to_owned()),
            _ => ("DriverRunning", format!("as {}", run.key.name)),
        };
        let mut runs = entry.job.past_runs().to_vec();
        runs.retain(|past| past.number != run.id.number);
        runs.push(self.run_status(run));
        JobStatus {
            reason,
            message,
            cluster: Some(run.holder.cluster.clone()),
            usage: usage_of(&entry.job, &runs),
            runs,
            start: Some(run.holder.granted),
            waited: Some(run.holder.granted - entry.waiting_since),
            executors: Some(ExecutorShare {
                granted: run.holder.max_executors,
                ready: self.sightings.ready_executors(&run.id, &run.key.namespace),
                peak: run.peak,
            }),
            ..blank(entry, entry.state)
        }
    }

    pub(super) fn status_of_end(&self, entry: &JobEntry, run: &Run) -> JobStatus {
        let closed = run.closed.unwrap_or(self.now);
        let status = self.status_of_run(entry, run);
        let (state, reason, message, result) = match &run.outcome {
            Some(Outcome::Succeeded(Report::Result(reported))) => {
                let result = (reported.uri.clone(), reported.source);
                (JobState::Succeeded, EndReason::Completed, reported.uri.to_string(), Some(result))
            }
            Some(Outcome::Succeeded(Report::None)) => {
                (JobState::Succeeded, EndReason::Completed, "it reported no result".to_owned(), None)
            }
            Some(Outcome::Succeeded(Report::Refused(why))) => {
                let message = format!("the result that it reported cannot be published: {why}");
                (JobState::Succeeded, EndReason::Completed, message, None)
            }
            Some(Outcome::Failed(reason, words)) => (JobState::Failed, *reason, words.to_string(), None),
            Some(Outcome::Cancelled | Outcome::Suspended(_)) | None => {
                let ran = if run.running_since.is_some() { "while it ran" } else { "before it ran" };
                let by = cancelled_by(&entry.job);
                (JobState::Cancelled, EndReason::Cancelled, format!("cancelled{by} {ran}"), None)
            }
        };
        JobStatus {
            state,
            reason: reason.as_str(),
            message,
            since: closed,
            completion: Some(closed),
            took: Some(closed - run.holder.granted),
            declared_result: state == JobState::Succeeded && result.is_none(),
            result,
            ..status
        }
    }

    pub(super) fn run_status(&self, run: &Run) -> RunStatus {
        let application = self.sightings.application(&run.id);
        let (outcome, reason, message, result_uri) = match &run.outcome {
            None => (None, None, None, None),
            Some(Outcome::Succeeded(report)) => {
                let (refused, uri) = match report {
                    Report::None => (None, None),
                    Report::Result(result) => (None, Some(result.uri.clone())),
                    Report::Refused(why) => (Some(why.clone()), None),
                };
                (Some("Succeeded"), Some(EndReason::Completed), refused, uri)
            }
            Some(Outcome::Failed(reason, words)) => (Some("Failed"), Some(*reason), Some(words.clone()), None),
            Some(Outcome::Cancelled) => (Some("Cancelled"), Some(EndReason::Cancelled), None, None),
            Some(Outcome::Suspended(why)) => (Some("Suspended"), Some(why.reason()), None, None),
        };
        RunStatus {
            number: run.id.number,
            application: if run.holder.seen { (&*run.key.name).into() } else { "".into() },
            application_id: application.and_then(|application| application.application_id.clone()),
            driver_pod: application.and_then(|application| application.driver_pod.clone()),
            outcome: outcome.map(Into::into),
            reason: reason.map(|reason| reason.as_str().into()),
            message,
            result_uri,
            start: Some(run.holder.granted),
            completion: run.closed,
            usage: run.usage,
        }
    }
}

/// What a job waits for: one that came to an operation that may refuse it waits for that to be decided.
pub(super) fn reason_of(entry: &JobEntry, queue: &Queue) -> WaitReason {
    if entry.state == JobState::Pending && queue.reason.is_accepted() {
        return WaitReason::PendingEvaluation;
    }
    queue.reason
}

fn without_holders(blocker: &Blocker) -> Blocker {
    let &Blocker { reason, ref message, limit, in_use, .. } = blocker;
    Blocker { reason, message: message.clone(), limit, in_use, holders: Vec::new() }
}

fn unjudged() -> Blocker {
    let message = "the keeper has not decided yet whether the operation takes it".to_owned();
    Blocker { reason: WaitReason::PendingEvaluation, message, limit: None, in_use: None, holders: Vec::new() }
}

/// What the runs of a job took that were closed: these, and those that its status has no room for any more.
fn usage_of(job: &Job, runs: &[RunStatus]) -> Option<Usage> {
    let earlier = job.published.as_ref().map(|published| published.earlier).filter(|it| *it != Usage::default());
    let closed = runs.iter().filter_map(|run| run.usage);
    closed.chain(earlier).reduce(Usage::plus)
}

/// Who suspended a job, and since when: it was so at the latest when it came into that state.
pub(super) fn suspended(entry: &JobEntry) -> String {
    let since = Some(entry.since).filter(|_| entry.state == JobState::Suspended);
    match &entry.job.hold {
        Some(hold) => {
            format!("suspended by {}: set spec.suspend to false to let it go on", hold.clone().known_at(since))
        }
        None => "spec.suspend is true: set it to false to let it go on".to_owned(),
    }
}

/// What stands in a job that was cancelled while it had no run.
pub(super) fn cancelled_unstarted(job: &Job) -> String {
    let again = if job.past_runs().is_empty() { "" } else { " again" };
    format!("cancelled{} before it started{again}", cancelled_by(job))
}

/// Who cancelled a job and when, as it stands behind `cancelled`; nothing where nobody knows.
fn cancelled_by(job: &Job) -> String {
    let hold = job.hold.as_ref().filter(|_| job.cancel);
    hold.map(|hold| format!(" by {}{}", hold.by, hold.at())).unwrap_or_default()
}

pub(super) fn blank(entry: &JobEntry, state: JobState) -> JobStatus {
    JobStatus {
        observed_generation: entry.job.generation,
        state,
        reason: "",
        message: String::new(),
        created: entry.job.created,
        since: entry.since,
        accepted: match state {
            JobState::Pending | JobState::Refused => None,
            // It was not looked at while it is held back: what was true before is all that is known.
            JobState::Suspended => entry.accepted,
            _ => Some(entry.accepted.unwrap_or(entry.job.created)),
        },
        let_in: entry.let_in,
        cluster: None,
        queue: None,
        runs: Vec::new(),
        start: None,
        completion: None,
        waited: None,
        took: None,
        executors: None,
        usage: usage_of(&entry.job, entry.job.past_runs()),
        result: None,
        declared_result: false,
    }
}
