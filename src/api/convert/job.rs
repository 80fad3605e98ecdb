//! A `ManagedJob` as deciding needs it.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};

use super::cluster::selector;
use super::hold::hold;
use super::usage::usage;
use super::{count, created, key, model_time, uid};
use crate::api::v1alpha1::{self as api, ManagedJobSpec, ManagedJobStatus};
use crate::model::{
    Answers, ClusterChoice, EndReason, ExecutorBounds, ExecutorChoice, Fingerprint, Interruption, Job, JobState,
    Outcome, Priority, Published, Report, ReportedResult, ResultSource, RunStatus, Time, TimeLimits, Usage, WaitReason,
};
use crate::spark::{check_result_uri, referenced_parameters};

/// The job, before any expression is evaluated for it.
#[must_use]
pub fn job(meta: &ObjectMeta, spec: &ManagedJobSpec, status: Option<&ManagedJobStatus>) -> Job {
    let parameters: BTreeSet<Box<str>> = spec.parameters.keys().map(|name| name.as_str().into()).collect();
    let chosen = choice("spec", spec.cluster_name.as_deref(), spec.cluster_selector.as_ref());
    Job {
        key: key(meta),
        uid: uid(meta),
        generation: meta.generation.unwrap_or(0),
        created: created(meta),
        operation: spec.operation.as_str().into(),
        priority: spec.priority.map(priority),
        own_limit: spec.max_concurrent_runs.map(count),
        cluster: chosen.clone().ok().flatten(),
        executors: spec.executors.as_ref().map(executors),
        parameters: parameters.into_iter().collect(),
        declares_result: spec.result.is_some(),
        answers: Answers::default(),
        defect: missing_in_result(spec).or(chosen.err().map(Into::into)),
        time_limits: time_limits(spec.start_timeout_seconds, spec.active_deadline_seconds),
        cancel: spec.cancel,
        suspend: spec.suspend,
        hold: holding(spec).and_then(|field| hold(meta, field)).map(Box::new),
        deleting: meta.deletion_timestamp.is_some(),
        published: status.map(published).map(Box::new),
    }
}

/// Whether somebody ends it or holds it back.
#[must_use]
pub fn is_job_held(spec: &ManagedJobSpec) -> bool {
    holding(spec).is_some()
}

/// The field by which somebody ends it or holds it back.
fn holding(spec: &ManagedJobSpec) -> Option<&'static str> {
    match (spec.cancel, spec.suspend) {
        (true, _) => Some("cancel"),
        (false, true) => Some("suspend"),
        (false, false) => None,
    }
}

/// Which clusters it may go to; `path` is where that is said.
pub(super) fn choice(
    path: &str,
    name: Option<&str>,
    labels: Option<&LabelSelector>,
) -> Result<Option<Arc<ClusterChoice>>, String> {
    let choice = match (name, labels) {
        (Some(name), _) => ClusterChoice::Named(name.into()),
        (None, Some(labels)) => ClusterChoice::Selected(selector(&format!("{path}.clusterSelector"), labels)?),
        (None, None) => return Ok(None),
    };
    Ok(Some(Arc::new(choice)))
}

pub(super) fn priority(priority: api::Priority) -> Priority {
    match priority {
        api::Priority::Low => Priority::Low,
        api::Priority::Normal => Priority::Normal,
        api::Priority::High => Priority::High,
        api::Priority::Critical => Priority::Critical,
    }
}

pub(super) fn executors(choice: &api::ExecutorChoice) -> ExecutorChoice {
    match &choice.size {
        Some(name) => ExecutorChoice::Size(name.as_str().into()),
        None => ExecutorChoice::Bounds(bounds(choice.min, choice.max)),
    }
}

pub(super) fn bounds(min: Option<i32>, max: Option<i32>) -> ExecutorBounds {
    let number = |number: Option<i32>| number.map(|number| u64::from(count(number)));
    ExecutorBounds::from_written(number(min), number(max))
}

pub(super) fn time_limits(start: Option<i32>, active: Option<i32>) -> TimeLimits {
    let limit = |seconds: Option<i32>| seconds.and_then(|seconds| NonZeroU32::new(count(seconds)));
    TimeLimits { start: limit(start), active: limit(active) }
}

/// What the job's own result refers to must be among its own parameters.
fn missing_in_result(spec: &ManagedJobSpec) -> Option<Box<str>> {
    let uri = spec.result.as_ref()?.uri.as_str();
    let wanted = referenced_parameters(&api::ApplicationSpec::default(), Some(uri));
    let missing = wanted.into_iter().find(|name| !spec.parameters.contains_key(name))?;
    Some(format!("spec.parameters.{missing} is missing: spec.result.uri refers to it").into())
}

