//! `ComputeCluster`: a named share of Spark capacity.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::{
    api::resource::Quantity,
    apis::meta::v1::{Condition, LabelSelector, Time},
};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AcceptSpec, ApplicationSpec, ClusterUsage, ExecutorBounds, SparkPodSize, WindowSpec, rules, schema};

/// Whether a cluster may start jobs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum StopPolicy {
    /// Jobs start as there is room.
    #[default]
    None,
    /// Nothing starts; what runs goes on to its end.
    Hold,
}

/// What becomes of runs that a cluster does not accept any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum OnWindowEnd {
    /// They go on to their end.
    #[default]
    Finish,
    /// They are ended, and their jobs queue again.
    Cancel,
}

/// How warm executors are held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum WarmCapacity {
    /// Not at all.
    #[default]
    None,
    /// By pods that do nothing and that anything real displaces.
    Placeholder,
}

/// Who goes first where not all fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum OrderingStrategy {
    /// The first in order that fits: what does not is passed over until it has waited for the bound.
    #[default]
    PriorityFifo,
    /// The first in order: nobody passes it.
    StrictFifo,
    /// The first in rank that fits; one that does not has a reservation.
    Backfill,
}

/// A share of Spark capacity: who may use it, how much of it there is, and how applications are made for it.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "slowlane.dev",
    version = "v1alpha1",
    kind = "ComputeCluster",
    doc = "A named share of Spark capacity: which namespaces may use it, how many jobs and executors it holds, and the \
           template that every application in it follows.",
    status = "ComputeClusterStatus",
    derive = "PartialEq",
    shortname = "ccl",
    category = "slowlane",
    scale(spec_replicas_path = ".spec.executors.max", status_replicas_path = ".status.executors.ready"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#,
        description = "Whether jobs can start in it"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#,
        description = "Why, in a word"
    ),
    printcolumn(
        name = "Running",
        type_ = "integer",
        json_path = ".status.jobs.running",
        description = "Jobs with a run alive"
    ),
    printcolumn(
        name = "Queued",
        type_ = "integer",
        json_path = ".status.jobs.queued",
        description = "Jobs that wait for it"
    ),
    printcolumn(
        name = "Executors",
        type_ = "integer",
        json_path = ".status.executors.inUse",
        description = "Executors reserved"
    ),
    printcolumn(
        name = "Desired",
        type_ = "integer",
        json_path = ".status.executors.desired",
        description = "Executors that its pool holds, taken and warm"
    ),
    printcolumn(
        name = "Max",
        type_ = "integer",
        json_path = ".spec.executors.max",
        description = "Executors at most; empty: no limit"
    ),
    printcolumn(
        name = "Occupancy",
        type_ = "integer",
        json_path = ".status.occupancyPercent",
        description = "Percent of its capacity in use"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[x_kube(
    validation = rules::windows_exist("during"),
    validation = rules::windows_exist("outside"),
    validation = Rule::new(
        "!has(self.occupancy) || !has(self.occupancy.admitBelowPercent) \
         || (has(self.executors) && has(self.executors.max))"
    )
    .field_path(".occupancy")
    .message("admitBelowPercent is a share of executors.max: say how many executors the cluster has"),
    validation = rules::pool_has_max("min"),
    validation = rules::pool_has_max("warm"),
    validation = rules::shrinks_below_growing(),
    validation = Rule::new(
        "!has(self.warmCapacity) || self.warmCapacity != 'Placeholder' \
         || (has(self.executors) && has(self.executors.max) && has(self.executor))"
    )
    .field_path(".warmCapacity")
    .message("placeholders stand for executors of the pool: say how many it holds (executors.max) and what one is (executor)")
)]
#[serde(rename_all = "camelCase")]
pub struct ComputeClusterSpec {
    /// Namespaces whose jobs may use it. Left out: none; `{}`: all.
    #[schemars(schema_with = "schema::label_selector")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace_selector: Option<LabelSelector>,

    /// Counts that it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<ClusterLimits>,

    /// Its executor pool. Left out: no bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executors: Option<ExecutorPool>,

    /// The pool's unit: what one executor pod requests, overhead included. Its capacity is `executors.max` times this,
    /// and drivers are charged to it as well. Left out: executors are counted, cores and memory are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executor: Option<ExecutorUnit>,

    /// How full it may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub occupancy: Option<OccupancySpec>,

    /// In which order its jobs start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ordering: Option<OrderingSpec>,

    /// How many of its applications may wait for the spark-operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub submission: Option<SubmissionSpec>,

    /// `Hold`: nothing starts in it, what runs goes on. Default `None`.
    #[serde(default)]
    pub stop_policy: StopPolicy,

    /// How warm executors are held. `Placeholder`: by pods that do nothing, in the keeper's namespace, each as large as
    /// `executor`; whatever is real displaces them. `None`: not at all; the pool has a size, and nothing holds it. Default `None`.
    #[serde(default)]
    pub warm_capacity: WarmCapacity,

    /// Named recurring times, such as business hours. They do nothing by themselves: `accept` says what they mean.
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<WindowSpec>,

    /// Which jobs it accepts, and when: a job is accepted while at least one entry applies to it. Left out: every job, at
    /// any time.
    #[schemars(length(min = 1, max = 16))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accept: Vec<AcceptSpec>,

    /// What becomes of runs that no entry of `accept` applies to any more, because a window opened or closed or the spec was
    /// edited. `Finish`: they go on to their end. `Cancel`: they are ended, and their jobs queue again as their next run,
    /// from the beginning. Default `Finish`.
    #[serde(default)]
    pub on_window_end: OnWindowEnd,

    /// Values for every application in it; they stand above the Operation's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<ApplicationSpec>,

    /// Sizes that jobs may pick by their names (`executors.size`), such as `S`, `M` and `L`. Each cluster says what they are there.
    /// An edit is for jobs that wait; a run that is alive keeps what it was granted.
    #[schemars(schema_with = "schema::sizes::<SizeSpec>")]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sizes: BTreeMap<String, SizeSpec>,
}

/// How many executors jobs of a size have, and how large their pods are. What it leaves out of the pods is what the template says, else
/// the Operation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SizeSpec {
    /// How many executors.
    pub executors: ExecutorBounds,

    /// Size of the driver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<SparkPodSize>,

    /// Size of each executor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executor: Option<SparkPodSize>,
}

