//! `ManagedJob`: one job that somebody wants done.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{ManagedJobStatus, bounds, rules, schema};

/// Order in the queue: a higher class starts first, within a class the older job. The keeper's setting
/// `admission.agingSecondsPerClass` says how much longer a job has to have waited to stand one class higher.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Priority {
    /// May wait for everything else.
    Low,
    /// The usual class.
    #[default]
    Normal,
    /// Somebody waits for it.
    High,
    /// Before everything else.
    Critical,
}

/// One job: an operation with its parameters, and where its result shall go.
///
/// Everything but `priority`, `suspend` and `cancel` is immutable: a job that should be different is another job.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "slowlane.dev",
    version = "v1alpha1",
    kind = "ManagedJob",
    doc = "A job that somebody wants done. The keeper decides when and where it runs, runs it as a SparkApplication in \
           this namespace, and answers with the URI of its result. While it waits, its status says why.",
    namespaced,
    status = "ManagedJobStatus",
    derive = "PartialEq",
    shortname = "mj",
    shortname = "mjob",
    category = "slowlane",
    selectable = ".spec.operation",
    selectable = ".status.state",
    printcolumn(name = "State", type_ = "string", json_path = ".status.state", description = "Where it stands"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.reason", description = "Why, in a word"),
    printcolumn(name = "Cluster", type_ = "string", json_path = ".status.clusterName", description = "Where it runs"),
    printcolumn(name = "Since", type_ = "date", json_path = ".status.since", description = "How long in this state"),
    printcolumn(name = "Waited", type_ = "string", json_path = ".status.waited", description = "Time in the queue"),
    printcolumn(
        name = "Took",
        type_ = "string",
        json_path = ".status.took",
        description = "Time from its start to its end"
    ),
    printcolumn(
        name = "Detail",
        type_ = "string",
        json_path = ".status.message",
        description = "What holds it, its result, or why it failed"
    )
)]
#[x_kube(
    validation = rules::immutable_required("operation"),
    validation = rules::immutable("parameters"),
    validation = rules::immutable_number("maxConcurrentRuns"),
    validation = rules::immutable_text("clusterName"),
    validation = rules::immutable("clusterSelector"),
    validation = rules::name_or_selector(),
    validation = rules::immutable_executors(),
    validation = rules::immutable_result(),
    validation = rules::immutable_text("correlationId"),
    validation = rules::immutable_text("submittedBy"),
    validation = rules::immutable("context"),
    validation = rules::immutable_number("startTimeoutSeconds"),
    validation = rules::immutable_number("activeDeadlineSeconds"),
    validation = Rule::new("!has(oldSelf.cancel) || !oldSelf.cancel || (has(self.cancel) && self.cancel)")
        .field_path(".cancel")
        .message("spec.cancel is final: it is true and cannot be taken back; create another job instead"),
)]
#[serde(rename_all = "camelCase")]
pub struct ManagedJobSpec {
    /// Name of the Operation in this namespace. It says what runs, and it is the key of the limit: its template,
    /// limits and defaults apply. Not declared yet: the job waits (`UnknownOperation`) and starts when it is.
    #[schemars(schema_with = "schema::object_name")]
    pub operation: String,

    /// Values for `$(params.x)` in the Operation's arguments, environment and result. Any JSON object.
    #[schemars(schema_with = "schema::free_form")]
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub parameters: Map<String, Value>,

    /// `Low`, `Normal`, `High` or `Critical`. Left out: the Operation's default, else `Normal`. May be changed.
    #[schemars(with = "Priority")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,

    /// Start only while fewer than this many runs of the operation are alive; the Operation's own limit holds as well.
    /// At least 1. Left out: the Operation's default, else only the Operation's limit.
    #[schemars(range(min = 1))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_concurrent_runs: Option<i32>,

    /// Name of the only `ComputeCluster` that may run it. Left out: the Operation's default, else any that accepts this
    /// namespace.
    #[schemars(schema_with = "schema::object_name")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_name: Option<String>,

