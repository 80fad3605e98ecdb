//! What the keeper says about jobs, operations and clusters: values, turned into API status by the shell.

use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;

use foldhash::fast::{FixedState, FoldHasher};

use super::name::Name;
use super::reason::WaitReason;
use super::{Account, Amount, Span, Time, Usage};

/// The summary of a job's conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum JobState {
    /// Seen, but it cannot be queued as it stands (unknown operation, no cluster, can never fit).
    Pending,
    /// Waits for its turn.
    Queued,
    /// Granted; its driver does not run yet.
    Starting,
    /// Its driver runs.
    Running,
    /// Its driver ended; its last pods are going.
    Finishing,
    /// Waits until somebody resumes it.
    Suspended,
    /// Ended well.
    Succeeded,
    /// Ended badly.
    Failed,
    /// Ended because somebody asked for it.
    Cancelled,
    /// Ended when it came: its operation did not take it.
    Refused,
}

impl JobState {
    /// Every state.
    pub const ALL: [Self; 10] = [
        Self::Pending,
        Self::Queued,
        Self::Starting,
        Self::Running,
        Self::Finishing,
        Self::Suspended,
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
        Self::Refused,
    ];

    /// The word in status, columns and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Queued => "Queued",
            Self::Starting => "Starting",
            Self::Running => "Running",
            Self::Finishing => "Finishing",
            Self::Suspended => "Suspended",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
            Self::Cancelled => "Cancelled",
            Self::Refused => "Refused",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }

    /// Whether the job has ended; that never changes again.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled | Self::Refused)
    }
}

/// Where a result URI comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ResultSource {
    /// The driver's termination message.
    TerminationMessage,
    /// The driver pod's annotation.
    PodAnnotation,
    /// `result.uri` of the job or its operation.
    Declared,
}

impl ResultSource {
    /// The word in `status.result.reportedBy`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TerminationMessage => "TerminationMessage",
            Self::PodAnnotation => "PodAnnotation",
            Self::Declared => "Declared",
        }
    }
}

/// One thing that holds a waiting job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocker {
    /// Which.
    pub reason: WaitReason,
    /// In words: short, because it stands in a column.
    pub message: String,
    /// The limit that is reached, where there is one.
    pub limit: Option<u64>,
    /// How much of it is in use.
    pub in_use: Option<u64>,
    /// Jobs that hold it, as far as the reader may see them: those of the job's own namespace.
    pub holders: Vec<Name>,
}

/// Where a waiting job stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueStatus {
    /// Since when it waits.
    pub waiting_since: Time,
    /// Its place among the jobs that wait for the same thing, from 1; near the head only.
    pub position: Option<u32>,
    /// What holds it, in order of precedence. Shared: as many wait for a cluster as there are.
    pub blockers: Vec<Arc<Blocker>>,
}

/// One run in a job's status.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct RunStatus {
    /// Number of the attempt.
    pub number: u32,
    /// Name of the `SparkApplication` once it was seen to exist, empty before: it is never created again then.
    pub application: Box<str>,
    /// Spark's own application id.
    pub application_id: Option<Box<str>>,
    /// Name of the driver pod.
    pub driver_pod: Option<Box<str>>,
    /// How it ended.
    pub outcome: Option<Box<str>>,
    /// Why, in one word.
    pub reason: Option<Box<str>>,
    /// Why, in words.
    pub message: Option<Box<str>>,
    /// Its result.
    pub result_uri: Option<Box<str>>,
    /// When it was granted.
    pub start: Option<Time>,
    /// When it was closed.
    pub completion: Option<Time>,
    /// What it took; once it was closed.
    pub usage: Option<Usage>,
}

/// What tells a status from others under the same headline, for its readers, as one number: made of what is said, and of what stands
/// in the API.
pub struct Fingerprint(FoldHasher<'static>);

impl Fingerprint {
    /// Begins with what every status has. Times have whole seconds in the API.
    #[must_use]
    pub fn new(message: &str, runs: &[RunStatus]) -> Self {
        let mut hasher = FixedState::default().build_hasher();
        message.hash(&mut hasher);
        for run in runs {
            let completion = run.completion.map(|time| time.0.div_euclid(1000));
            (run.number, &run.outcome, &run.result_uri, completion).hash(&mut hasher);
        }
        Self(hasher)
    }

    /// Executors of a run that runs.
    pub fn add_executors(&mut self, executors: ExecutorShare) {
        executors.hash(&mut self.0);
    }

    /// Its place among those that wait.
    pub fn add_position(&mut self, position: Option<u32>) {
        position.hash(&mut self.0);
    }

    /// One that holds it.
    pub fn add_blocker<'a>(
        &mut self,
        message: &str,
        limit: Option<u64>,
        in_use: Option<u64>,
        holders: impl Iterator<Item = &'a str>,
    ) {
        (message, limit, in_use).hash(&mut self.0);
        holders.for_each(|name| name.hash(&mut self.0));
    }

    /// The number.
    #[must_use]
    pub fn finish(&self) -> u64 {
        self.0.finish()
    }
}

