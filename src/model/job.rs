//! One job, as far as deciding needs it: small, because a hundred thousand of them wait in memory.

use std::num::NonZeroU32;
use std::sync::Arc;

use super::cluster::ClusterChoice;
use super::name::{Name, ObjectKey, Uid};
use super::resources::ExecutorChoice;
use super::{Answers, Hold, JobState, Outcome, Priority, Time, Usage};

/// How long a run may take, in seconds from its grant. What is not said is the operation's to say, then the settings'.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct TimeLimits {
    /// Until its driver runs.
    pub start: Option<NonZeroU32>,
    /// Until it has ended.
    pub active: Option<NonZeroU32>,
}

impl TimeLimits {
    /// These, and what they leave open from `below`.
    #[must_use]
    pub fn over(self, below: Self) -> Self {
        Self { start: self.start.or(below.start), active: self.active.or(below.active) }
    }
}

/// A `ManagedJob` as last seen. Parameters, context and the rest stay in the API until the run is created.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Job {
    /// Namespace and name.
    pub key: ObjectKey,
    /// Its UID.
    pub uid: Uid,
    /// `metadata.generation`.
    pub generation: i64,
    /// When it was created: its age is its place among equals.
    pub created: Time,
    /// The operation it names, in its own namespace.
    pub operation: Name,
    /// Its priority class, where it says one.
    pub priority: Option<Priority>,
    /// It starts only while fewer than this many runs of its operation are alive.
    pub own_limit: Option<u32>,
    /// The only cluster it may run on, where it says one.
    pub cluster: Option<Arc<ClusterChoice>>,
    /// How many executors it wants, where it says so.
    pub executors: Option<ExecutorChoice>,
    /// Names of the parameters that it gives, sorted. Shared, since the jobs of an operation mostly give the same.
    pub parameters: Arc<[Box<str>]>,
    /// It says itself where its result goes.
    pub declares_result: bool,
    /// What it says to clusters' expressions.
    pub answers: Answers,
    /// A reference that cannot be resolved: field path and what would be right.
    pub defect: Option<Box<str>>,
    /// How long its run may take, where it says so.
    pub time_limits: TimeLimits,
    /// Somebody wants it ended.
    pub cancel: bool,
    /// Somebody wants it to wait: no run of it starts, and one that is there is ended.
    pub suspend: bool,
    /// Who cancelled it, or else who suspended it, where that is known.
    pub hold: Option<Box<Hold>>,
    /// It is being deleted.
    pub deleting: bool,
    /// What its status says, as far as that still matters.
    pub published: Option<Box<Published>>,
}

impl Job {
    /// The operation that it names.
    #[must_use]
    pub fn operation_key(&self) -> ObjectKey {
        ObjectKey { namespace: self.key.namespace.clone(), name: self.operation.clone() }
    }

    /// The end that stands in its status.
    #[must_use]
    pub fn published_end(&self) -> Option<JobState> {
        self.published.as_ref()?.state.filter(|state| state.is_terminal())
    }

    /// Its runs that ended without ending it, as its status has them.
    #[must_use]
    pub fn past_runs(&self) -> &[super::RunStatus] {
        self.published.as_ref().map_or(&[], |published| &published.runs)
    }

    /// The newest run that its status knows, and whether that run's application was seen to exist.
    #[must_use]
    pub fn published_run(&self) -> Option<(u32, bool)> {
        self.published.as_ref()?.run
    }

    /// When its status says that a run of it was closed, and what that run took.
    #[must_use]
    pub fn closed_run(&self, number: u32) -> Option<(Time, Usage)> {
        let published = self.published.as_ref()?;
        let newest = published.closed.filter(|_| published.run.is_some_and(|(newest, _)| newest == number));
        let past = || published.runs.iter().find(|past| past.number == number);
        newest.or_else(|| past().and_then(|past| Some((past.completion?, past.usage?))))
    }
}

impl Published {
    /// Whether it tells of an end or a run, which has to be remembered; the rest is read once.
    #[must_use]
    pub fn is_worth_keeping(&self) -> bool {
        let Self { state, run, outcome, runs, .. } = self;
        state.is_some_and(JobState::is_terminal) || run.is_some() || outcome.is_some() || !runs.is_empty()
    }

    /// This, read from the API, and what was known before of runs that it shows unfinished: an end that is yet to be
    /// written is not forgotten.
    #[must_use]
    pub fn after(mut self, known: Self) -> Self {
        // The oldest are left out where there are too many: what they took is among the rest.
        let first = self.runs.iter().map(|run| run.number).min().unwrap_or(0);
        for past in known.runs.into_iter().filter(|past| past.completion.is_some()) {
            match self.runs.iter_mut().find(|run| run.number == past.number) {
                Some(run) if run.completion.is_none() => *run = past,
                Some(_) => {}
                None if past.number < first => {}
                None => self.runs.push(past),
            }
        }
        self.runs.sort_by_key(|run| run.number);
        self
    }
}

/// What stands in a job's status, to continue after a restart and to write nothing that is there already.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Published {
    /// The state; `None` = never written.
    pub state: Option<JobState>,
    /// `observedGeneration`.
    pub observed_generation: i64,
    /// The reason word.
    pub reason: Option<Box<str>>,
    /// What it says beside that, while it waits; see [`Fingerprint`](super::Fingerprint).
    pub details: Option<u64>,
    /// When it came into this state.
    pub since: Option<Time>,
    /// Since when it counts as accepted.
    pub accepted: Option<Time>,
    /// Its operation took it at some time, as far as its status tells.
    pub let_in: bool,
    /// Since when it waits, while it does.
    pub waiting_since: Option<Time>,
    /// The newest run that the status knows, and whether that run's application was seen to exist: its entry names one.
    pub run: Option<(u32, bool)>,
    /// How that run ended, where the status says so already: its pods may be gone.
    pub outcome: Option<Outcome>,
    /// When that run was closed, and what it took, where the status says so.
    pub closed: Option<(Time, Usage)>,
    /// The most executors of that run that ran at once, as far as the status says.
    pub peak: u64,
    /// What runs took that stand in the status no more.
    pub earlier: Usage,
    /// Runs that ended without ending the job, kept as they are: all but the newest one, and that one if it was suspended.
    pub runs: Vec<super::RunStatus>,
}

#[cfg(test)]
mod tests {
    use super::super::RunStatus;
    use super::*;

    #[test]
    fn runs_that_a_full_list_leaves_out_do_not_come_back() {
        let run = |number: u32| RunStatus { number, completion: Some(Time(1000)), ..RunStatus::default() };
        let of =
            |numbers: &[u32]| Published { runs: numbers.iter().map(|it| run(*it)).collect(), ..Published::default() };
        let numbers = |published: Published| published.runs.iter().map(|run| run.number).collect::<Vec<_>>();
        assert_eq!(numbers(of(&[2, 3]).after(of(&[1, 2, 3]))), [2, 3]);
        assert_eq!(numbers(of(&[2, 3]).after(of(&[3, 4]))), [2, 3, 4], "an end that is yet to be written stays");
        assert_eq!(numbers(of(&[]).after(of(&[1]))), [1]);
    }
}
