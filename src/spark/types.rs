//! The few fields of the spark-operator's `SparkApplication` that the keeper reads.
//!
//! Read leniently: the object is somebody else's, its status may be written by anyone with the right to do so, and a
//! watch must never stop for one odd field. A field of the wrong type counts as absent.

use std::borrow::Cow;
use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::Resource;
use kube::core::ApiResource;
use kube::core::NamespaceResourceScope;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// API group of the kubeflow spark-operator.
pub const GROUP: &str = "sparkoperator.k8s.io";
/// Version of the group that the keeper writes and reads.
pub const VERSION: &str = "v1beta2";
/// Kind of a run's object.
pub const KIND: &str = "SparkApplication";
/// Its plural, as in URLs and RBAC.
pub const PLURAL: &str = "sparkapplications";

/// A `SparkApplication`, trimmed.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct SparkApplication {
    /// Name, UID, labels, owners, finalizers.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// What the spark-operator says about it; all absent until it has looked.
    #[serde(default, deserialize_with = "lenient")]
    pub status: Status,
}

/// What the spark-operator has observed.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// State and the message that goes with a failure.
    #[serde(default, deserialize_with = "lenient")]
    pub application_state: StateAndMessage,
    /// Spark's own id (`spark-...`), for its UI and history server.
    #[serde(default, deserialize_with = "lenient")]
    pub spark_application_id: Option<String>,
    /// The driver.
    #[serde(default, deserialize_with = "lenient")]
    pub driver_info: DriverInfo,
    /// When the driver was seen to have ended.
    #[serde(default, deserialize_with = "lenient")]
    pub termination_time: Option<Time>,
}

/// State of the application and why it is so.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StateAndMessage {
    /// The state; New when there is none.
    #[serde(default, deserialize_with = "lenient")]
    pub state: ApplicationState,
    /// The operator's words on a failure: untrusted, possibly the whole log of `spark-submit`.
    #[serde(default, deserialize_with = "lenient")]
    pub error_message: Option<String>,
}

/// Where the driver is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DriverInfo {
    /// Name of the driver pod; written before the pod exists.
    #[serde(default, deserialize_with = "lenient")]
    pub pod_name: Option<String>,
}

/// The states of the spark-operator's machine (`ApplicationStateType`, v2.5).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum ApplicationState {
    /// `""`: not looked at, or being submitted at this moment. Changing or deleting it now submits it twice.
    #[default]
    New,
    /// `spark-submit` has succeeded; the driver may be pending, for ever.
    Submitted,
    /// The driver runs.
    Running,
    /// Ended well. Terminal.
    Completed,
    /// Ended badly. Terminal.
    Failed,
    /// `spark-submit` has failed, or its answer was lost: a driver may exist all the same.
    SubmissionFailed,
    /// About to be submitted again.
    PendingRerun,
    /// Its spec was changed: what runs is being torn down.
    Invalidating,
    /// The driver has succeeded, the operator is about to say so.
    Succeeding,
    /// The driver has failed, the operator is about to decide.
    Failing,
    /// Its pods are being deleted.
    Suspending,
    /// Nothing of it runs.
    Suspended,
    /// About to be submitted after having been suspended.
    Resuming,
    /// The driver's node does not answer.
    Unknown,
    /// A word that this version of the keeper does not know.
    Other(String),
}

impl ApplicationState {
    /// Whether the operator will do nothing more with it. Only these two: a failed submission may be tried again.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Completed | Self::Failed)
    }

    /// The state as the operator writes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::New => "",
            Self::Submitted => "SUBMITTED",
            Self::Running => "RUNNING",
            Self::Completed => "COMPLETED",
            Self::Failed => "FAILED",
            Self::SubmissionFailed => "SUBMISSION_FAILED",
            Self::PendingRerun => "PENDING_RERUN",
            Self::Invalidating => "INVALIDATING",
            Self::Succeeding => "SUCCEEDING",
            Self::Failing => "FAILING",
            Self::Suspending => "SUSPENDING",
            Self::Suspended => "SUSPENDED",
            Self::Resuming => "RESUMING",
            Self::Unknown => "UNKNOWN",
            Self::Other(word) => word,
        }
    }
}

impl From<&str> for ApplicationState {
    fn from(word: &str) -> Self {
        match word {
            "" => Self::New,
            "SUBMITTED" => Self::Submitted,
            "RUNNING" => Self::Running,
            "COMPLETED" => Self::Completed,
            "FAILED" => Self::Failed,
            "SUBMISSION_FAILED" => Self::SubmissionFailed,
            "PENDING_RERUN" => Self::PendingRerun,
            "INVALIDATING" => Self::Invalidating,
            "SUCCEEDING" => Self::Succeeding,
            "FAILING" => Self::Failing,
            "SUSPENDING" => Self::Suspending,
            "SUSPENDED" => Self::Suspended,
            "RESUMING" => Self::Resuming,
            "UNKNOWN" => Self::Unknown,
            other => Self::Other(other.chars().take(MAX_STATE).collect()),
        }
    }
}