/// The whole status of one job; conditions follow from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobStatus {
    /// Which generation of the spec was looked at.
    pub observed_generation: i64,
    /// The summary.
    pub state: JobState,
    /// One word: a waiting or an end reason, or the stage.
    pub reason: &'static str,
    /// What holds it, its result URI, or why it failed.
    pub message: String,
    /// When the job was created: when its first conditions came.
    pub created: Time,
    /// When it came into this state.
    pub since: Time,
    /// Since when its spec is accepted as it stands; `None` = it is not.
    pub accepted: Option<Time>,
    /// Its operation took it, at some time.
    pub let_in: bool,
    /// Where it runs or ran.
    pub cluster: Option<Name>,
    /// While it waits.
    pub queue: Option<QueueStatus>,
    /// Its runs, oldest first.
    pub runs: Vec<RunStatus>,
    /// When it was admitted.
    pub start: Option<Time>,
    /// When it ended.
    pub completion: Option<Time>,
    /// How long it waited, once it started or ended.
    pub waited: Option<Span>,
    /// How long it ran, once it ended.
    pub took: Option<Span>,
    /// Its run's executors.
    pub executors: Option<ExecutorShare>,
    /// What its runs took that were closed; `None` = there is none.
    pub usage: Option<Usage>,
    /// Its result and where that comes from; only for a success.
    pub result: Option<(Box<str>, ResultSource)>,
    /// Publish the declared `result.uri` (with its references resolved) when the application reported none.
    pub declared_result: bool,
}

impl JobStatus {
    /// What it says beside its headline.
    #[must_use]
    pub fn details(&self) -> u64 {
        let mut details = Fingerprint::new(&self.message, &self.runs);
        // How many executors run matters while they do: at its end a run has none, and nobody hears of each that goes.
        if let Some(executors) = self.executors.filter(|_| self.state == JobState::Running) {
            details.add_executors(executors);
        }
        if let Some(queue) = &self.queue {
            details.add_position(queue.position);
            for blocker in &queue.blockers {
                let holders = blocker.holders.iter().map(|name| &**name);
                details.add_blocker(&blocker.message, blocker.limit, blocker.in_use, holders);
            }
        }
        details.finish()
    }
}

/// Executors of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ExecutorShare {
    /// It may have so many.
    pub granted: u64,
    /// So many run.
    pub ready: u64,
    /// So many ran at once, at most.
    pub peak: u64,
}

/// The status of an operation.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct OperationStatus {
    /// Which generation was looked at.
    pub observed_generation: i64,
    /// Runs that are alive.
    pub alive: u32,
    /// Jobs that wait.
    pub queued: u32,
    /// How long its runs took that succeeded of late.
    pub times: Option<RunTimes>,
    /// Nothing of it starts: who holds it, in words.
    pub held: Option<Box<str>>,
    /// What is wrong with it.
    pub defect: Option<Box<str>>,
    /// What its runs took.
    pub account: Account,
}

/// How long runs took, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RunTimes {
    /// The median.
    pub p50: u32,
    /// The 95th percentile.
    pub p95: u32,
}

/// What is said of a pool.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PoolWords {
    /// Its placeholders are yet to come or to go.
    pub is_changing: bool,
    /// One word.
    pub reason: Box<str>,
    /// In words.
    pub message: Box<str>,
}

/// The status of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct ClusterStatus {
    /// Which generation was looked at.
    pub observed_generation: i64,
    /// Runs that are alive on it.
    pub running: u32,
    /// Jobs that wait for it (a job that may go to several counts in each).
    pub queued: u32,
    /// Executors that are granted.
    pub executors_in_use: u64,
    /// Executors that it may have; `None` = unbounded.
    pub executors_max: Option<u64>,
    /// Executors that its pool holds, taken and warm; `None` = it has no pool.
    pub executors_desired: Option<u64>,
    /// Executors that run, placeholders included.
    pub executors_ready: u64,
    /// Placeholders that run; `None` = it has none.
    pub executors_warm: Option<u64>,
    /// How its pool came to be as large as it is.
    pub sized: Option<PoolWords>,
    /// Executors that applications take which no job declared; `None` = they are not counted.
    pub strangers: Option<u64>,
    /// Those applications in words, if there are any.
    pub undeclared: Option<Box<str>>,
    /// The fullest dimension, in percent; `None` when nothing is bounded.
    pub occupancy_percent: Option<u32>,
    /// Some jobs are accepted at this time.
    pub within_window: bool,
    /// The next of its windows to open, and when.
    pub next_window: Option<(Name, Time)>,
    /// Jobs wait because it is full.
    pub saturated: bool,
    /// Nothing starts on it: who holds it, in words.
    pub held: Option<Box<str>>,
    /// `SparkApplication`s can be created.
    pub spark_operator_available: bool,
    /// What is wrong with it.
    pub defect: Option<Box<str>>,
    /// What runs on it took.
    pub account: Account,
    /// What its placeholders took; `None` = it never had one.
    pub warmth: Option<Warmth>,
}

/// What a cluster's placeholders that ran have taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Warmth {
    /// So much.
    pub amount: Amount,
    /// Until then. Since, as many have run as the status says.
    pub until: Time,
}
