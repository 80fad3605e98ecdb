//! The bill: what runs took, and what stood ready for them. All in whole core-seconds and GiB-seconds.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{bounds, rules};

/// What a run took, or the runs of a job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JobUsage {
    /// Cores times seconds that were reserved: driver and granted executors, from the grant until nothing of the run was left. Each
    /// run is rounded up.
    #[schemars(range(min = 0, max = bounds::USAGE))]
    pub granted_core_seconds: i64,

    /// The same in GiB of memory times seconds.
    #[schemars(range(min = 0, max = bounds::USAGE))]
    #[serde(rename = "grantedMemoryGiBSeconds")]
    pub granted_memory_gib_seconds: i64,

    /// Cores times seconds that its pods requested from the start of their containers to their end. What came and went while no
    /// keeper was there is missing.
    #[schemars(range(min = 0, max = bounds::USAGE))]
    pub used_core_seconds: i64,

    /// The same in GiB of memory times seconds.
    #[schemars(range(min = 0, max = bounds::USAGE))]
    #[serde(rename = "usedMemoryGiBSeconds")]
    pub used_memory_gib_seconds: i64,
}

/// What the closed runs of an operation took, since it was created.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = rules::never_down("through"))]
#[serde(rename_all = "camelCase")]
pub struct OperationUsage {
    /// Cores times seconds that were reserved.
    #[schemars(range(min = 0, max = bounds::USAGE))]
    pub granted_core_seconds: i64,

    /// GiB of memory times seconds that were reserved.
    #[schemars(range(min = 0, max = bounds::USAGE))]
    #[serde(rename = "grantedMemoryGiBSeconds")]
    pub granted_memory_gib_seconds: i64,

    /// Cores times seconds that pods requested while they ran.
    #[schemars(range(min = 0, max = bounds::USAGE))]
    pub used_core_seconds: i64,

    /// GiB of memory times seconds that pods requested while they ran.
    #[schemars(range(min = 0, max = bounds::USAGE))]
    #[serde(rename = "usedMemoryGiBSeconds")]
    pub used_memory_gib_seconds: i64,

    /// The keeper's own: bills up to this write of its ledger are contained. Never goes down.
    #[schemars(range(min = 0))]
    pub through: i64,
}

/// What the closed runs on a cluster took, and its placeholders, since it was created.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[x_kube(
    validation = rules::never_down("through"),
    validation = rules::never_down_or_out("warmCoreSeconds"),
    validation = rules::never_down_or_out("warmMemoryGiBSeconds")
)]
#[serde(rename_all = "camelCase")]
pub struct ClusterUsage {
    /// Cores times seconds that were reserved.
    #[schemars(range(min = 0, max = bounds::USAGE))]
    pub granted_core_seconds: i64,

    /// GiB of memory times seconds that were reserved.
    #[schemars(range(min = 0, max = bounds::USAGE))]
    #[serde(rename = "grantedMemoryGiBSeconds")]
    pub granted_memory_gib_seconds: i64,

    /// Cores times seconds that pods of runs requested while they ran.
    #[schemars(range(min = 0, max = bounds::USAGE))]
    pub used_core_seconds: i64,

    /// GiB of memory times seconds that pods of runs requested while they ran.
    #[schemars(range(min = 0, max = bounds::USAGE))]
    #[serde(rename = "usedMemoryGiBSeconds")]
    pub used_memory_gib_seconds: i64,

    /// Cores times seconds that placeholders which ran held for nobody, until `warmUntil`. Absent: none ever ran.
    #[schemars(range(min = 0, max = bounds::USAGE))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warm_core_seconds: Option<i64>,

    /// The same in GiB of memory times seconds.
    #[schemars(range(min = 0, max = bounds::USAGE))]
    #[serde(rename = "warmMemoryGiBSeconds", default, skip_serializing_if = "Option::is_none")]
    pub warm_memory_gib_seconds: Option<i64>,

    /// Until when that is counted. Nothing is written only to count on: since then as many placeholders have run as
    /// `executors.warm` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warm_until: Option<Time>,

    /// The keeper's own: bills up to this write of its ledger are contained. Never goes down.
    #[schemars(range(min = 0))]
    pub through: i64,
}
