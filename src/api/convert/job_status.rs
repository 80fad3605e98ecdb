//! What the keeper says of a job, as the API has it. Conditions follow from the value alone: nothing is read back to
//! write them, and their times are those of the job's own history.

use serde_json::Value;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::condition::{Truth, condition, word};
use super::patch::status_patch;
use super::usage::job_usage;
use super::{api_time, written};
use crate::api::v1alpha1::{self as api, ManagedJobStatus, bounds};
use crate::model::{Blocker, JobState, JobStatus, Name, QueueStatus, ResultSource, RunStatus, Time, Uid};
use crate::text::clean;

/// The JSON patch that says this of the job with this UID. `namespace` is the job's.
#[must_use]
pub fn job_status(status: &JobStatus, namespace: &Name, uid: &Uid) -> Value {
    status_patch(&written_status(status, namespace), &uid.to_string())
}

fn written_status(status: &JobStatus, namespace: &Name) -> ManagedJobStatus {
    let result = status.result.as_ref().filter(|_| status.state == JobState::Succeeded);
    ManagedJobStatus {
        observed_generation: Some(status.observed_generation),
        state: Some(state(status.state)),
        reason: Some(word(status.reason)),
        message: Some(clean(&status.message, bounds::MESSAGE as usize)),
        since: Some(api_time(status.since)),
        cluster_name: status.cluster.as_deref().map(Into::into),
        queue: status.queue.as_ref().map(|queue| queue_status(queue, namespace)),
        runs: newest(&status.runs).map(run_status).collect(),
        start_time: status.start.map(api_time),
        completion_time: status.completion.map(api_time),
        waited: status.waited.map(|span| span.to_string()),
        took: status.took.map(|span| span.to_string()),
        executors: status.executors.map(|executors| api::ExecutorGrant {
            granted: written(executors.granted),
            ready: written(executors.ready),
            peak: written(executors.peak),
        }),
        usage: status.usage.map(job_usage),
        result: result.map(|(uri, source)| api::JobResult { uri: uri.to_string(), reported_by: source_word(*source) }),
        result_uri: result.map(|(uri, _)| uri.to_string()),
        conditions: conditions(status),
    }
}

/// As many runs as fit; the oldest are left out.
fn newest(runs: &[RunStatus]) -> impl Iterator<Item = &RunStatus> {
    runs.iter().skip(runs.len().saturating_sub(bounds::RUNS as usize))
}

fn state(state: JobState) -> api::JobState {
    match state {
        JobState::Pending => api::JobState::Pending,
        JobState::Queued => api::JobState::Queued,
        JobState::Starting => api::JobState::Starting,
        JobState::Running => api::JobState::Running,
        JobState::Finishing => api::JobState::Finishing,
        JobState::Suspended => api::JobState::Suspended,
        JobState::Succeeded => api::JobState::Succeeded,
        JobState::Failed => api::JobState::Failed,
        JobState::Cancelled => api::JobState::Cancelled,
        JobState::Refused => api::JobState::Refused,
    }
}

fn source_word(source: ResultSource) -> api::ReportedBy {
    match source {
        ResultSource::TerminationMessage => api::ReportedBy::TerminationMessage,
        ResultSource::PodAnnotation => api::ReportedBy::PodAnnotation,
        ResultSource::Declared => api::ReportedBy::Declared,
    }
}

fn queue_status(queue: &QueueStatus, namespace: &Name) -> api::QueueStatus {
    api::QueueStatus {
        waiting_since: Some(api_time(queue.waiting_since)),
        position: queue.position.map(written),
        blockers: queue
            .blockers
            .iter()
            .take(bounds::BLOCKERS as usize)
            .map(|blocker| api_blocker(blocker, namespace))
            .collect(),
    }
}

