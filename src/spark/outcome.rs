//! How a driver ended: what its pod says, and the result that it reports.
//!
//! All of it is somebody else's text. The termination message is whatever the application wrote (or the last 2 KB of its
//! log), so it is searched, checked and cut; nothing in it can stop the keeper or reach a page unescaped by surprise.

use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, Pod, PodStatus};
use serde_json::{Map, Value};

use crate::api::v1alpha1::ReportedBy;

use super::failure::exception;
use super::marks::RESULT_URI_ANNOTATION;
use super::pods::DRIVER_CONTAINER;
use super::uri::{check_result_uri, shown};
use crate::text::clean;

/// The kubelet keeps 4 KiB; whoever writes pod statuses may write more.
const MAX_MESSAGE: usize = 16 * 1024;

/// Phase of a pod, closed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PodPhase {
    /// Accepted, not all of it started.
    Pending,
    /// On a node, something of it runs.
    Running,
    /// Everything in it ended well.
    Succeeded,
    /// Something in it ended badly.
    Failed,
    /// The node does not answer, or the word is not known.
    #[default]
    Unknown,
}

impl PodPhase {
    /// Whether nothing of the pod will ever run again.
    #[must_use]
    pub fn is_finished(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed)
    }
}

impl From<&str> for PodPhase {
    fn from(word: &str) -> Self {
        match word {
            "Pending" => Self::Pending,
            "Running" => Self::Running,
            "Succeeded" => Self::Succeeded,
            "Failed" => Self::Failed,
            _ => Self::Unknown,
        }
    }
}

/// What a driver's pod says about its end, or about why it does not begin.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DriverEnd {
    /// Phase of the pod.
    pub phase: PodPhase,
    /// Exit code of Spark's container, once it has ended.
    pub exit_code: Option<i32>,
    /// Whether it was killed for memory.
    pub oom_killed: bool,
    /// The word that Kubernetes has for it: of the pod (`Evicted`), else of the container (`OOMKilled`, `Error`,
    /// `ImagePullBackOff`), else of its scheduling (`Unschedulable`).
    pub reason: Option<String>,
    /// What goes with the reason where it is Kubernetes' own text, cleaned.
    pub detail: Option<String>,
    /// The exception that ended the application, from its message or log, cleaned.
    pub exception: Option<String>,
    /// The result, if it ended well and reported one.
    pub reported: Option<ReportedResult>,
    /// Why what it reported is not taken for a result.
    pub refused_report: Option<String>,
}

impl DriverEnd {
    /// Whether Spark's container has ended; a sidecar may keep the pod running.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.exit_code.is_some() || self.phase.is_finished()
    }

    /// Whether it ended well.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.exit_code.map_or(self.phase == PodPhase::Succeeded, |code| code == 0)
    }
}

/// What an application says of its result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportedResult {
    /// How it said so.
    pub by: ReportedBy,
    /// Where it is: checked by [`check_result_uri`].
    pub uri: String,
}

/// Reads the pod of a driver.
#[must_use]
pub fn driver_end(pod: &Pod) -> DriverEnd {
    let none = PodStatus::default();
    let status = pod.status.as_ref().unwrap_or(&none);
    let container = driver_container(status);
    let ended = container.and_then(terminated);
    let (reason, detail) = reason(status, container);
    let mut end = DriverEnd {
        phase: status.phase.as_deref().unwrap_or_default().into(),
        exit_code: ended.map(|ended| ended.exit_code),
        oom_killed: ended.is_some_and(|ended| ended.reason.as_deref() == Some("OOMKilled")),
        reason,
        detail,
        ..DriverEnd::default()
    };
    let message = ended.and_then(|ended| ended.message.as_deref()).map_or("", |message| tail(message, MAX_MESSAGE));
    if end.succeeded() {
        read_report(&mut end, message, pod);
    } else {
        end.exception = exception(message);
    }
    end
}

