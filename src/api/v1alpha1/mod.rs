//! Version `v1alpha1` of the API, a file a kind.
//!
//! Two rules hold for every type here. What is absent is left out when written, so that a null is never stored. And no
//! type refuses unknown fields when it is read: an older keeper must be able to read what a newer one has written.

#![expect(unreachable_pub, reason = "KubeSchema repeats each type inside a function of its own")]
#![expect(clippy::duplicated_attributes, reason = "each printer column has a type of its own, often the same one")]

mod application;
pub mod bounds;
mod compute_cluster;
mod definitions;
mod final_rules;
mod managed_job;
mod managed_job_status;
mod operation;
mod rules;
mod run_ledger;
mod schema;
mod usage;
mod window;

pub use application::{ApplicationSpec, ApplicationType, Dependencies, SparkPod, SparkPodSize};
pub use compute_cluster::{
    ClusterLimits, ComputeCluster, ComputeClusterSpec, ComputeClusterStatus, ExecutorCounts, ExecutorPool,
    ExecutorUnit, JobCounts, NamespaceLimits, NextWindow, OccupancySpec, OnWindowEnd, OrderingSpec, OrderingStrategy,
    SizeSpec, StopPolicy, SubmissionSpec, WarmCapacity,
};
pub use definitions::definitions;
pub use managed_job::{ExecutorBounds, ExecutorChoice, ManagedJob, ManagedJobSpec, Priority, ResultTarget};
pub use managed_job_status::{
    Blocker, ExecutorGrant, JobResult, JobState, ManagedJobStatus, QueueStatus, ReportedBy, RunOutcome, RunStatus,
};
pub use operation::{
    JobDefaults, LockSpec, Operation, OperationSpec, OperationStatus, RunCounts, RunSeconds, WhenAtLimit,
};
pub use run_ledger::{LedgerCluster, LedgerLimit, LedgerLock, LedgerShare, RunLedger, RunLedgerSpec};
pub use usage::{ClusterUsage, JobUsage, OperationUsage};
pub use window::{AcceptSpec, Day, WindowSpec};