fn api_blocker(blocker: &Blocker, namespace: &Name) -> api::Blocker {
    let number = |number: Option<u64>| number.map(|number| i64::try_from(number).unwrap_or(i64::MAX));
    let holders = blocker.holders.iter().take(bounds::BLOCKER_HOLDERS as usize);
    api::Blocker {
        reason: blocker.reason.as_str().into(),
        message: Some(clean(&blocker.message, bounds::BLOCKER_MESSAGE as usize)),
        limit: number(blocker.limit),
        in_use: number(blocker.in_use),
        holders: holders.map(|name| format!("{namespace}/{name}")).collect(),
    }
}

fn run_status(run: &RunStatus) -> api::RunStatus {
    let text = |text: &Option<Box<str>>, bytes: u32| text.as_ref().map(|text| clean(text, bytes as usize));
    let outcome = run.outcome.as_deref().and_then(|word| match word {
        "Succeeded" => Some(api::RunOutcome::Succeeded),
        "Failed" => Some(api::RunOutcome::Failed),
        "Cancelled" => Some(api::RunOutcome::Cancelled),
        "Suspended" => Some(api::RunOutcome::Suspended),
        _ => None,
    });
    api::RunStatus {
        number: written(run.number),
        spark_application: Some(run.application.to_string()).filter(|name| !name.is_empty()),
        application_id: text(&run.application_id, 253),
        driver_pod: text(&run.driver_pod, 253),
        outcome,
        reason: run.reason.as_deref().map(word),
        message: text(&run.message, bounds::MESSAGE),
        result_uri: run.result_uri.as_deref().map(Into::into),
        start: run.start.map(api_time),
        completion: run.completion.map(api_time),
        usage: run.usage.map(job_usage),
    }
}

// ---- conditions -----------------------------------------------------------------------------------------------------

const NOT_FINISHED: &str = "NotFinished";

fn conditions(status: &JobStatus) -> Vec<Condition> {
    let mut all = vec![accepted(status), admitted(status), finished(status), succeeded(status), published(status)];
    let generation = status.observed_generation;
    if status.state == JobState::Suspended {
        all.push(condition("Suspended", true, status.reason, &status.message, status.since, generation));
    }
    if !status.state.is_terminal() {
        let message = &status.message;
        all.push(condition("Reconciling", true, status.reason, message, status.created, generation));
    } else if matches!(status.state, JobState::Failed | JobState::Refused) {
        let since = ended(status);
        all.push(condition("Stalled", true, status.reason, &status.message, since, generation));
    }
    all
}

fn ended(status: &JobStatus) -> Time {
    status.completion.unwrap_or(status.since)
}

fn accepted(status: &JobStatus) -> Condition {
    let generation = status.observed_generation;
    if let Some(since) = status.accepted {
        return condition("Accepted", true, "Accepted", "it can run as it stands", since, generation);
    }
    // One that was suspended before it was looked at is neither.
    let is_unknown = status.state == JobState::Suspended && !status.let_in;
    let truth = if is_unknown { Truth::Unknown } else { Truth::False };
    condition("Accepted", truth, status.reason, &status.message, status.since, generation)
}

fn admitted(status: &JobStatus) -> Condition {
    let generation = status.observed_generation;
    match status.start {
        Some(start) if !waits(status.state) => {
            let cluster = status.cluster.as_deref().unwrap_or("a cluster");
            condition("Admitted", true, "Admitted", &format!("it has its place on {cluster}"), start, generation)
        }
        _ => {
            // A job that waits again since its run was planned anew was admitted in between.
            let since = if status.runs.is_empty() { status.created } else { status.since };
            condition("Admitted", false, status.reason, &status.message, since, generation)
        }
    }
}

fn waits(state: JobState) -> bool {
    matches!(state, JobState::Pending | JobState::Queued | JobState::Suspended)
}

fn finished(status: &JobStatus) -> Condition {
    let generation = status.observed_generation;
    if status.state.is_terminal() {
        condition("Finished", true, status.reason, &status.message, ended(status), generation)
    } else {
        condition("Finished", false, NOT_FINISHED, "it has not ended", status.created, generation)
    }
}