fn published(status: &ManagedJobStatus) -> Published {
    let mut runs: Vec<RunStatus> = status.runs.iter().map(run_status).collect();
    runs.sort_by_key(|run| run.number);
    let state = status.state.map(state);
    let is_waiting = matches!(state, Some(JobState::Pending | JobState::Queued));
    let told = status.queue.as_ref().filter(|_| is_waiting);
    let details = told.map(|queue| details(status.message.as_deref(), &runs, queue));
    // A run that was suspended is over, and its job is not: it stays.
    let newest = runs.pop();
    runs.extend(newest.clone().filter(|run| run.outcome.as_deref() == Some("Suspended")));
    let written = status.runs.iter().max_by_key(|run| run.number);
    let listed = status.runs.iter().filter_map(|run| run.usage.as_ref()).map(usage).fold(Usage::default(), Usage::plus);
    Published {
        state,
        observed_generation: status.observed_generation.unwrap_or(-1),
        reason: status.reason.as_deref().map(Into::into),
        details,
        since: status.since.as_ref().map(model_time),
        accepted: accepted(status),
        let_in: let_in(status),
        waiting_since: status.queue.as_ref().and_then(|queue| queue.waiting_since.as_ref()).map(model_time),
        outcome: written.and_then(outcome),
        closed: newest.as_ref().and_then(|run| Some((run.completion?, run.usage?))),
        peak: status.executors.map_or(0, |executors| count(executors.peak).into()),
        earlier: status.usage.as_ref().map(usage).unwrap_or_default().minus(listed),
        run: newest.map(|run| (run.number, was_seen(&run, state))),
        runs,
    }
}

/// What the status of a waiting job says beside its reason: the next keeper does not say it again.
fn details(message: Option<&str>, runs: &[RunStatus], queue: &api::QueueStatus) -> u64 {
    let mut details = Fingerprint::new(message.unwrap_or_default(), runs);
    details.add_position(queue.position.map(count));
    for blocker in &queue.blockers {
        let number = |number: Option<i64>| number.and_then(|number| u64::try_from(number).ok());
        let holders = blocker.holders.iter().map(|holder| holder.split_once('/').map_or(&**holder, |(_, name)| name));
        let message = blocker.message.as_deref().unwrap_or_default();
        details.add_blocker(message, number(blocker.limit), number(blocker.in_use), holders);
    }
    details.finish()
}

fn accepted(status: &ManagedJobStatus) -> Option<Time> {
    let found = status.conditions.iter().find(|it| it.type_ == "Accepted" && it.status == "True")?;
    Some(model_time(&found.last_transition_time))
}

/// Whether its operation took it, at some time. One that waits for something else may have come before or not: it has its
/// benefit.
fn let_in(status: &ManagedJobStatus) -> bool {
    let condition = status.conditions.iter().find(|it| it.type_ == "Accepted");
    match status.state {
        None => false,
        Some(api::JobState::Pending) => status.reason.as_deref() != Some(WaitReason::PendingEvaluation.as_str()),
        Some(api::JobState::Suspended) => condition.is_some_and(|it| it.status != "Unknown"),
        Some(_) => true,
    }
}

/// Whether a run's application was seen to exist: something is known of it that only the cluster could tell.
fn was_seen(run: &RunStatus, state: Option<JobState>) -> bool {
    let told = run.application_id.is_some() || run.driver_pod.is_some() || run.outcome.is_some();
    told || matches!(state, Some(JobState::Running | JobState::Finishing))
}

/// How a run ended, where its status says so. Who named its result is not written there; the message was read first.
fn outcome(run: &api::RunStatus) -> Option<Outcome> {
    Some(match run.outcome? {
        api::RunOutcome::Succeeded => Outcome::Succeeded(match (&run.result_uri, &run.message) {
            // It was checked before it was written, by the keeper; whoever else wrote it did not.
            (Some(uri), _) => match check_result_uri(uri) {
                Ok(()) => Report::Result(ReportedResult {
                    uri: uri.as_str().into(),
                    source: ResultSource::TerminationMessage,
                }),
                Err(problem) => Report::Refused(problem.to_string().into()),
            },
            (None, Some(why)) => Report::Refused(why.as_str().into()),
            (None, None) => Report::None,
        }),
        api::RunOutcome::Failed => {
            let reason = run.reason.as_deref().and_then(end_reason).unwrap_or(EndReason::ApplicationFailed);
            Outcome::Failed(reason, run.message.as_deref().unwrap_or_default().into())
        }
        api::RunOutcome::Cancelled => Outcome::Cancelled,
        api::RunOutcome::Suspended => Outcome::Suspended(Interruption::of(run.reason.as_deref())),
    })
}

fn end_reason(word: &str) -> Option<EndReason> {
    EndReason::ALL.into_iter().find(|reason| reason.as_str() == word)
}

fn state(state: api::JobState) -> JobState {
    match state {
        api::JobState::Pending => JobState::Pending,
        api::JobState::Queued => JobState::Queued,
        api::JobState::Starting => JobState::Starting,
        api::JobState::Running => JobState::Running,
        api::JobState::Finishing => JobState::Finishing,
        api::JobState::Suspended => JobState::Suspended,
        api::JobState::Succeeded => JobState::Succeeded,
        api::JobState::Failed => JobState::Failed,
        api::JobState::Cancelled => JobState::Cancelled,
        api::JobState::Refused => JobState::Refused,
    }
}

