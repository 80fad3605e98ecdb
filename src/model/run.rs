//! One attempt of a job and what is seen of it in the cluster.

use std::fmt;

use super::name::{Name, ObjectKey, Uid};
use super::resources::{Footprint, PodSize, Resources};
use super::{EndReason, Locks, Spent, Time};

/// A run: a job's UID and the number of the attempt, from 1.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId {
    /// UID of the `ManagedJob`.
    pub job: Uid,
    /// Number of the attempt.
    pub number: u32,
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.job, self.number)
    }
}

impl RunId {
    /// Reads what `Display` wrote.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (job, number) = text.rsplit_once('.')?;
        Some(Self { job: job.into(), number: number.parse().ok()? })
    }
}

/// The spark-operator's word for where an application is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ApplicationState {
    /// The operator has not touched it yet (`""`), and nobody else may.
    #[default]
    New,
    /// Handed to Kubernetes; covers a pending driver for ever.
    Submitted,
    /// The driver runs.
    Running,
    /// Terminal: the driver succeeded.
    Completed,
    /// Terminal: it failed.
    Failed,
    /// Not terminal: the operator will decide.
    SubmissionFailed,
    /// Suspended by `spec.suspend`; a placeholder ends here.
    Suspended,
    /// Any other state; on its way.
    Other,
}

impl ApplicationState {
    /// Only these two are final.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Failed)
    }
}

/// Why a placeholder stands where an application could.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Placeholder {
    /// The job ends without this run, or after its application vanished.
    End,
    /// The run was granted for something that was edited since; the job queues again as its next run.
    Replan,
}

/// A `SparkApplication` that carries our label, as last seen.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ApplicationSeen {
    /// Namespace and name.
    pub key: ObjectKey,
    /// Its own UID.
    pub uid: Uid,
    /// The run it says it is; `None` when its labels make no sense.
    pub run: Option<RunId>,
    /// The job's name, from its annotation.
    pub job: Option<Name>,
    /// The operation's name, from its annotation.
    pub operation: Option<Name>,
    /// The cluster, from its label.
    pub cluster: Option<Name>,
    /// What was granted to it, from its annotation: its size, its executors and its permits.
    pub grant: Option<(Footprint, u64, Locks)>,
    /// When it was created.
    pub created: Time,
    /// Born suspended: it only holds the name of a run that is not to start.
    pub placeholder: Option<Placeholder>,
    /// When it began to be deleted.
    pub deleting: Option<Time>,
    /// Whether it is being deleted in the foreground, so that its pods go before it.
    pub foreground: bool,
    /// Our finalizer is on it.
    pub held: bool,
    /// Somebody changed its spec since it was created: the spark-operator ends what runs, and starts it again.
    pub edited: bool,
    /// Where the operator says it is.
    pub state: ApplicationState,
    /// Why, in the operator's words, cleaned.
    pub message: Option<Box<str>>,
    /// Spark's own application id.
    pub application_id: Option<Box<str>>,
    /// Name of the driver pod.
    pub driver_pod: Option<Box<str>>,
    /// When the operator says it ended.
    pub terminated: Option<Time>,
}

/// Which pod of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PodRole {
    /// The driver.
    Driver,
    /// An executor, or whatever else carries the run's label.
    Executor,
}

/// A pod's phase as far as it matters: only finished pods hold nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PodPhase {
    /// Not started yet.
    Pending,
    /// Started, or unknown (an unreachable node counts as live).
    Running,
    /// Finished well.
    Succeeded,
    /// Finished badly.
    Failed,
}

impl PodPhase {
    /// Whether the pod still holds its slot.
    #[must_use]
    pub fn is_live(self) -> bool {
        matches!(self, Self::Pending | Self::Running)
    }
}