fn succeeded(status: &JobStatus) -> Condition {
    let (truth, since) = match status.state {
        JobState::Succeeded => (Truth::True, ended(status)),
        JobState::Failed | JobState::Cancelled | JobState::Refused => (Truth::False, ended(status)),
        JobState::Pending
        | JobState::Queued
        | JobState::Starting
        | JobState::Running
        | JobState::Finishing
        | JobState::Suspended => {
            let message = "it has not ended";
            return condition(
                "Succeeded",
                Truth::Unknown,
                NOT_FINISHED,
                message,
                status.created,
                status.observed_generation,
            );
        }
    };
    condition("Succeeded", truth, status.reason, &status.message, since, status.observed_generation)
}

fn published(status: &JobStatus) -> Condition {
    let generation = status.observed_generation;
    let say = |truth: bool, reason, message: &str, since| {
        condition("ResultPublished", truth, reason, message, since, generation)
    };
    match (&status.result, status.state.is_terminal()) {
        (Some((uri, _)), true) => say(true, "Published", uri, ended(status)),
        (_, false) => say(false, NOT_FINISHED, "it has not ended", status.created),
        (None, true) => {
            let refused = status.runs.last().filter(|run| run.outcome.as_deref() == Some("Succeeded"));
            match refused.and_then(|run| run.message.as_deref()) {
                Some(why) => say(false, "Refused", why, ended(status)),
                None => say(false, "NoResult", "there is no result", ended(status)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::{Span, WaitReason};

    fn status(state: JobState) -> JobStatus {
        JobStatus {
            observed_generation: 2,
            state,
            reason: "Because",
            message: "words".into(),
            created: Time(1000),
            since: Time(5000),
            accepted: Some(Time(4000)),
            let_in: false,
            cluster: None,
            queue: None,
            runs: vec![],
            start: None,
            completion: None,
            waited: None,
            took: None,
            executors: None,
            usage: None,
            result: None,
            declared_result: false,
        }
    }

    fn patch(status: &JobStatus) -> Value {
        job_status(status, &"jobs".into(), &"u".into())
    }

    fn truths(status: &JobStatus) -> Vec<(String, String)> {
        let conditions = written_status(status, &"jobs".into()).conditions;
        conditions.into_iter().map(|condition| (condition.type_, condition.status)).collect()
    }

    fn assert_truths(status: &JobStatus, expected: &[(&str, &str)]) {
        let expected: Vec<_> = expected.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        assert_eq!(truths(status), expected);
    }

    #[test]
    fn what_a_waiting_job_was_told_is_known_again_when_it_is_read() {
        let blocker = |reason, holders: &[&str]| Blocker {
            reason,
            message: "1 of 1 runs".into(),
            limit: Some(1),
            in_use: Some(1),
            holders: holders.iter().map(|name| (*name).into()).collect(),
        };
        let past = |number| RunStatus {
            outcome: Some("Suspended".into()),
            completion: Some(Time(9_876)),
            ..RunStatus { number, ..RunStatus::default() }
        };
        let first = blocker(WaitReason::OperationLimitReached, &["monday", "tuesday"]);
        let blockers = vec![first.into(), blocker(WaitReason::ClusterOccupied, &[]).into()];
        let queue = QueueStatus { waiting_since: Time(1000), position: Some(3), blockers };
        let status = JobStatus { queue: Some(queue), runs: vec![past(1), past(2)], ..status(JobState::Queued) };
        let meta = serde_json::from_value(json!({"name": "daily", "namespace": "jobs", "uid": "u"})).unwrap();
        let spec = serde_json::from_value(json!({"operation": "export"})).unwrap();
        let read = |status: &JobStatus| {
            let written = written_status(status, &"jobs".into());
            super::super::job::job(&meta, &spec, Some(&written)).published.unwrap().details
        };
        assert_eq!(read(&status), Some(status.details()));
        let other = JobStatus { message: "other words".into(), ..status.clone() };
        assert_ne!(read(&other), Some(status.details()));
        let runs = JobStatus { state: JobState::Running, ..status };
        assert_eq!(read(&runs), None, "only who waits is told of what others do");
    }

    #[test]
    fn a_waiting_job_says_what_holds_it() {
        let blocker = Blocker {
            reason: WaitReason::OperationLimitReached,
            message: "1 of 1 runs".into(),
            limit: Some(1),
            in_use: Some(1),
            holders: vec!["monday".into()],
        };
        let queue = QueueStatus { waiting_since: Time(1000), position: Some(1), blockers: vec![blocker.into()] };
        let status = JobStatus { queue: Some(queue), ..status(JobState::Queued) };
        let patch = patch(&status);
        assert_eq!(patch[0]["value"], json!("u"));
        assert_eq!(patch[1]["value"]["queue"]["blockers"][0]["holders"], json!(["jobs/monday"]));
        assert_eq!(patch[1]["value"]["resultUri"], Value::Null);
        assert_truths(
            &status,
            &[
                ("Accepted", "True"),
                ("Admitted", "False"),
                ("Finished", "False"),
                ("Succeeded", "Unknown"),
                ("ResultPublished", "False"),
                ("Reconciling", "True"),
            ],
        );
    }

    #[test]
    fn a_success_carries_its_result_in_both_places() {
        let status = JobStatus {
            result: Some(("s3a://lake/x".into(), ResultSource::Declared)),
            start: Some(Time(2000)),
            completion: Some(Time(9000)),
            took: Some(Span::seconds(7)),
            ..status(JobState::Succeeded)
        };
        let patch = patch(&status);
        assert_eq!(patch[1]["value"]["result"], json!({"uri": "s3a://lake/x", "reportedBy": "Declared"}));
        assert_eq!(patch[1]["value"]["resultUri"], "s3a://lake/x");
        assert_eq!(patch[1]["value"]["took"], "7s");
        assert_eq!(patch[1]["value"]["queue"], Value::Null);
        assert_truths(
            &status,
            &[
                ("Accepted", "True"),
                ("Admitted", "True"),
                ("Finished", "True"),
                ("Succeeded", "True"),
                ("ResultPublished", "True"),
            ],
        );
    }

    #[test]
    fn a_failure_and_a_refusal_are_stalled_for_kstatus_and_a_cancelled_job_is_not() {
        let ends = |state| JobStatus { completion: Some(Time(9000)), ..status(state) };
        let last = |state| truths(&ends(state)).pop().unwrap().0;
        assert_eq!(last(JobState::Failed), "Stalled");
        assert_eq!(last(JobState::Refused), "Stalled");
        assert_eq!(last(JobState::Cancelled), "ResultPublished");
    }

    #[test]
    fn a_refused_job_was_not_accepted_and_is_finished() {
        let status = JobStatus { accepted: None, completion: Some(Time(9000)), ..status(JobState::Refused) };
        assert_truths(
            &status,
            &[
                ("Accepted", "False"),
                ("Admitted", "False"),
                ("Finished", "True"),
                ("Succeeded", "False"),
                ("ResultPublished", "False"),
                ("Stalled", "True"),
            ],
        );
    }

    #[test]
    fn a_suspended_job_that_nobody_looked_at_is_neither_accepted_nor_not() {
        let suspended = |let_in| JobStatus { accepted: None, let_in, ..status(JobState::Suspended) };
        let of = |status: &JobStatus| truths(status).remove(0).1;
        assert_eq!((of(&suspended(false)), of(&suspended(true))), ("Unknown".into(), "False".into()));
    }

    #[test]
    fn no_text_breaks_the_bounds_of_the_schema() {
        let run = RunStatus { message: Some("\u{7}x".repeat(9000).into()), ..RunStatus::default() };
        let status = JobStatus { message: "ä\n".repeat(5000), runs: vec![run; 100], ..status(JobState::Failed) };
        let written = written_status(&status, &"jobs".into());
        assert_eq!(written.runs.len(), bounds::RUNS as usize);
        for text in [written.message.as_ref(), written.runs[0].message.as_ref()] {
            let text = text.unwrap();
            assert!(text.chars().count() <= bounds::MESSAGE as usize && !text.contains(char::is_control));
        }
    }
}