/// Spark's container, else the only one there is.
fn driver_container(status: &PodStatus) -> Option<&ContainerStatus> {
    let containers = status.container_statuses.as_deref().unwrap_or_default();
    containers.iter().find(|one| one.name == DRIVER_CONTAINER).or(match containers {
        [only] => Some(only),
        _ => None,
    })
}

fn terminated(container: &ContainerStatus) -> Option<&ContainerStateTerminated> {
    container.state.as_ref()?.terminated.as_ref()
}

type Reason = (Option<String>, Option<String>);

/// The most telling reason with Kubernetes' own text to it.
fn reason(status: &PodStatus, container: Option<&ContainerStatus>) -> Reason {
    let ended = container.and_then(terminated);
    let well = ended.is_some_and(|ended| ended.exit_code == 0);
    let of_pod = said(status.reason.as_deref(), status.message.as_deref());
    let disrupted = || condition(status, "DisruptionTarget", "True").filter(|_| !well);
    let of_container = || ended.and_then(|ended| said(ended.reason.as_deref(), kubelets_own(ended)));
    let waiting = || {
        let waiting = container?.state.as_ref()?.waiting.as_ref()?;
        said(waiting.reason.as_deref(), waiting.message.as_deref())
    };
    let unscheduled = || condition(status, "PodScheduled", "False");
    of_pod.or_else(disrupted).or_else(of_container).or_else(waiting).or_else(unscheduled).unwrap_or_default()
}

fn said(reason: Option<&str>, message: Option<&str>) -> Option<Reason> {
    let word = clean(reason?, MAX_REASON);
    let text = message.map(|message| clean(message, MAX_DETAIL)).filter(|text| !text.is_empty());
    (!word.is_empty()).then_some((Some(word), text))
}

const MAX_REASON: usize = 64;
const MAX_DETAIL: usize = 300;

fn condition(status: &PodStatus, kind: &str, value: &str) -> Option<Reason> {
    let conditions = status.conditions.as_deref().unwrap_or_default();
    let found = conditions.iter().find(|one| one.type_ == kind && one.status == value)?;
    said(found.reason.as_deref(), found.message.as_deref())
}

/// The message of an end is the application's, save where the container never came to run it.
fn kubelets_own(ended: &ContainerStateTerminated) -> Option<&str> {
    let never_ran =
        matches!(ended.reason.as_deref(), Some("StartError" | "ContainerCannotRun" | "ContainerStatusUnknown"));
    ended.message.as_deref().filter(|_| never_ran)
}

/// Looks for a report: the last line that is one, else the whole message, else the pod's annotation.
fn read_report(end: &mut DriverEnd, message: &str, pod: &Pod) {
    let annotation = pod.metadata.annotations.as_ref().and_then(|all| all.get(RESULT_URI_ANNOTATION));
    let lines = message.lines().rev().chain([message]).filter_map(report);
    let annotated = annotation.map(|uri| ReportedResult { by: ReportedBy::PodAnnotation, uri: uri.clone() });
    for found in lines.chain(annotated) {
        match check_result_uri(&found.uri) {
            Ok(()) => {
                end.reported = Some(found);
                return;
            }
            Err(problem) if end.refused_report.is_none() => {
                end.refused_report = Some(format!("{}: {problem}", shown(&found.uri)));
            }
            Err(_) => {}
        }
    }
}

/// A JSON object with a `resultUri`, else nothing. Nesting is bounded by the parser.
fn report(text: &str) -> Option<ReportedResult> {
    let text = text.trim();
    let object = text.starts_with('{').then(|| serde_json::from_str::<Map<String, Value>>(text).ok())??;
    let uri = object.get("resultUri")?.as_str()?.to_owned();
    Some(ReportedResult { by: ReportedBy::TerminationMessage, uri })
}

/// The last `most` bytes of a text, from the beginning of a character.
fn tail(text: &str, most: usize) -> &str {
    let from = (text.len().saturating_sub(most)..=text.len()).find(|at| text.is_char_boundary(*at));
    &text[from.unwrap_or(text.len())..]
}

#[cfg(test)]
mod tests;
