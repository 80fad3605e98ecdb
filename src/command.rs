//! The two closed lists that join the core to the world: what it can be told, and what it can ask for.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::{
    ApplicationSeen, Cluster, ClusterStatus, Holder, Job, JobState, JobStatus, Ledger, LedgerVersion, Name, ObjectKey,
    Operation, OperationStatus, Placeholder, PlaceholdersSeen, PodSeen, Resized, RunId, Settings, Stranger, Uid, Usage,
};

/// The kinds that are watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Namespaces, for the clusters' selectors.
    Namespace,
    /// `ComputeCluster`.
    Cluster,
    /// `Operation`.
    Operation,
    /// `ManagedJob`.
    Job,
    /// `SparkApplication`s with our label.
    Application,
    /// `SparkApplication`s without it.
    Stranger,
    /// Pods with our label.
    Pod,
    /// What holds warm executors: Deployments in the keeper's namespace.
    Placeholders,
}

impl Kind {
    /// Every watched kind.
    pub const ALL: [Self; 8] = [
        Self::Namespace,
        Self::Cluster,
        Self::Operation,
        Self::Job,
        Self::Application,
        Self::Stranger,
        Self::Pod,
        Self::Placeholders,
    ];

    /// Whether nothing is decided before it was listed once. Jobs do not wait for what only holds room warm.
    #[must_use]
    pub fn is_awaited(self) -> bool {
        self != Self::Placeholders
    }
}

/// One object as a watch shows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Change {
    /// A namespace: its labels, and whether it is being deleted.
    Namespace {
        /** Its name. */
        name: Name,
        /** Its labels. */
        labels: BTreeMap<Box<str>, Box<str>>,
        /** Nothing can be created in it any more. */
        terminating: bool,
    },
    /// An object that cannot be read: it is there, and that is all that is known.
    Unreadable(Kind, ObjectKey),
    /// A namespace is gone.
    NamespaceGone(Name),
    /// A cluster is there.
    Cluster(Box<Cluster>),
    /// A cluster is gone.
    ClusterGone(Name),
    /// An operation is there.
    Operation(Box<Operation>),
    /// An operation is gone.
    OperationGone(ObjectKey),
    /// A job is there.
    Job(Box<Job>),
    /// A job is gone: the key, and the UID that was seen last.
    JobGone(ObjectKey, Uid),
    /// An application is there.
    Application(Box<ApplicationSeen>),
    /// An application is gone: the key and the UID that was seen last.
    ApplicationGone(ObjectKey, Uid),
    /// An application that no job declared is there, and takes something.
    Stranger(Box<Stranger>),
    /// Such an application is gone, or takes nothing any more.
    StrangerGone(ObjectKey, Uid),
    /// A pod is there.
    Pod(Box<PodSeen>),
    /// A pod is gone.
    PodGone(ObjectKey, Uid),
    /// What holds a cluster's warm executors is there.
    Placeholders(Box<PlaceholdersSeen>),
    /// It is gone: the cluster.
    PlaceholdersGone(Name),
}

/// Everything the engine can be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// This process leads now, under this name. `first` says that no lease was there before: nobody can have led.
    Leading {
        /** Its identity. */
        identity: Box<str>,
        /** The lease was created, not taken over. */
        first: bool,
    },
    /// A watch starts to list its kind anew.
    RelistStarted(Kind),
    /// One object, from a list or as an event.
    Watched(Change),
    /// The list is complete: what it did not name is gone.
    RelistDone(Kind),
    /// Whether the API server knows `SparkApplication`s at all.
    SparkOperator(bool),
    /// A command's outcome.
    Written(Receipt),
    /// The settings changed.
    Settings(Box<Settings>),
    /// The engine asked to be woken at about this time.
    Tick,
}