fn run_status(run: &api::RunStatus) -> RunStatus {
    let text = |text: &Option<String>| text.as_deref().map(Into::into);
    let outcome = run.outcome.map(|outcome| match outcome {
        api::RunOutcome::Succeeded => "Succeeded",
        api::RunOutcome::Failed => "Failed",
        api::RunOutcome::Cancelled => "Cancelled",
        api::RunOutcome::Suspended => "Suspended",
    });
    RunStatus {
        number: count(run.number),
        application: run.spark_application.as_deref().unwrap_or_default().into(),
        application_id: text(&run.application_id),
        driver_pod: text(&run.driver_pod),
        outcome: outcome.map(Into::into),
        reason: text(&run.reason),
        message: text(&run.message),
        result_uri: text(&run.result_uri),
        start: run.start.as_ref().map(model_time),
        completion: run.completion.as_ref().map(model_time),
        usage: run.usage.as_ref().map(usage),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn meta() -> ObjectMeta {
        serde_json::from_value(json!({"name": "daily", "namespace": "jobs", "uid": "u", "generation": 2,
            "creationTimestamp": "2026-01-01T00:00:01Z"}))
        .unwrap()
    }

    fn read(spec: Value) -> Job {
        let spec = serde_json::from_value(spec).unwrap();
        job(&meta(), &spec, None)
    }

    #[test]
    fn takes_over_what_deciding_needs() {
        let job = read(json!({"operation": "report", "priority": "High", "maxConcurrentRuns": 2, "clusterName": "c",
            "executors": {"max": 4}, "parameters": {"b": 1, "a": {}}, "cancel": true}));
        assert_eq!((&*job.operation, job.priority, job.own_limit), ("report", Some(Priority::High), Some(2)));
        assert_eq!(job.executors, Some(ExecutorChoice::Bounds(ExecutorBounds { min: 1, max: 4 })));
        assert_eq!(*job.parameters, ["a".into(), "b".into()]);
        assert_eq!((job.created.0, job.generation, job.cancel, job.deleting), (1_767_225_601_000, 2, true, false));
        assert_eq!((job.defect, job.published), (None, None));
    }

    #[test]
    fn a_result_that_refers_to_a_missing_parameter_is_a_defect() {
        let job = read(json!({"operation": "report", "result": {"uri": "s3a://x/$(params.day)/$(job.uid)"}}));
        let said = "spec.parameters.day is missing: spec.result.uri refers to it";
        assert_eq!(job.defect.as_deref(), Some(said));
    }

    #[test]
    fn the_newest_run_stands_apart_and_its_application_counts_as_seen_when_something_is_known_of_it() {
        let status = |state: &str, newest: Value| -> Published {
            let status = json!({"state": state, "observedGeneration": 1,
                "runs": [{"number": 1, "outcome": "Failed"}, newest]});
            published(&serde_json::from_value(status).unwrap())
        };
        let starting = status("Starting", json!({"number": 2, "sparkApplication": "x"}));
        assert_eq!((starting.run, starting.runs.len()), (Some((2, false)), 1));
        assert_eq!(status("Starting", json!({"number": 2, "driverPod": "x-driver"})).run, Some((2, true)));
        assert_eq!(status("Running", json!({"number": 2})).run, Some((2, true)));
    }

    #[test]
    fn who_was_let_in_shows_in_the_status() {
        let told = |state: Value, reason: &str, accepted: &str| {
            let status = json!({"state": state, "reason": reason, "conditions": [{"type": "Accepted", "status": accepted,
                "reason": reason, "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}]});
            published(&serde_json::from_value(status).unwrap()).let_in
        };
        for (state, reason, accepted, let_in) in [
            (Value::Null, "", "False", false),
            (json!("Pending"), "PendingEvaluation", "False", false),
            (json!("Pending"), "UnknownOperation", "False", true),
            (json!("Queued"), "ClusterOccupied", "True", true),
            (json!("Suspended"), "Suspended", "Unknown", false),
            (json!("Suspended"), "Suspended", "False", true),
            (json!("Suspended"), "Suspended", "True", true),
        ] {
            assert_eq!(told(state.clone(), reason, accepted), let_in, "{state} {reason} {accepted}");
        }
    }

    #[test]
    fn an_outcome_that_was_written_is_read_back() {
        let read = |run: Value| -> Option<Outcome> { outcome(&serde_json::from_value(run).unwrap()) };
        let failed = read(json!({"number": 1, "outcome": "Failed", "reason": "OutOfMemory", "message": "killed"}));
        assert_eq!(failed, Some(Outcome::Failed(EndReason::OutOfMemory, "killed".into())));
        let succeeded = read(json!({"number": 1, "outcome": "Succeeded", "resultUri": "s3a://x"}));
        assert!(matches!(succeeded, Some(Outcome::Succeeded(Report::Result(result))) if &*result.uri == "s3a://x"));
        let forged = read(json!({"number": 1, "outcome": "Succeeded", "resultUri": "javascript:alert(1)"}));
        assert!(matches!(forged, Some(Outcome::Succeeded(Report::Refused(_)))), "{forged:?}");
        assert_eq!(read(json!({"number": 1})), None);
    }
}