/// Longest foreign state kept: it is shown to people, never stored.
const MAX_STATE: usize = 64;

impl fmt::Display for ApplicationState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for ApplicationState {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::from(String::deserialize(deserializer)?.as_str()))
    }
}

/// Reads a field if it has the right type, else its default.
fn lenient<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned + Default,
{
    let value = Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).unwrap_or_default())
}

/// How the API server knows `SparkApplication`s, for untyped clients (the writer sends plain JSON).
#[must_use]
pub fn api_resource() -> ApiResource {
    ApiResource::erase::<SparkApplication>(&())
}

impl Resource for SparkApplication {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        KIND.into()
    }

    fn group((): &()) -> Cow<'_, str> {
        GROUP.into()
    }

    fn version((): &()) -> Cow<'_, str> {
        VERSION.into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        PLURAL.into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(value: Value) -> SparkApplication {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn reads_what_the_operator_writes() {
        let app = read(json!({
            "apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "SparkApplication",
            "metadata": {"name": "a", "namespace": "jobs", "uid": "u"},
            "spec": {"suspend": true, "type": "Python", "driver": {"cores": 1}},
            "status": {
                "applicationState": {"state": "FAILED", "errorMessage": "driver container failed"},
                "sparkApplicationId": "spark-1", "submissionID": "s", "driverInfo": {"podName": "a-driver"},
                "submissionAttempts": 1, "executionAttempts": 2,
                "lastSubmissionAttemptTime": "2026-01-01T00:00:00Z", "terminationTime": null,
                "executorState": {"a-exec-1": "RUNNING"},
            },
        }));
        assert_eq!(app.metadata.name.as_deref(), Some("a"));
        assert_eq!(app.status.application_state.state, ApplicationState::Failed);
        assert_eq!(app.status.application_state.error_message.as_deref(), Some("driver container failed"));
        assert_eq!(app.status.spark_application_id.as_deref(), Some("spark-1"));
        assert_eq!(app.status.driver_info.pod_name.as_deref(), Some("a-driver"));
        assert!(app.status.termination_time.is_none());
    }

    #[test]
    fn an_application_nobody_has_looked_at_is_new() {
        let app = read(json!({"metadata": {"name": "a"}}));
        assert_eq!(app.status, Status::default());
        assert_eq!(app.status.application_state.state, ApplicationState::New);
    }

    #[test]
    fn odd_fields_count_as_absent_and_leave_the_others_alone() {
        for odd in [json!(null), json!(3), json!("x"), json!([]), json!({"state": []}), json!(true)] {
            let app = read(json!({
                "metadata": {"name": "a"},
                "spec": odd,
                "status": {
                    "applicationState": odd, "sparkApplicationId": [1], "driverInfo": {"podName": {"x": 1}},
                    "submissionAttempts": "1", "executionAttempts": 4_000_000_000_u32, "lastSubmissionAttemptTime": "soon",
                    "terminationTime": "2026-01-01T00:00:00Z",
                },
            }));
            assert_eq!(app.status.application_state.state, ApplicationState::New, "{odd}");
            assert_eq!(app.status.driver_info.pod_name, None);
            assert!(app.status.termination_time.is_some());
        }
        assert_eq!(read(json!({"metadata": {"name": "a"}, "status": "gone"})).status, Status::default());
    }

    #[test]
    fn only_completed_and_failed_are_terminal() {
        let words = [
            "",
            "SUBMITTED",
            "RUNNING",
            "SUBMISSION_FAILED",
            "PENDING_RERUN",
            "INVALIDATING",
            "SUCCEEDING",
            "FAILING",
            "SUSPENDING",
            "SUSPENDED",
            "RESUMING",
            "UNKNOWN",
            "completed",
            "DONE",
        ];
        for word in words {
            assert!(!ApplicationState::from(word).is_terminal(), "{word}");
        }
        assert!(ApplicationState::from("COMPLETED").is_terminal());
        assert!(ApplicationState::from("FAILED").is_terminal());
    }

    #[test]
    fn every_state_reads_back_as_it_is_written() {
        for word in ["", "SUBMITTED", "SUBMISSION_FAILED", "PENDING_RERUN", "RESUMING", "UNKNOWN", "NEW_IN_V3"] {
            assert_eq!(ApplicationState::from(word).as_str(), word);
        }
        assert_eq!(ApplicationState::from("x".repeat(1000).as_str()).as_str().len(), MAX_STATE);
    }

    #[test]
    fn the_resource_is_the_operators() {
        let resource = api_resource();
        assert_eq!(resource.api_version, "sparkoperator.k8s.io/v1beta2");
        assert_eq!((resource.kind.as_str(), resource.plural.as_str()), ("SparkApplication", "sparkapplications"));
    }
}
