//! `RunLedger`: who holds which slot. Internal; people only read it.
//!
//! It is written whole (PUT with a resourceVersion), and its rules make the API server itself refuse what no keeper may
//! write: more holders than a limit allows, more capacity than a cluster has, an older epoch. A rule lets pass what
//! makes things no worse, so a lowered limit can always be written and its holders leave one by one.
//!
//! Holders are strings under an atomic map: as objects, each would be tracked by field managers and 1,000 of them would
//! cost ten times as much to write.

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::{bounds, rules, schema};

/// The slots that are taken, as the last compare-and-swap left them.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "slowlane.dev",
    version = "v1alpha1",
    kind = "RunLedger",
    doc = "Internal: which run holds which slot. The keeper writes it before it starts anything; never edit or delete \
           it.",
    namespaced,
    derive = "PartialEq",
    printcolumn(name = "Epoch", type_ = "integer", json_path = ".spec.epoch", description = "Take-overs so far"),
    printcolumn(name = "Leader", type_ = "string", json_path = ".spec.leader", description = "Who wrote it last"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[x_kube(validation = rules::rule(
    ".epoch",
    "self.epoch >= oldSelf.epoch",
    "'spec.epoch never goes down: it is %d, not %d'.format([oldSelf.epoch, self.epoch])",
))]
#[serde(rename_all = "camelCase")]
pub struct RunLedgerSpec {
    /// Counts take-overs: each leader raises it before it grants anything. Never goes down.
    #[schemars(range(min = 0))]
    pub epoch: i64,

    /// Counts writes: a smaller one than the keeper knows means that an older copy was restored.
    #[schemars(range(min = 0))]
    #[serde(default)]
    pub sequence: i64,

    /// Identity of the keeper that wrote it last.
    #[schemars(length(max = 253))]
    pub leader: String,

    /// What runs took that have left the ledger, until it stands in the statuses of their operations and clusters: by
    /// `<write>/<namespace>/<operation>/<cluster>`, in core-seconds and GiB-seconds.
    #[schemars(schema_with = "schema::atomic_texts::<{ bounds::LEDGER_BILLS }, { bounds::LEDGER_BILL }>")]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub bills: BTreeMap<String, String>,

    /// Limits by key (an operation's is `op/<namespace>/<name>`), with the runs that hold them. An entry is here only
    /// while it has holders.
    #[schemars(schema_with = "limits")]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub limits: BTreeMap<String, LedgerLimit>,

    /// What is reserved in each cluster, by its name.
    #[schemars(schema_with = "clusters")]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub clusters: BTreeMap<String, LedgerCluster>,

    /// Permits that are taken of locks: `<lock>` for one of the keeper's settings, `<cluster>/<lock>` for one of a cluster.
    #[schemars(schema_with = "locks")]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub locks: BTreeMap<String, LedgerLock>,

    /// What namespaces have of clusters that limit it, by `<cluster>/<namespace>`.
    #[schemars(schema_with = "shares")]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub shares: BTreeMap<String, LedgerShare>,
}

/// A limit and the runs that hold it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = rules::ratchet(
    "!has(self.limit) || size(self.holders) <= self.limit \
     || (oldSelf.hasValue() && self.holders.all(k, k in oldSelf.value().holders))",
    "'%d holders exceed limit %d'.format([size(self.holders), self.limit])",
))]
#[serde(rename_all = "camelCase")]
pub struct LedgerLimit {
    /// How many may hold it. Absent: no limit.
    #[schemars(range(min = 0))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<i32>,

    /// Holders by run key; the text says what was granted and when.
    #[schemars(schema_with = "schema::texts::<{ bounds::LEDGER_HOLDERS }, { bounds::LEDGER_TEXT }>")]
    pub holders: BTreeMap<String, String>,
}

/// What is reserved in a cluster, and what it has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(
    validation = rules::within("executors", "maxExecutors"),
    validation = rules::within("milliCores", "maxMilliCores"),
    validation = rules::within("memoryMiB", "maxMemoryMiB")
)]
#[serde(rename_all = "camelCase")]
pub struct LedgerCluster {
    /// Executors reserved.
    #[schemars(range(min = 0))]
    pub executors: i64,

    /// Executors that it has. Absent: no bound.
    #[schemars(range(min = 0))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_executors: Option<i64>,

    /// Thousandths of a core reserved, drivers included.
    #[schemars(range(min = 0))]
    pub milli_cores: i64,

    /// Thousandths of a core that it has. Absent: no bound.
    #[schemars(range(min = 0))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_milli_cores: Option<i64>,

    /// MiB of memory reserved, drivers included.
    #[schemars(range(min = 0))]
    #[serde(rename = "memoryMiB")]
    pub memory_mib: i64,

    /// MiB of memory that it has. Absent: no bound.
    #[schemars(range(min = 0))]
    #[serde(rename = "maxMemoryMiB", default, skip_serializing_if = "Option::is_none")]
    pub max_memory_mib: Option<i64>,
}

/// What is taken of a lock, and what there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = rules::within("permits", "maxPermits"))]
#[serde(rename_all = "camelCase")]
pub struct LedgerLock {
    /// Permits taken.
    #[schemars(range(min = 0))]
    pub permits: i64,

    /// Permits that there are. Absent: no bound.
    #[schemars(range(min = 0))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_permits: Option<i64>,
}

/// What a namespace has of a cluster, and what it may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = rules::within("jobs", "maxJobs"), validation = rules::within("executors", "maxExecutors"))]
#[serde(rename_all = "camelCase")]
pub struct LedgerShare {
    /// Runs that hold it.
    #[schemars(range(min = 0))]
    pub jobs: i64,

    /// Runs that may hold it. Absent: no bound.
    #[schemars(range(min = 0))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_jobs: Option<i64>,

    /// Executors reserved.
    #[schemars(range(min = 0))]
    pub executors: i64,

    /// Executors that it may reserve. Absent: no bound.
    #[schemars(range(min = 0))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_executors: Option<i64>,
}

fn limits(generate: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schema::atomic_map::<LedgerLimit>(generate, bounds::LEDGER_LIMITS)
}

fn clusters(generate: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schema::atomic_map::<LedgerCluster>(generate, bounds::LEDGER_CLUSTERS)
}

fn locks(generate: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schema::atomic_map::<LedgerLock>(generate, bounds::LEDGER_LOCKS)
}

fn shares(generate: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schema::atomic_map::<LedgerShare>(generate, bounds::LEDGER_SHARES)
}