/// Counts that a cluster holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterLimits {
    /// Jobs with a run alive in it at once. Left out: no limit; 0: hold all. Lowering it never ends a run.
    #[schemars(range(min = 0))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_concurrent_jobs: Option<i32>,

    /// What each namespace may have of it. Left out: no limit of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_namespace: Option<NamespaceLimits>,

    /// Permits of locks by their names. They hold for the runs in this cluster alone; those of the keeper's settings hold
    /// everywhere, and where both declare a lock a run takes of both. 0: whoever needs it never starts here.
    #[schemars(schema_with = "schema::permits")]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub locks: BTreeMap<String, i32>,
}

/// What each namespace may have of a cluster at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(
    validation = Rule::new("has(self.maxConcurrentJobs) || has(self.maxExecutors)")
        .message("set maxConcurrentJobs, maxExecutors or both: without either it limits nothing")
)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceLimits {
    /// Jobs of one namespace with a run alive in it at once. Left out: no limit; 0: none. Lowering it never ends a run.
    #[schemars(range(min = 0))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_concurrent_jobs: Option<i32>,

    /// Executors of all runs of one namespace in it. Left out: no limit; 0: none. Lowering it never ends a run.
    #[schemars(range(min = 0))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_executors: Option<i32>,
}

/// How full a cluster may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OccupancySpec {
    /// Nothing starts while the fullest of executors, cores and memory is at this percentage or above; what starts below it
    /// may fill the rest. Needs `executors.max`. Left out: whatever fits starts.
    #[schemars(range(min = 1, max = 100))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admit_below_percent: Option<i32>,

    /// The pool grows when more than this percentage of the executors that it holds is taken, to the size at which it is not.
    /// Drivers and strangers count. Default 80.
    #[schemars(range(min = 1, max = 100))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_up_above_percent: Option<i32>,

    /// The pool shrinks when less than this percentage of the executors that it holds has been taken for
    /// `stabilizationSeconds`. Default 40.
    #[schemars(range(min = 0, max = 99))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_down_below_percent: Option<i32>,

    /// For how many seconds the pool has to have been too large before it shrinks; after it grew, it does not shrink for twice
    /// as long. Default 300.
    #[schemars(range(min = 0, max = 86_400))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stabilization_seconds: Option<i32>,

    /// For how many seconds nothing has to have been taken before the pool shrinks to `executors.min`. Default 600.
    #[schemars(range(min = 0, max = 604_800))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_seconds: Option<i32>,
}

/// In which order a cluster's jobs start: by priority, then by age.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrderingSpec {
    /// `Backfill`: the first that does not fit is reserved the earliest time at which it will, by how long runs are expected to
    /// take; it is passed by those that are expected to end before, or fit beside it then. `PriorityFifo`: the same for what has
    /// waited for the keeper's setting `admission.waitingBoundSeconds`; until then it is passed by whatever fits. `StrictFifo`:
    /// nobody passes it. Default `PriorityFifo`.
    #[serde(default)]
    pub strategy: OrderingStrategy,
}