    /// Labels of the `ComputeCluster`s that may run it; `clusterName` or this. Left out: the Operation's default, else any
    /// that accepts this namespace.
    #[schemars(schema_with = "schema::label_selector")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_selector: Option<LabelSelector>,

    /// Bounds of its share of the cluster's executors, or the size that has them. Left out: the Operation's default, else 1
    /// executor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executors: Option<ExecutorChoice>,

    /// Where the result goes. Left out: the Operation's default, else what the application itself reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<ResultTarget>,

    /// Identifier of the caller's, carried into logs, events and the driver's environment. At most 256 characters.
    #[schemars(length(min = 1, max = 256))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,

    /// Who asked for it: a person or a service, as the caller says. At most 256 characters.
    #[schemars(length(min = 1, max = 256))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub submitted_by: Option<String>,

    /// Business context (tenant, location, ...), carried along unread. At most 64 entries of 1024 characters.
    #[schemars(schema_with = "schema::texts::<64, 1024>")]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub context: BTreeMap<String, String>,

    /// Seconds from `status.startTime` within which the driver has to run; else the run is ended and the job fails with
    /// `StartTimeout`. Left out: the Operation's default, else the keeper's setting `runs.startTimeoutSeconds` (600).
    #[schemars(range(min = 1, max = 604_800))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_timeout_seconds: Option<i32>,

    /// Seconds from `status.startTime` within which the run has to end; else it is ended with all its pods, and the job
    /// fails with `DeadlineExceeded`. Left out: the Operation's default, else no limit.
    #[schemars(range(min = 1, max = 31_536_000))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_deadline_seconds: Option<i32>,

    /// Set to true to hold the job back: one that waits does not start, one that runs is ended with all its pods and gives
    /// its place back. Set to false to resume: it waits for its turn again, with its age, and starts as its next run.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspend: bool,

    /// Set to true to cancel the job: one that waits never runs, one that runs is ended with all its pods, and either
    /// ends as `Cancelled`. Final: it cannot be taken back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cancel: bool,
}

/// How many executors a job wants: it starts with at least `min` and is granted up to `max`, as the cluster has room. Or the size
/// by whose name clusters declare that, and how large its pods are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(
    validation = rules::min_within_max(),
    validation = Rule::new("has(self.size) != (has(self.min) || has(self.max))")
        .field_path(".size")
        .message("give either size, or min, max or both: a size has its own min and max"),
)]
#[serde(rename_all = "camelCase")]
pub struct ExecutorChoice {
    /// Executors without which it does not start. At least 0. Left out: 1, or `max` if that is less.
    #[schemars(range(min = 0, max = 100_000))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<i32>,

    /// Executors it may have at most. At least 1. Left out: the same as `min`.
    #[schemars(range(min = 1, max = 100_000))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<i32>,

    /// Name of a size, such as `M`, instead of `min` and `max`: what that is, each `ComputeCluster` says in its `sizes`. One that
    /// does not declare it does not take the job.
    #[schemars(schema_with = "schema::size_name")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<String>,
}

/// How many executors jobs of a size have: they start with at least `min` and are granted up to `max`, as the cluster has room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(
    validation = rules::min_within_max(),
    validation = Rule::new("has(self.min) || has(self.max)")
        .message("set min, max or both: without either it does not say how many executors"),
)]
#[serde(rename_all = "camelCase")]
pub struct ExecutorBounds {
    /// Executors without which it does not start. At least 0. Left out: 1, or `max` if that is less.
    #[schemars(range(min = 0, max = 100_000))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<i32>,

    /// Executors it may have at most. At least 1. Left out: the same as `min`.
    #[schemars(range(min = 1, max = 100_000))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<i32>,
}

/// Where a result goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResultTarget {
    /// URI that is published when the run has succeeded and the application reported none of its own. `$(params.x)`,
    /// `$(job.name)`, `$(job.namespace)`, `$(job.uid)` and `$(run.number)` are replaced. At most 1024 characters.
    #[schemars(length(min = 1, max = bounds::URI), regex(pattern = r"^\S+$"))]
    pub uri: String,
}
