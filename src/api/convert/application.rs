//! A `SparkApplication` of ours as the engine sees it. Labels and annotations are read as somebody may have changed them:
//! whatever makes no sense counts as absent.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::{created, is_name, key, model_time, uid};
use crate::model::{ApplicationSeen, ApplicationState, Footprint, Locks, Name, Placeholder, PodSize, RunId};
use crate::spark::marks::{
    CLUSTER_ANNOTATION, GRANT_ANNOTATION, JOB_ANNOTATION, JOB_UID_LABEL, OPERATION_ANNOTATION, RUN_FINALIZER, RUN_LABEL,
};
use crate::spark::{self, Grant};

/// Annotation of an application that was born suspended: why it only holds a name.
pub const PLACEHOLDER_ANNOTATION: &str = "slowlane.dev/placeholder";

/// The word in [`PLACEHOLDER_ANNOTATION`].
#[must_use]
pub fn placeholder_word(placeholder: Placeholder) -> &'static str {
    match placeholder {
        Placeholder::End => "End",
        Placeholder::Replan => "Replan",
    }
}

/// The application.
#[must_use]
pub fn application(meta: &ObjectMeta, status: &spark::Status) -> ApplicationSeen {
    let finalizers = meta.finalizers.as_deref().unwrap_or_default();
    let has = |finalizer: &str| finalizers.iter().any(|other| other == finalizer);
    let said = status.application_state.error_message.as_deref().filter(|words| !words.is_empty());
    let message = said.map(|words| spark::failure_sentence(&status.application_state.state, Some(words), None));
    ApplicationSeen {
        key: key(meta),
        uid: uid(meta),
        run: run(meta),
        job: named(meta, JOB_ANNOTATION),
        operation: named(meta, OPERATION_ANNOTATION),
        cluster: named(meta, CLUSTER_ANNOTATION),
        grant: annotation(meta, GRANT_ANNOTATION).and_then(grant),
        created: created(meta),
        placeholder: annotation(meta, PLACEHOLDER_ANNOTATION).map(placeholder),
        deleting: meta.deletion_timestamp.as_ref().map(model_time),
        foreground: has("foregroundDeletion"),
        held: has(RUN_FINALIZER),
        edited: is_edited(meta),
        state: state(&status.application_state.state),
        message: message.map(Into::into),
        application_id: status.spark_application_id.as_deref().map(Into::into),
        driver_pod: status.driver_info.pod_name.as_deref().filter(|name| !name.is_empty()).map(Into::into),
        terminated: status.termination_time.as_ref().map(model_time),
    }
}

/// A generation is counted up by each change of the spec, and once by the deletion.
fn is_edited(meta: &ObjectMeta) -> bool {
    let untouched = if meta.deletion_timestamp.is_some() { 2 } else { 1 };
    meta.generation.is_some_and(|generation| generation > untouched)
}

fn annotation<'a>(meta: &'a ObjectMeta, name: &str) -> Option<&'a str> {
    meta.annotations.as_ref()?.get(name).map(String::as_str)
}

fn named(meta: &ObjectMeta, annotation_name: &str) -> Option<Name> {
    annotation(meta, annotation_name).filter(|name| is_name(name)).map(Into::into)
}

/// The run that an object's labels name.
pub(super) fn run(meta: &ObjectMeta) -> Option<RunId> {
    let labels = meta.labels.as_ref()?;
    let job = labels.get(JOB_UID_LABEL).filter(|uid| !uid.is_empty())?.as_str();
    let number = labels.get(RUN_LABEL)?.parse().ok().filter(|number| *number >= 1)?;
    Some(RunId { job: job.into(), number })
}

/// The annotation names the sum; how it was made up of pods is not needed any more. What is beyond all measure is no grant.
fn grant(text: &str) -> Option<(Footprint, u64, Locks)> {
    let Grant { max_executors, total, locks, .. } = text.parse().ok()?;
    let (executors, footprint) = (max_executors.into(), Footprint { driver: total, executor: PodSize::default() });
    (!footprint.with(executors).is_beyond_measure()).then_some((footprint, executors, locks))
}

fn placeholder(word: &str) -> Placeholder {
    match word {
        "Replan" => Placeholder::Replan,
        _ => Placeholder::End,
    }
}

