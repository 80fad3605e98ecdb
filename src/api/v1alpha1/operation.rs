//! Operation: a declared kind of job, and the key of its limit.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ApplicationSpec, ExecutorChoice, OperationUsage, Priority, ResultTarget, rules, schema};

/// What becomes of a job that comes while its operation is at its limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum WhenAtLimit {
    /// It waits.
    #[default]
    Queue,
    /// It ends as `Refused`.
    Refuse,
}

/// A kind of job: what runs, how many at once, and what a job need not say itself.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "slowlane.dev",
    version = "v1alpha1",
    kind = "Operation",
    doc = "A declared kind of job: what Spark runs for it, how many of it may run at once, and defaults for its jobs. \
           ManagedJobs of this namespace name it.",
    namespaced,
    status = "OperationStatus",
    derive = "PartialEq",
    shortname = "sop",
    category = "slowlane",
    printcolumn(
        name = "Limit",
        type_ = "integer",
        json_path = ".spec.maxConcurrentRuns",
        description = "Runs at once; empty: no limit"
    ),
    printcolumn(name = "Alive", type_ = "integer", json_path = ".status.runs.alive", description = "Runs alive now"),
    printcolumn(name = "Queued", type_ = "integer", json_path = ".status.runs.queued", description = "Jobs that wait"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#,
        description = "Whether its jobs can run"
    ),
    printcolumn(name = "Owner", type_ = "string", json_path = ".spec.owner", description = "Who answers for it"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[x_kube(validation = rules::refusing_needs_a_limit())]
#[serde(rename_all = "camelCase")]
pub struct OperationSpec {
    /// What it does, for people. At most 1024 characters.
    #[schemars(length(max = 1024))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,

    /// Who answers for it: a team, an address. At most 256 characters.
    #[schemars(length(max = 256))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,

    /// Runs of it that may be alive at once. Left out: no limit; 0: hold all. Raising it starts the next at once,
    /// lowering it never ends a run.
    #[schemars(range(min = 0))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_concurrent_runs: Option<i32>,

    /// What becomes of a job that comes and cannot start at once, while as many runs are alive or jobs wait as `maxConcurrentRuns`
    /// allows. `Queue`: it waits. `Refuse`: it ends as `Refused`, also while all are held. A job is judged when it comes, or is
    /// resumed for the first time; one that was accepted is never refused. Left out: `Queue`.
    #[schemars(with = "WhenAtLimit")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when_at_limit: Option<WhenAtLimit>,

    /// Jobs of it that may wait. One that comes, cannot start at once, and finds as many waiting ends as `Refused`; 0: it starts
    /// now or never. Left out: any number.
    #[schemars(range(min = 0))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_queued: Option<i32>,

    /// What a job of it need not say itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub defaults: Option<JobDefaults>,

    /// Permits of what its jobs share with others, such as a data store: each run takes all of them at once when it starts,
    /// and holds them while it is alive. The keeper's settings or the cluster say how many there are. An edit changes no
    /// run that is alive.
    #[schemars(length(min = 1, max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub locks: Vec<LockSpec>,

    /// Seconds that a run of it takes, as its owner thinks. Reservations of clusters go by it until runs have
    /// shown it: then by the median of the last 16 that succeeded. Left out: until then they go by four times
    /// what runs of other operations take, where that is known.
    #[schemars(range(min = 1, max = 31_536_000))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_run_seconds: Option<i32>,

    /// What Spark runs. `type` and `mainApplicationFile` are required.
    #[schemars(extend("required" = ["mainApplicationFile", "type"]))]
    pub application: ApplicationSpec,
}

/// Permits of a lock.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LockSpec {
    /// Its name, as the keeper's settings or clusters declare it.
    #[schemars(schema_with = "schema::word")]
    pub name: String,

    /// How many permits each run takes. Default 1.
    #[schemars(range(min = 1, max = 1_000_000))]
    #[serde(default = "one")]
    pub permits: i32,
}

fn one() -> i32 {
    1
}

/// `ManagedJob` fields for jobs that leave them out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = rules::name_or_selector())]
#[serde(rename_all = "camelCase")]
pub struct JobDefaults {
    /// `Low`, `Normal`, `High` or `Critical`. Left out: `Normal`.
    #[schemars(with = "Priority")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,

    /// A job starts only while fewer than this many runs of the operation are alive. At least 1.
    #[schemars(range(min = 1))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_concurrent_runs: Option<i32>,

    /// Name of the only `ComputeCluster` that may run its jobs. Left out: any that accepts this namespace.
    #[schemars(schema_with = "schema::object_name")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_name: Option<String>,

    /// Labels of the `ComputeCluster`s that may run its jobs; `clusterName` or this.
    #[schemars(schema_with = "schema::label_selector")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_selector: Option<LabelSelector>,

    /// Bounds of a job's share of the cluster's executors, or the size that has them. Left out: 1 executor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executors: Option<ExecutorChoice>,

    /// Where results go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<ResultTarget>,

    /// Seconds within which a driver has to run. Left out: the keeper's setting `runs.startTimeoutSeconds` (600).
    #[schemars(range(min = 1, max = 604_800))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_timeout_seconds: Option<i32>,

    /// Seconds within which a run has to end. Left out: no limit.
    #[schemars(range(min = 1, max = 31_536_000))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_deadline_seconds: Option<i32>,
}

/// What the keeper says of an operation. Written by the keeper only.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("default" = {"observedGeneration": -1}))]
#[serde(rename_all = "camelCase")]
pub struct OperationStatus {
    /// The `metadata.generation` that this status speaks of; -1 before the keeper has seen the operation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// How many runs and waiting jobs of it there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runs: Option<RunCounts>,

    /// How long its last runs took that succeeded, from their start to the end of their last pod: at most 16 count. Absent: none
    /// has yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_seconds: Option<RunSeconds>,

    /// What its closed runs took, since it was created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<OperationUsage>,

    /// `Ready`: its jobs can run; False says what is wrong with it, or that it is held. `Held`: by its `maxConcurrentRuns` of 0,
    /// by whom and since when. `Stalled` as kstatus knows it. One entry a type.
    #[schemars(schema_with = "schema::conditions")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// Runs and waiting jobs of an operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunCounts {
    /// Runs alive: granted a place and not yet closed.
    #[schemars(range(min = 0))]
    pub alive: i32,

    /// Jobs that wait.
    #[schemars(range(min = 0))]
    pub queued: i32,
}

/// How long runs took, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunSeconds {
    /// The median.
    #[schemars(range(min = 0))]
    pub p50: i32,

    /// The 95th percentile.
    #[schemars(range(min = 0))]
    pub p95: i32,
}
