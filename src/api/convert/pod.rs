//! A pod of ours as the engine sees it.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Pod, PodStatus};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;

use super::application::run;
use super::{key, model_time, uid};
use crate::api::v1alpha1::ReportedBy;
use crate::model::{DriverEnd, PodPhase, PodRole, PodSeen, PodSize, Report, ReportedResult, ResultSource, Time, Uid};
use crate::spark::{self, ApplicationState, cpu_quantity, driver_end, failure_sentence, memory_quantity};
use crate::text::clean;

/// Label by which Spark tells its drivers from its executors.
const ROLE_LABEL: &str = "spark-role";

/// The pod; `None` when its labels name no run.
#[must_use]
pub fn pod(meta: &ObjectMeta, status: &PodStatus, request: PodSize) -> Option<PodSeen> {
    let run = run(meta)?;
    let is_driver = meta.labels.as_ref()?.get(ROLE_LABEL).is_some_and(|role| role == "driver");
    let phase = phase(status);
    let finished_driver = is_driver && !phase.is_live();
    Some(PodSeen {
        key: key(meta),
        uid: uid(meta),
        run,
        owner: owner(meta),
        role: if is_driver { PodRole::Driver } else { PodRole::Executor },
        phase,
        request,
        started: started(status),
        ended: if phase.is_live() { None } else { ended(status) },
        waiting: if is_driver && phase == PodPhase::Pending { waiting(status) } else { None },
        end: finished_driver.then(|| end(meta, status)),
    })
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    containers: Vec<Container>,
    init_containers: Vec<Container>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Container {
    restart_policy: Option<String>,
    resources: Requests,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Requests {
    requests: BTreeMap<String, Quantity>,
}

impl Container {
    /// Thousandths of a core, and bytes. What cannot be read, or is not there, is nothing.
    fn takes(&self) -> (u64, u64) {
        let of = |name| self.resources.requests.get(name).map(|quantity: &Quantity| quantity.0.as_str());
        let cores = of("cpu").and_then(|text| cpu_quantity("", text).ok());
        let memory = of("memory").and_then(|text| memory_quantity("", text).ok());
        (cores.unwrap_or(0), memory.unwrap_or(0))
    }
}

/// What a pod with this spec requests: all of its containers together, or more where one that comes before them takes more.
#[must_use]
pub fn pod_request(spec: &str) -> PodSize {
    let spec = serde_json::from_str::<Option<Spec>>(spec).ok().flatten().unwrap_or_default();
    let is_sidecar = |container: &&Container| container.restart_policy.as_deref() == Some("Always");
    let staying = spec.containers.iter().chain(spec.init_containers.iter().filter(is_sidecar)).map(Container::takes);
    let add = |(cores, memory): (u64, u64), (more, bytes)| (cores + more, memory + bytes);
    let (cores, memory) = staying.fold((0, 0), add);
    let before = spec.init_containers.iter().map(Container::takes);
    let (milli_cores, bytes) =
        before.fold((cores, memory), |(cores, memory), (most, bytes)| (cores.max(most), memory.max(bytes)));
    PodSize { milli_cores, memory_mib: bytes.div_ceil(1 << 20) }
}

/// The `SparkApplication` that owns a driver.
fn owner(meta: &ObjectMeta) -> Option<Uid> {
    let owners = meta.owner_references.iter().flatten();
    let mut applications =
        owners.filter(|it| it.kind == "SparkApplication" && it.api_version.starts_with("sparkoperator.k8s.io/"));
    applications.next().map(|it| it.uid.as_str().into())
}

/// What keeps a pending pod from running, beyond what every pod goes through: the container's word (an image that does
/// not come), else the scheduler's.
fn waiting(status: &PodStatus) -> Option<Box<str>> {
    let containers = status.init_container_statuses.iter().chain(&status.container_statuses).flatten();
    let mut waiting = containers.filter_map(|container| container.state.as_ref()?.waiting.as_ref());
    let stuck = waiting.find_map(|waiting| {
        let reason = waiting.reason.as_deref()?;
        (!matches!(reason, "ContainerCreating" | "PodInitializing")).then_some((reason, waiting.message.as_deref()))
    });
    let unscheduled = || {
        let conditions = status.conditions.as_deref().unwrap_or_default();
        let found = conditions.iter().find(|it| it.type_ == "PodScheduled" && it.status == "False")?;
        Some((found.reason.as_deref().unwrap_or("Unschedulable"), found.message.as_deref()))
    };
    let (reason, message) = stuck.or_else(unscheduled)?;
    let words = message.map_or_else(|| reason.to_owned(), |message| format!("{reason}: {message}"));
    Some(clean(&words, MAX_WAITING).into())
}

/// When the first of its containers started, as the kubelet says: of one that has ended, in its last words.
fn started(status: &PodStatus) -> Option<Time> {
    let known = status.container_statuses.iter().flatten().filter_map(|it| it.state.as_ref());
    let started = known.filter_map(|state| match (&state.running, &state.terminated) {
        (Some(running), _) => running.started_at.as_ref(),
        (None, Some(terminated)) => terminated.started_at.as_ref(),
        (None, None) => None,
    });
    started.map(model_time).min()
}

/// When the last of its containers ended.
fn ended(status: &PodStatus) -> Option<Time> {
    let known = status.container_statuses.iter().flatten().filter_map(|it| it.state.as_ref()?.terminated.as_ref());
    known.filter_map(|terminated| terminated.finished_at.as_ref()).map(model_time).max()
}

/// Longest repeated word of Kubernetes about a pod that waits, in bytes.
const MAX_WAITING: usize = 300;

/// Evicted, preempted, or taken down with its node: Kubernetes ended it, not the application.
fn is_disrupted(status: &PodStatus) -> bool {
    let conditions = status.conditions.as_deref().unwrap_or_default();
    matches!(status.reason.as_deref(), Some("Evicted" | "Preempting" | "Shutdown" | "Terminated" | "NodeLost"))
        || conditions.iter().any(|condition| condition.type_ == "DisruptionTarget" && condition.status == "True")
}

fn phase(status: &PodStatus) -> PodPhase {
    match spark::PodPhase::from(status.phase.as_deref().unwrap_or_default()) {
        spark::PodPhase::Pending => PodPhase::Pending,
        spark::PodPhase::Succeeded => PodPhase::Succeeded,
        spark::PodPhase::Failed => PodPhase::Failed,
        spark::PodPhase::Running | spark::PodPhase::Unknown => PodPhase::Running,
    }
}

fn end(meta: &ObjectMeta, status: &PodStatus) -> DriverEnd {
    let pod = Pod { metadata: meta.clone(), status: Some(status.clone()), ..Pod::default() };
    let end = driver_end(&pod);
    let failed = status.phase.as_deref() == Some("Failed");
    DriverEnd {
        failure: failed.then(|| failure_sentence(&ApplicationState::Failed, None, Some(&end)).into()),
        out_of_memory: end.oom_killed,
        lost: failed && is_disrupted(status),
        report: report(end),
    }
}

fn report(end: spark::DriverEnd) -> Report {
    let Some(reported) = end.reported else {
        return end.refused_report.map_or(Report::None, |why| Report::Refused(why.into()));
    };
    Report::Result(ReportedResult {
        uri: reported.uri.into(),
        source: match reported.by {
            ReportedBy::PodAnnotation => ResultSource::PodAnnotation,
            ReportedBy::TerminationMessage | ReportedBy::Declared => ResultSource::TerminationMessage,
        },
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(role: &str, status: Value) -> PodSeen {
        let meta = json!({"name": "p", "namespace": "jobs", "uid": "p1",
            "labels": {"slowlane.dev/job-uid": "u", "slowlane.dev/run": "1", "spark-role": role}});
        let status = serde_json::from_value(status).unwrap();
        pod(&serde_json::from_value(meta).unwrap(), &status, PodSize::default()).unwrap()
    }

    fn ended(exit_code: i32, reason: &str, message: &str) -> Value {
        let phase = if exit_code == 0 { "Succeeded" } else { "Failed" };
        json!({"phase": phase, "containerStatuses": [{"name": "spark-kubernetes-driver", "image": "", "imageID": "",
            "ready": false, "restartCount": 0,
            "state": {"terminated": {"exitCode": exit_code, "reason": reason, "message": message}}}]})
    }

    #[test]
    fn a_driver_that_ended_well_carries_its_result() {
        let seen = read("driver", ended(0, "Completed", r#"{"resultUri": "s3a://lake/x"}"#));
        assert_eq!((seen.role, seen.phase), (PodRole::Driver, PodPhase::Succeeded));
        let end = seen.end.unwrap();
        assert!(matches!(end.report, Report::Result(result) if &*result.uri == "s3a://lake/x"));
        assert_eq!(end.failure, None);
    }

    #[test]
    fn a_result_that_may_not_be_published_is_refused_in_words() {
        let seen = read("driver", ended(0, "Completed", r#"{"resultUri": "file:///etc/passwd"}"#));
        let Report::Refused(why) = seen.end.unwrap().report else { panic!("not refused") };
        assert!(why.starts_with("file:///...: its scheme"), "{why}");
    }

    #[test]
    fn a_driver_that_was_killed_for_memory_says_so() {
        let end = read("driver", ended(137, "OOMKilled", "")).end.unwrap();
        assert!(end.out_of_memory && end.failure.unwrap().contains("OOMKilled"));
    }

    #[test]
    fn a_pod_started_with_its_first_container_and_ended_with_its_last() {
        let container = |state: Value| json!({"name": "c", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": state});
        let times = |start: &str, end: &str| json!({"exitCode": 0, "startedAt": start, "finishedAt": end});
        let first = container(json!({"terminated": times("2026-11-22T10:00:05Z", "2026-11-22T10:01:00Z")}));
        let second = container(json!({"terminated": times("2026-11-22T10:00:00Z", "2026-11-22T10:00:30Z")}));
        let both = json!([first.clone(), second]);
        let seen = read("executor", json!({"phase": "Succeeded", "containerStatuses": both}));
        let minute = seen.ended.unwrap() - seen.started.unwrap();
        assert_eq!(minute, crate::model::Span::seconds(60));
        let running = container(json!({"running": {"startedAt": "2026-11-22T10:00:09Z"}}));
        let seen = read("executor", json!({"phase": "Running", "containerStatuses": [first, running]}));
        assert_eq!((seen.started.is_some(), seen.ended), (true, None), "it goes on");
        let seen = read("driver", json!({"phase": "Pending", "containerStatuses": [container(json!({}))]}));
        assert_eq!((seen.started, seen.ended), (None, None));
    }

    #[test]
    fn an_unknown_phase_counts_as_live_and_executors_have_no_end() {
        assert!(read("driver", json!({})).phase.is_live());
        assert!(read("driver", json!({"phase": "Unknown"})).phase.is_live());
        let executor = read("executor", json!({"phase": "Failed"}));
        assert_eq!((executor.role, executor.phase, executor.end), (PodRole::Executor, PodPhase::Failed, None));
    }

    #[test]
    fn a_pod_without_a_run_is_not_ours() {
        assert_eq!(pod(&ObjectMeta::default(), &PodStatus::default(), PodSize::default()), None);
    }

    #[test]
    fn a_pod_requests_what_its_containers_do() {
        let container = |cpu: &str, memory: &str| json!({"resources": {"requests": {"cpu": cpu, "memory": memory}}});
        let executor = json!({"containers": [container("2", "4505Mi"), container("100m", "1Gi"), {}]});
        let size = |milli_cores, memory_mib| PodSize { milli_cores, memory_mib };
        assert_eq!(pod_request(&executor.to_string()), size(2100, 4505 + 1024));
        let mut sidecar = container("1", "1Mi");
        sidecar["restartPolicy"] = json!("Always");
        let init =
            json!({"containers": [container("1", "1Gi")], "initContainers": [container("500m", "2Gi"), sidecar]});
        assert_eq!(pod_request(&init.to_string()), size(2000, 2048));
        for odd in ["null", "3", r#"{"containers": [{"resources": {"requests": {"cpu": "many"}}}]}"#] {
            assert_eq!(pod_request(odd), PodSize::default(), "{odd}");
        }
    }
}