fn state(state: &spark::ApplicationState) -> ApplicationState {
    use spark::ApplicationState as Spark;
    match state {
        Spark::New => ApplicationState::New,
        Spark::Submitted => ApplicationState::Submitted,
        Spark::Running => ApplicationState::Running,
        Spark::Completed => ApplicationState::Completed,
        Spark::Failed => ApplicationState::Failed,
        Spark::SubmissionFailed => ApplicationState::SubmissionFailed,
        Spark::Suspended => ApplicationState::Suspended,
        Spark::PendingRerun
        | Spark::Invalidating
        | Spark::Succeeding
        | Spark::Failing
        | Spark::Suspending
        | Spark::Resuming
        | Spark::Unknown
        | Spark::Other(_) => ApplicationState::Other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::model::Time;

    fn read(metadata: Value, status: Value) -> ApplicationSeen {
        application(&serde_json::from_value(metadata).unwrap(), &serde_json::from_value(status).unwrap())
    }

    #[test]
    fn reads_what_we_wrote_and_what_the_operator_says() {
        let seen = read(
            json!({"name": "daily-1", "namespace": "jobs", "uid": "a", "creationTimestamp": "1970-01-01T00:00:05Z",
                "labels": {"slowlane.dev/job-uid": "u", "slowlane.dev/run": "2"},
                "annotations": {"slowlane.dev/job": "daily", "slowlane.dev/cluster": "c", "slowlane.dev/operation": "o",
                    "slowlane.dev/grant": "executors=1..4,cores=4500m,memory=12288Mi,locks=lake:2"},
                "finalizers": ["slowlane.dev/run", "foregroundDeletion"], "deletionTimestamp": "1970-01-01T00:00:09Z"}),
            json!({"applicationState": {"state": "FAILED", "errorMessage": "driver\nfailed"},
                "driverInfo": {"podName": "daily-1-driver"}}),
        );
        assert_eq!(seen.run, Some(RunId { job: "u".into(), number: 2 }));
        assert_eq!((seen.created, seen.deleting), (Time(5000), Some(Time(9000))));
        assert!(seen.held && seen.foreground && seen.placeholder.is_none());
        assert_eq!((seen.state, seen.message.as_deref()), (ApplicationState::Failed, Some("driver failed")));
        let (footprint, executors, locks) = seen.grant.unwrap();
        assert_eq!(*locks, [("lake".into(), 2)]);
        assert_eq!((footprint.with(executors).milli_cores, footprint.with(executors).executors), (4500, 4));
    }

    #[test]
    fn what_makes_no_sense_counts_as_absent() {
        let seen = read(
            json!({"name": "x", "labels": {"slowlane.dev/job-uid": "u", "slowlane.dev/run": "two"},
                "annotations": {"slowlane.dev/grant": "much"}}),
            json!({}),
        );
        assert_eq!((seen.run, seen.grant, seen.state), (None, None, ApplicationState::New));
    }

    #[test]
    fn somebodys_text_is_no_name_no_run_and_no_grant() {
        for word in ["", "a b", "A", "-a", "a-", "a..b", "op/x", "ä", &"a".repeat(254)] {
            let annotations =
                json!({"slowlane.dev/job": word, "slowlane.dev/operation": word, "slowlane.dev/cluster": word});
            let seen = read(json!({"annotations": annotations}), json!({}));
            assert_eq!((seen.job, seen.operation, seen.cluster), (None, None, None), "{word}");
        }
        for (uid, number) in [("u", "0"), ("u", "-1"), ("", "1")] {
            let labels = json!({"slowlane.dev/job-uid": uid, "slowlane.dev/run": number});
            assert_eq!(read(json!({"labels": labels}), json!({})).run, None, "{uid} {number}");
        }
        for grant in [
            "executors=1..1000001,cores=1m,memory=1Mi",
            "executors=1..1,cores=10000000000001m,memory=1Mi",
            "executors=1..1,cores=1m,memory=18446744073709551615Mi",
        ] {
            assert_eq!(read(json!({"annotations": {"slowlane.dev/grant": grant}}), json!({})).grant, None, "{grant}");
        }
    }

    #[test]
    fn an_application_of_a_later_generation_was_edited() {
        let deleted = "1970-01-01T00:00:09Z";
        for (meta, edited) in [
            (json!({}), false),
            (json!({"generation": 1}), false),
            (json!({"generation": 2}), true),
            (json!({"generation": 2, "deletionTimestamp": deleted}), false),
            (json!({"generation": 3, "deletionTimestamp": deleted}), true),
        ] {
            assert_eq!(read(meta.clone(), json!({})).edited, edited, "{meta}");
        }
    }

    #[test]
    fn a_placeholder_is_known_by_its_annotation() {
        for word in [Placeholder::End, Placeholder::Replan] {
            let seen = read(json!({"annotations": {PLACEHOLDER_ANNOTATION: placeholder_word(word)}}), json!({}));
            assert_eq!(seen.placeholder, Some(word));
        }
    }
}