/// What the engine asks for. Each (but events) is answered by exactly one [`Receipt`].
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Read the ledger with a quorum read.
    ReadLedger,
    /// Write the ledger if it still has this version; `None` = create it.
    WriteLedger {
        /** The version it replaces. */
        base: Option<LedgerVersion>,
        /** What to write. */
        ledger: Arc<Ledger>,
    },
    /// Start the watches, or drop and start them anew: every kind is listed with a quorum read, then watched.
    StartWatches,
    /// Create the application of a granted run under its derived name, complete, or suspended as a placeholder.
    CreateApplication {
        /** The run. */
        run: RunId,
        /** Its grant. */
        holder: Arc<Holder>,
        /** Create it suspended, only to hold the name. */
        placeholder: Option<Placeholder>,
    },
    /// Read the application of a run with a quorum read, and every pod of it.
    ConfirmRun {
        /** The run. */
        run: RunId,
        /** Where to look. */
        key: ObjectKey,
    },
    /// Delete an application in the foreground, if it is still the one with this UID.
    DeleteApplication {
        /** The run. */
        run: RunId,
        /** Namespace and name. */
        key: ObjectKey,
        /** Its UID. */
        uid: Uid,
    },
    /// Delete a tombstone and take our finalizer off it.
    DropTombstone {
        /** Namespace and name. */
        key: ObjectKey,
        /** Its UID. */
        uid: Uid,
    },
    /// Write a job's status, if it is still the job with this UID.
    WriteJobStatus {
        /** Namespace and name. */
        key: ObjectKey,
        /** Its UID. */
        uid: Uid,
        /** What to say. */
        status: Box<JobStatus>,
    },
    /// Write an operation's status, if it is still the operation with this UID.
    WriteOperationStatus {
        /** Namespace and name. */
        key: ObjectKey,
        /** Its UID. */
        uid: Uid,
        /** What to say. */
        status: Box<OperationStatus>,
    },
    /// Write a cluster's status, if it is still the cluster with this UID.
    WriteClusterStatus {
        /** Its name. */
        name: Name,
        /** Its UID. */
        uid: Uid,
        /** What to say. */
        status: Box<ClusterStatus>,
    },
    /// Let so many placeholders hold warm executors of a cluster; `None`: remove all that is there for it.
    WritePool {
        /** The cluster. */
        cluster: Name,
        /** Its UID. */
        uid: Uid,
        /** How many, and how many the pool holds with those that are taken. */
        warm: Option<(u64, u64)>,
    },
    /// Tell people that a pool has another size; never answered, may be dropped under load.
    AnnouncePool {
        /** The cluster. */
        cluster: Name,
        /** Its UID. */
        uid: Uid,
        /** From, to and why. */
        resized: Resized,
    },
    /// Tell people about a transition of a job; never answered, may be dropped under load.
    Announce(Box<Announcement>),
    /// Tell people of an application that no job declared; never answered, may be dropped under load.
    ReportStranger {
        /** Namespace and name. */
        key: ObjectKey,
        /** Its UID. */
        uid: Uid,
        /** In words. */
        message: String,
    },
    /// Count what runs of a namespace took on a cluster; never answered.
    CountUsage {
        /** The cluster. */
        cluster: Name,
        /** The namespace. */
        namespace: Name,
        /** What they took. */
        usage: Usage,
    },
    /// Somebody else leads: end this process.
    StepDown,
}

/// A transition that people hear of as a Kubernetes Event and in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    /// The job.
    pub job: ObjectKey,
    /// Its UID.
    pub uid: Uid,
    /// The state it came into.
    pub state: JobState,
    /// One word.
    pub reason: &'static str,
    /// In words.
    pub message: String,
    /// Something went wrong.
    pub warning: bool,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Receipt {
    /// The ledger as it stands; `None` = there is none.
    LedgerRead(Result<Option<(LedgerVersion, Box<Ledger>)>, Failure>),
    /// The ledger was written and has this version now.
    LedgerWritten(Result<LedgerVersion, Failure>),
    /// The application was created, or was there under its name with the run's own UID.
    Created {
        /** The run. */
        run: RunId,
        /** What stands under the name now. */
        result: Result<Box<ApplicationSeen>, Failure>,
    },
    /// What a quorum read of a run showed.
    Confirmed {
        /** The run. */
        run: RunId,
        /** The application, if it is there, and its pods. */
        result: Result<(Option<Box<ApplicationSeen>>, Vec<PodSeen>), Failure>,
    },
    /// The deletion was accepted (or the application is gone).
    Deleted {
        /** The run. */
        run: RunId,
        /** How. */
        result: Result<(), Failure>,
    },
    /// The tombstone is gone.
    TombstoneDropped {
        /** Namespace and name. */
        key: ObjectKey,
        /** How. */
        result: Result<(), Failure>,
    },
    /// A job's status was written.
    JobStatusWritten {
        /** The job's UID. */
        uid: Uid,
        /** How. */
        result: Result<(), Failure>,
    },
    /// An operation's status was written.
    OperationStatusWritten {
        /** The operation. */
        key: ObjectKey,
        /** How. */
        result: Result<(), Failure>,
    },
    /// A pool's placeholders were written, or removed.
    PoolWritten {
        /** The cluster. */
        cluster: Name,
        /** How. */
        result: Result<(), Failure>,
    },
    /// A cluster's status was written.
    ClusterStatusWritten {
        /** The cluster. */
        name: Name,
        /** How. */
        result: Result<(), Failure>,
    },
}

/// Why a command did not do what it should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// Nobody knows whether it happened: time-out, cut connection, 5xx. Look before acting on it.
    Unknown(Box<str>),
    /// It surely did not happen, and may work later: 429, no connection, the lease too short for another request, a right
    /// that the keeper lacks for now.
    NotSent(Box<str>),
    /// The object has another version or belongs to somebody else: 409.
    Conflict(Box<str>),
    /// There is no such object: 404.
    Gone,
    /// The API server knows no such kind.
    KindMissing,
    /// The namespace is being deleted: nothing can be created in it.
    NamespaceTerminating,
    /// Refused for good as it stands: 403 of an admission, 422, or it could not be built. The words are for people.
    Denied(Box<str>),
    /// What would be built is not what was granted: an operation or a template was edited in between.
    GrantOutdated,
}
