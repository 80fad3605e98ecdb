//! The domain in checked types. Knows no Kubernetes client, no clock and no I/O: whatever reaches these types has
//! already been parsed, so the rooms that decide need no error paths of their own.

mod allowance;
mod answers;
mod cluster;
mod hold;
mod job;
mod ledger;
mod name;
mod operation;
mod outline;
mod pool;
mod reason;
mod resources;
mod run;
mod settings;
mod status;
mod stranger;
mod time;
mod usage;
mod window;

pub use allowance::Allowance;
pub use answers::{Answer, Answered, Answers};
pub use cluster::{Accept, Cluster, ClusterChoice, Requirement, RequirementOperator, Selector, Share, Size, Strategy};
pub use hold::Hold;
pub use job::{Job, Published, TimeLimits};
pub use ledger::{Holder, Ledger, LedgerVersion};
pub use name::{Name, ObjectKey, Uid, child_name, is_label};
pub use operation::{Defaults, Locks, MOST_PERMITS, Operation, are_in_order};
pub use outline::{Essentials, Language, MainFile, Outline, PodMakeup, PodSizing, Problem};
pub use pool::{Cause, Load, PlaceholdersSeen, PoolRules, Resized, units};
pub use reason::{EndReason, WaitReason};
pub use resources::{ExecutorBounds, ExecutorChoice, Footprint, PodSize, Resources};
pub use run::{
    ApplicationSeen, ApplicationState, DriverEnd, Interruption, Outcome, Placeholder, PodPhase, PodRole, PodSeen,
    Report, ReportedResult, RunId,
};
pub use settings::Settings;
pub use status::{
    Blocker, ClusterStatus, ExecutorShare, Fingerprint, JobState, JobStatus, OperationStatus, PoolWords, QueueStatus,
    ResultSource, RunStatus, RunTimes, Warmth,
};
pub use stranger::Stranger;
pub use time::{Span, Time};
pub use usage::{Account, Amount, BillKey, Spent, Usage};
pub use window::{Aperture, Cron, Days, Recurrence, Window, Zone};

/// How urgent a job is. Declared from lowest to highest, so that `Ord` agrees with the word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Priority {
    /// Runs when nothing else wants the room.
    Low,
    /// What a job has when neither it nor its operation says.
    #[default]
    Normal,
    /// Before everything ordinary.
    High,
    /// Before everything.
    Critical,
}

impl Priority {
    /// Every class, highest first: the order in which queues are served.
    pub const DESCENDING: [Self; 4] = [Self::Critical, Self::High, Self::Normal, Self::Low];

    /// The word that users write.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "Low",
            Self::Normal => "Normal",
            Self::High => "High",
            Self::Critical => "Critical",
        }
    }
}
