//! A declared kind of job, as far as deciding needs it.

use std::sync::Arc;

use super::cluster::ClusterChoice;
use super::name::{Name, ObjectKey, Uid};
use super::resources::ExecutorChoice;
use super::{Account, Hold, Outline, Priority, Span, TimeLimits};

/// Permits of locks on what jobs share, such as a data store, by the lock's name, which is in order. Each at least one.
pub type Locks = Arc<[(Name, u32)]>;

/// Permits of any one lock at most, as the schemas have it.
pub const MOST_PERMITS: u32 = 1_000_000;

/// Whether locks from outside are as they are held: each once, in order, with a permit at least.
#[must_use]
pub fn are_in_order(locks: &[(Name, u32)]) -> bool {
    locks.is_sorted_by(|one, next| one.0 < next.0) && locks.iter().all(|(_, permits)| *permits >= 1)
}

/// An Operation. What it runs stays outside the core; its size and its limits are here.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Operation {
    /// Where it is declared; jobs of the same namespace name it.
    pub key: ObjectKey,
    /// Its UID.
    pub uid: Uid,
    /// `metadata.generation`.
    pub generation: i64,
    /// Runs of it that may be alive at once; `None` = no limit, 0 = held.
    pub limit: Option<u32>,
    /// Who holds it by a limit of 0, where that is known.
    pub hold: Option<Hold>,
    /// A job that comes while as many run or wait as the limit allows is refused.
    pub refuses_at_limit: bool,
    /// Jobs that may wait; one that comes while as many do is refused. `None` = any number.
    pub max_queued: Option<u32>,
    /// How long a run takes, as its owner thinks; until runs have shown it.
    pub expected: Option<Span>,
    /// Permits that each of its runs holds.
    pub locks: Locks,
    /// What a job that leaves a field out gets.
    pub defaults: Defaults,
    /// What its application is, and the size of its pods.
    pub outline: Outline,
    /// Parameters that its application refers to, sorted; a job that lacks one is not started.
    pub parameters: Vec<Box<str>>,
    /// Parameters that its default `result.uri` refers to, sorted; a job with a result of its own needs none of them.
    pub result_parameters: Vec<Box<str>>,
    /// Its application refers to `$(result.uri)`, and it has no default for one.
    pub needs_result: bool,
    /// What is wrong with it so that nothing of it can be built: the field path, the value and what would be right.
    pub defect: Option<Box<str>>,
    /// The status as it stands in the API, to compare before writing: `(observed generation, alive, queued, ready)`.
    pub published: Option<super::OperationStatus>,
    /// Its account as it stands in the API.
    pub account: Account,
}

impl Operation {
    /// Whether it may refuse a job that comes.
    #[must_use]
    pub fn may_refuse(&self) -> bool {
        self.refuses_at_limit || self.max_queued.is_some()
    }
}

/// Defaults of an operation for its jobs.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Defaults {
    /// Priority class.
    pub priority: Option<Priority>,
    /// The job's own limit on live runs of the operation.
    pub own_limit: Option<u32>,
    /// The cluster.
    pub cluster: Option<Arc<ClusterChoice>>,
    /// How many executors.
    pub executors: Option<ExecutorChoice>,
    /// How long a run may take.
    pub time_limits: TimeLimits,
}
