//! Why a job waits and why it ended: closed lists, in the words of the API.

/// Why a job is not started yet, in order of precedence: the first that holds is the condition's reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WaitReason {
    /// Its operation is not declared (yet).
    UnknownOperation,
    /// A parameter that the operation refers to is missing, or the operation itself cannot be built.
    InvalidParameters,
    /// No cluster admits it, or the named one does not exist.
    NoMatchingCluster,
    /// It can never fit: more than the cluster has when empty.
    ExceedsClusterMaximum,
    /// The settings hold everything.
    Held,
    /// The operation's limit is 0.
    OperationHeld,
    /// The cluster starts nothing.
    ClusterHeld,
    /// No cluster accepts it at this time.
    OutsideWindow,
    /// As many runs of the operation are alive as it, or the job itself, allows.
    OperationLimitReached,
    /// Its namespace has its share of the cluster.
    NamespaceLimitReached,
    /// The cluster runs as many jobs as it may.
    ClusterLimitReached,
    /// A lock that its operation needs has too few free permits.
    LockTaken,
    /// There is no room for its driver and executors now.
    ClusterOccupied,
    /// As many applications wait for the spark-operator to submit them as may.
    SubmissionPaced,
    /// What is free is kept for a job ranked above that has waited longer than the bound, or nobody may pass one.
    HigherPriorityFirst,
    /// Not looked at yet: the keeper is taking over or rebuilding its ledger.
    PendingEvaluation,
}

impl WaitReason {
    /// The word in conditions, columns and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnknownOperation => "UnknownOperation",
            Self::InvalidParameters => "InvalidParameters",
            Self::NoMatchingCluster => "NoMatchingCluster",
            Self::ExceedsClusterMaximum => "ExceedsClusterMaximum",
            Self::Held => "Held",
            Self::OperationHeld => "OperationHeld",
            Self::ClusterHeld => "ClusterHeld",
            Self::OutsideWindow => "OutsideWindow",
            Self::OperationLimitReached => "OperationLimitReached",
            Self::NamespaceLimitReached => "NamespaceLimitReached",
            Self::LockTaken => "LockTaken",
            Self::ClusterLimitReached => "ClusterLimitReached",
            Self::ClusterOccupied => "ClusterOccupied",
            Self::SubmissionPaced => "SubmissionPaced",
            Self::HigherPriorityFirst => "HigherPriorityFirst",
            Self::PendingEvaluation => "PendingEvaluation",
        }
    }

    /// Whether the job was accepted as it stands, that is, waits only for room or time.
    #[must_use]
    pub fn is_accepted(self) -> bool {
        self > Self::ExceedsClusterMaximum
    }
}

/// Why a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EndReason {
    /// It succeeded.
    Completed,
    /// The application failed by itself.
    ApplicationFailed,
    /// A container was killed for its memory.
    OutOfMemory,
    /// The driver pod vanished or was evicted.
    DriverLost,
    /// The application could not be created or submitted.
    SubmissionFailed,
    /// Somebody else deleted the application.
    ApplicationDeleted,
    /// Somebody else edited the application, which starts it again.
    ApplicationEdited,
    /// Its driver did not run in time.
    StartTimeout,
    /// It took longer than it may.
    DeadlineExceeded,
    /// Somebody asked for its end.
    Cancelled,
    /// Its operation refuses jobs at its limit.
    OperationLimitReached,
    /// As many jobs of its operation wait as may.
    QueueFull,
    /// Its job was suspended, which ends the run and not the job.
    Suspended,
    /// Its cluster accepts it no more at this time and ends what it does not accept, which ends the run and not the job.
    WindowEnded,
}

impl EndReason {
    /// Every reason.
    pub const ALL: [Self; 14] = [
        Self::Completed,
        Self::ApplicationFailed,
        Self::OutOfMemory,
        Self::DriverLost,
        Self::SubmissionFailed,
        Self::ApplicationDeleted,
        Self::ApplicationEdited,
        Self::StartTimeout,
        Self::DeadlineExceeded,
        Self::Cancelled,
        Self::OperationLimitReached,
        Self::QueueFull,
        Self::Suspended,
        Self::WindowEnded,
    ];

    /// The word in conditions, columns and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "Completed",
            Self::ApplicationFailed => "ApplicationFailed",
            Self::OutOfMemory => "OutOfMemory",
            Self::DriverLost => "DriverLost",
            Self::SubmissionFailed => "SubmissionFailed",
            Self::ApplicationDeleted => "ApplicationDeleted",
            Self::ApplicationEdited => "ApplicationEdited",
            Self::StartTimeout => "StartTimeout",
            Self::DeadlineExceeded => "DeadlineExceeded",
            Self::Cancelled => "Cancelled",
            Self::OperationLimitReached => "OperationLimitReached",
            Self::QueueFull => "QueueFull",
            Self::Suspended => "Suspended",
            Self::WindowEnded => "WindowEnded",
        }
    }
}