/// How many applications may wait for the spark-operator, which submits them one after the other: nobody passes another there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SubmissionSpec {
    /// Nothing starts while so many runs, of all clusters together, are granted and not yet taken up by the spark-operator. The
    /// keeper observes how fast it takes them up and lets fewer wait where that is slow: as many as six seconds' worth, ten at
    /// least. One that is left alone for the keeper's setting `runs.operatorAbsentSeconds` is not counted any more. Left out: only
    /// what is observed decides.
    #[schemars(range(min = 1, max = 1000))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_pending: Option<i32>,
}

/// The executor pool of a cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExecutorPool {
    /// Executors that it holds at all times, taken or warm. Default 0. Where it is above `max`, `max` holds, and a condition says so:
    /// `kubectl scale` may lower `max` at any time.
    #[schemars(range(min = 0, max = 1_000_000))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<i32>,

    /// Executors that it holds at most. Left out: no bound, and the pool is not scaled; 0: none. `kubectl scale` sets it. Lowering it
    /// ends no run.
    #[schemars(range(min = 0, max = 1_000_000))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<i32>,

    /// Executors that it holds beside those that are taken, while it is not idle, not held and within its windows. Default 0. Where
    /// it is above `max`, `max` holds, and a condition says so.
    #[schemars(range(min = 0, max = 1_000_000))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warm: Option<i32>,
}

/// What one executor pod requests, overhead included.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExecutorUnit {
    /// Processor, a Kubernetes quantity: `2`, `500m`.
    #[schemars(schema_with = "schema::cpu")]
    pub cores: Quantity,

    /// Memory, a Kubernetes quantity: `4Gi`, `512Mi`.
    #[schemars(schema_with = "schema::bytes")]
    pub memory: Quantity,
}

/// What the keeper says of a cluster. Written by the keeper only.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("default" = {"observedGeneration": -1}))]
#[serde(rename_all = "camelCase")]
pub struct ComputeClusterStatus {
    /// The `metadata.generation` that this status speaks of; -1 before the keeper has seen the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// Its executors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executors: Option<ExecutorCounts>,

    /// Its jobs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jobs: Option<JobCounts>,

    /// Percent of its capacity in use: the fullest of executors, cores and memory. Above 100 after a limit was lowered.
    #[schemars(range(min = 0))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub occupancy_percent: Option<i32>,

    /// What closed runs on it took, and its placeholders, since it was created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<ClusterUsage>,

    /// The next of its windows to open. Absent: it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_window: Option<NextWindow>,

    /// `Ready`: jobs can start in it. `WithinWindow`: it accepts jobs at this time. `Saturated`: it is full. `Held`: by its
    /// `stopPolicy`, by whom and since when. `SparkOperatorAvailable`: `SparkApplications` are served. `UndeclaredApplication`:
    /// some of the occupancy is that of `SparkApplications` that no `ManagedJob` declared. `Stalled` as kstatus knows it. One entry
    /// a type.
    #[schemars(schema_with = "schema::conditions")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// A window that is going to open.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NextWindow {
    /// Its name.
    #[schemars(schema_with = "schema::word")]
    pub name: String,

    /// When it opens.
    pub opens: Time,
}

/// Executors of a cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExecutorCounts {
    /// Executors that its pool holds, taken and warm: it is scaled to this. Absent: it has no `executors.max`.
    #[schemars(range(min = 0))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desired: Option<i32>,

    /// Executors that run: those of its runs, and placeholders.
    #[schemars(range(min = 0))]
    #[serde(default)]
    pub ready: i32,

    /// Placeholders that run. Absent: its `warmCapacity` is `None`.
    #[schemars(range(min = 0))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warm: Option<i32>,

    /// Executors reserved by runs alive, or really there where a run has more.
    #[schemars(range(min = 0))]
    pub in_use: i32,

    /// Executors of `SparkApplications` that no `ManagedJob` declared, in the namespaces that it admits. They take room in it as
    /// runs do. Absent: the keeper's setting `undeclared` is `Ignore`.
    #[schemars(range(min = 0))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strangers: Option<i32>,

    /// Executors that it holds at most. Absent: no bound.
    #[schemars(range(min = 0))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<i32>,
}

/// Jobs of a cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JobCounts {
    /// Jobs with a run alive in it.
    #[schemars(range(min = 0))]
    pub running: i32,

    /// Jobs that wait and may run in it.
    #[schemars(range(min = 0))]
    pub queued: i32,
}
