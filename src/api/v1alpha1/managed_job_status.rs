//! The status of a `ManagedJob`: what the keeper says of it. Conditions are the contract, `state` is their summary.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{JobUsage, bounds, final_rules, schema};

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum JobState {
    /// Seen, not yet judged.
    Pending,
    /// Waits; `reason` and `queue.blockers` say for what.
    Queued,
    /// Granted a place; its `SparkApplication` is created or starting.
    Starting,
    /// Its driver runs.
    Running,
    /// Its run has ended; pods are cleared away and the result is read.
    Finishing,
    /// Held back by `spec.suspend`; nothing of it runs.
    Suspended,
    /// Ended: the run completed. Final.
    Succeeded,
    /// Ended: the run failed. Final.
    Failed,
    /// Ended: somebody cancelled it. Final.
    Cancelled,
    /// Ended: its operation did not take it when it came, and it never ran. Final.
    Refused,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum RunOutcome {
    /// The application completed.
    Succeeded,
    /// The application failed, or never came to life.
    Failed,
    /// It was ended because the job was cancelled or deleted.
    Cancelled,
    /// It was ended because the job was suspended; resumed, the job starts its next run.
    Suspended,
}

/// Who named the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum ReportedBy {
    /// The driver's termination message.
    TerminationMessage,
    /// The annotation `slowlane.dev/result-uri` of the driver pod.
    PodAnnotation,
    /// Nobody: it is the `result.uri` that the job or its operation declares.
    Declared,
}

/// What the keeper says of a job. Written by the keeper only.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[schemars(extend("default" = {"observedGeneration": -1}))]
#[x_kube(
    validation = final_rules::state(),
    validation = final_rules::state_once_finished(),
    validation = final_rules::refused_before_accepted(),
    validation = final_rules::conditions(),
    validation = final_rules::unchanged("result"),
    validation = final_rules::unchanged_text("resultUri"),
    validation = final_rules::unchanged_text("completionTime"),
    validation = final_rules::needs_success("result"),
    validation = final_rules::needs_success("resultUri"),
    validation = final_rules::one_result()
)]
#[serde(rename_all = "camelCase")]
pub struct ManagedJobStatus {
    /// The `metadata.generation` that this status speaks of; -1 before the keeper has seen the job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// Where the job stands: `Pending`, `Queued`, `Starting`, `Running`, `Finishing`, `Suspended`, or at its end
    /// `Succeeded`, `Failed`, `Cancelled` or `Refused`. A summary of the conditions; the last four never change again.
    #[schemars(with = "JobState")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<JobState>,

    /// Why it stands there, in a word: `OperationLimitReached`, `OutOfMemory`, ...
    #[schemars(schema_with = "schema::reason")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,

    /// The same for people, in one line: what holds it, the URI of its result, or why it failed.
    #[schemars(length(max = bounds::MESSAGE))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,

    /// When it came into this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,

    /// `ComputeCluster` that it was given to.
    #[schemars(schema_with = "schema::object_name")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_name: Option<String>,

    /// Its place in the queue and what holds it; there only while it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<QueueStatus>,

    /// Its runs, one entry an attempt.
    #[schemars(length(max = bounds::RUNS))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["number".into()]))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<RunStatus>,

    /// When its newest run was granted a place; `startTimeoutSeconds` and `activeDeadlineSeconds` count from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Time>,

    /// When it ended. Final.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<Time>,

    /// How long it waited before its newest run was granted a place, as `1h2m`; written at its start. Waiting begins anew when
    /// it is resumed.
    #[schemars(length(max = bounds::DURATION))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waited: Option<String>,

    /// How long it took from its start to its end, as `3m20s`; written at its end.
    #[schemars(length(max = bounds::DURATION))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took: Option<String>,

    /// Executors of its run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executors: Option<ExecutorGrant>,

    /// What its closed runs took together. A run that never started for want of a place is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<JobUsage>,

    /// The result and who named it; there only when the job has succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<JobResult>,

    /// URI of the result; the same as `result.uri`, for `kubectl get -o jsonpath='{.status.resultUri}'`.
    #[schemars(length(min = 1, max = bounds::URI))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result_uri: Option<String>,

    /// `Accepted`, `Admitted`, `Finished` (True on any end), `Succeeded` (Unknown until the end), `ResultPublished`,
    /// `Suspended` (there only while it is); `Reconciling` and `Stalled` as kstatus knows them. One entry a type.
    #[schemars(schema_with = "schema::conditions")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// A waiting job's place in the queue, and what holds it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct QueueStatus {
    /// Since when it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_since: Option<Time>,

    /// Its place, 1 is next. Near the head of the queue only.
    #[schemars(range(min = 1))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<i32>,

    /// All that holds it, the first being the reason.
    #[schemars(length(max = bounds::BLOCKERS))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blockers: Vec<Blocker>,
}

/// One thing that holds a waiting job.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Blocker {
    /// What it is, in a word: `OperationLimitReached`, `ClusterOccupied`, ...
    #[schemars(schema_with = "schema::reason")]
    pub reason: String,

    /// The same for people, in one line.
    #[schemars(length(max = bounds::BLOCKER_MESSAGE))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,

    /// The limit that it meets, in the unit of the reason (runs, jobs, executors).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<i64>,

    /// How much of the limit is in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_use: Option<i64>,

    /// Some of the jobs that hold it, `namespace/name`; another tenant's are counted, not named.
    #[schemars(length(max = bounds::BLOCKER_HOLDERS), inner(length(max = 320)))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holders: Vec<String>,
}

/// One run of a job: one attempt, one `SparkApplication`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunStatus {
    /// Number of the run, from 1.
    #[schemars(range(min = 1))]
    pub number: i32,

    /// Name of its `SparkApplication`, in this namespace.
    #[schemars(length(max = 253))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spark_application: Option<String>,

    /// Spark's own identifier of it (`spark-...`), which its event log carries.
    #[schemars(length(max = 253))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application_id: Option<String>,

    /// Name of its driver pod.
    #[schemars(length(max = 253))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver_pod: Option<String>,

    /// How it ended: `Succeeded`, `Failed`, `Cancelled` or `Suspended`. Written before its last pods go.
    #[schemars(with = "RunOutcome")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<RunOutcome>,

    /// Why it ended so, in a word.
    #[schemars(schema_with = "schema::reason")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,

    /// The same for people: Spark's exception line, the exit code.
    #[schemars(length(max = bounds::MESSAGE))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,

    /// The result that this run reported.
    #[schemars(length(min = 1, max = bounds::URI))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result_uri: Option<String>,

    /// When it was granted a place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Time>,

    /// When it was closed: no pod of it is left alive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion: Option<Time>,

    /// What it took; written when it was closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<JobUsage>,
}

/// Executors of a job's run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExecutorGrant {
    /// Executors that it may have at most; reserved until the run is closed.
    #[schemars(range(min = 0))]
    pub granted: i32,

    /// Executors of it that ran when this was written: every `status.detailSeconds` (30) at most while they come and go.
    #[schemars(range(min = 0))]
    #[serde(default)]
    pub ready: i32,

    /// The most of them that were seen to run at once.
    #[schemars(range(min = 0))]
    #[serde(default)]
    pub peak: i32,
}

/// The result of a job that has succeeded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JobResult {
    /// Where it is.
    #[schemars(length(min = 1, max = bounds::URI))]
    pub uri: String,

    /// Who named it: the driver's `TerminationMessage`, a `PodAnnotation`, or nobody (`Declared`: the job's own
    /// `result.uri`).
    pub reported_by: ReportedBy,
}
