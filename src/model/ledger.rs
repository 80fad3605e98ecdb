//! Who holds which slot: the content of the `RunLedger` (protocol rules R1-R3).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::name::{Name, ObjectKey};
use super::resources::Resources;
use super::{BillKey, Footprint, Locks, RunId, Share, Span, Time, Usage};

/// The resourceVersion under which a ledger was read or written; opaque.
pub type LedgerVersion = Arc<str>;

/// One run's place in the ledger: everything that a new leader needs to bring the run to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The job.
    pub job: ObjectKey,
    /// The operation, in the job's namespace: the key of its limit.
    pub operation: Name,
    /// The cluster it runs on.
    pub cluster: Name,
    /// The granted vector: pod sizes.
    pub footprint: Footprint,
    /// The granted vector: executors that it starts with.
    pub min_executors: u64,
    /// The granted vector: executors that it may reach; reserved until the run is closed.
    pub max_executors: u64,
    /// Permits that it holds: an edit of its operation changes no run.
    pub locks: Locks,
    /// How long it was expected to take when it was granted, where that was known.
    pub expected: Option<Span>,
    /// When it was granted.
    pub granted: Time,
    /// Its application was seen to exist: if it is gone, it is never created again.
    pub seen: bool,
}

impl Holder {
    /// What the run takes of its cluster.
    #[must_use]
    pub fn resources(&self) -> Resources {
        self.footprint.with(self.max_executors)
    }

    /// The operation, with its namespace.
    #[must_use]
    pub fn operation_key(&self) -> ObjectKey {
        ObjectKey { namespace: self.job.namespace.clone(), name: self.operation.clone() }
    }
}

/// The whole ledger. Limits and capacities stand beside the holders, so that the API server itself can refuse an
/// over-full one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ledger {
    /// Grows by one with every leader: an older leader's compare-and-swap fails.
    pub epoch: i64,
    /// Grows by one with every write: a smaller one than was acknowledged means that an older copy was restored.
    pub sequence: i64,
    /// Who leads.
    pub leader: Box<str>,
    /// Every run that is granted and not yet closed. Shared: each write of the ledger names them all, and changes few.
    pub holders: BTreeMap<RunId, Arc<Holder>>,
    /// What runs that have left it took, until it stands in the accounts of their operations and clusters.
    pub bills: BTreeMap<BillKey, Usage>,
    /// Limits of the operations that have holders.
    pub operation_limits: BTreeMap<ObjectKey, u32>,
    /// Job limits of the clusters that have holders.
    pub cluster_limits: BTreeMap<Name, u32>,
    /// Capacities of the clusters that have holders.
    pub cluster_capacity: BTreeMap<Name, Resources>,
    /// Permits of the locks that have holders and hold everywhere.
    pub lock_permits: BTreeMap<Name, u32>,
    /// Permits of the locks that have holders and hold for one cluster, by cluster and lock.
    pub cluster_lock_permits: BTreeMap<(Name, Name), u32>,
    /// What a namespace with holders may have of a cluster, by cluster and namespace; bounded ones only.
    pub shares: BTreeMap<(Name, Name), Share>,
}