/// A pod that carries our label, as last seen.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PodSeen {
    /// Namespace and name.
    pub key: ObjectKey,
    /// Its UID.
    pub uid: Uid,
    /// The run it belongs to.
    pub run: RunId,
    /// The application that owns it, where it says so: the spark-operator's webhook writes that.
    pub owner: Option<Uid>,
    /// Driver or executor.
    pub role: PodRole,
    /// Where it is.
    pub phase: PodPhase,
    /// What it requests.
    pub request: PodSize,
    /// When the first of its containers started.
    pub started: Option<Time>,
    /// When the last of them ended, once all have.
    pub ended: Option<Time>,
    /// Why a driver that is pending does not run yet, where Kubernetes says so.
    pub waiting: Option<Box<str>>,
    /// What a finished driver left behind.
    pub end: Option<DriverEnd>,
}

impl PodSeen {
    /// What it takes while it lives.
    #[must_use]
    pub fn takes(&self) -> Resources {
        if !self.phase.is_live() {
            return Resources::default();
        }
        let PodSize { milli_cores, memory_mib } = self.request;
        Resources { executors: u64::from(self.role == PodRole::Executor), milli_cores, memory_mib }
    }

    /// What it has taken since its start: until its end, or until then if it goes on.
    #[must_use]
    pub fn spent(&self, until: Time) -> Spent {
        self.started.map_or(Spent::default(), |started| Spent::of(self.request, self.ended.unwrap_or(until) - started))
    }

    /// Whether it is an executor that runs.
    #[must_use]
    pub fn is_ready_executor(&self) -> bool {
        self.role == PodRole::Executor && self.phase == PodPhase::Running
    }
}

/// What a finished driver pod tells.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct DriverEnd {
    /// What the application said of its result.
    pub report: Report,
    /// Why it failed, in words; set for a failed driver only.
    pub failure: Option<Box<str>>,
    /// The failure was the kernel's memory killer.
    pub out_of_memory: bool,
    /// The pod was evicted or disrupted: the application did nothing wrong.
    pub lost: bool,
}

/// What a finished application said of its result.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum Report {
    /// Nothing.
    #[default]
    None,
    /// A URI that may be published.
    Result(ReportedResult),
    /// One that may not: which, and why.
    Refused(Box<str>),
}

/// A result URI from the application, checked: scheme allowed, bounded, no control characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ReportedResult {
    /// The URI.
    pub uri: Box<str>,
    /// Where it was found.
    pub source: super::ResultSource,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The driver succeeded.
    Succeeded(Report),
    /// It failed; the words are Spark's own where there are any.
    Failed(EndReason, Box<str>),
    /// Somebody asked for its end before it ended.
    Cancelled,
    /// It was ended before it came to its end; the job goes on as its next run.
    Suspended(Interruption),
}

/// Why a run is ended while its job goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Interruption {
    /// Its job was suspended.
    JobSuspended,
    /// Its cluster accepts it no more at this time.
    WindowEnded,
}

impl Interruption {
    /// The reason in the run's status.
    #[must_use]
    pub fn reason(self) -> EndReason {
        match self {
            Self::JobSuspended => EndReason::Suspended,
            Self::WindowEnded => EndReason::WindowEnded,
        }
    }

    /// The one with this reason.
    #[must_use]
    pub fn of(reason: Option<&str>) -> Self {
        if reason == Some(EndReason::WindowEnded.as_str()) { Self::WindowEnded } else { Self::JobSuspended }
    }
}

impl Outcome {
    /// Whether the keeper decided it, for a run that would have gone on; the others are what the run came to by itself.
    #[must_use]
    pub fn is_decided(&self) -> bool {
        match self {
            Self::Cancelled | Self::Suspended(_) => true,
            Self::Failed(reason, _) => {
                matches!(reason, EndReason::StartTimeout | EndReason::DeadlineExceeded | EndReason::ApplicationEdited)
            }
            Self::Succeeded(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_read_back_as_it_was_written() {
        let run = RunId { job: "0b5c8d0e-7c55-4b46-9a55-0b0b3c1f9a11".into(), number: 7 };
        assert_eq!(RunId::parse(&run.to_string()), Some(run));
        assert_eq!(RunId::parse("no-number"), None);
        assert_eq!(RunId::parse("uid.x"), None);
    }
}
