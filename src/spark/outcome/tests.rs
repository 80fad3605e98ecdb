use super::*;
use proptest::prelude::*;
use serde_json::json;

#[expect(clippy::needless_pass_by_value, reason = "callers write json! in place")]
fn pod(status: Value) -> Pod {
    serde_json::from_value(json!({"metadata": {"name": "a-driver"}, "status": status})).unwrap()
}

/// A driver whose container has ended with a message.
fn ended(exit_code: i32, message: &str) -> DriverEnd {
    let reason = if exit_code == 0 { "Completed" } else { "Error" };
    let phase = if exit_code == 0 { "Succeeded" } else { "Failed" };
    driver_end(&pod(json!({"phase": phase, "containerStatuses": [container(DRIVER_CONTAINER, json!({
        "terminated": {"exitCode": exit_code, "reason": reason, "message": message},
    }))]})))
}

#[expect(clippy::needless_pass_by_value, reason = "callers write json! in place")]
fn container(name: &str, state: Value) -> Value {
    json!({"name": name, "image": "i", "imageID": "", "ready": false, "restartCount": 0, "state": state})
}

fn reported(message: &str) -> Option<String> {
    ended(0, message).reported.map(|report| report.uri)
}

#[test]
fn a_good_end_with_a_report_has_a_result() {
    let end = ended(0, r#"{"resultUri": "s3a://lake/report-1", "rows": 10, "final": true, "note": "a\nb"}"#);
    assert!(end.has_ended() && end.succeeded());
    let report = end.reported.unwrap();
    assert_eq!((report.by, report.uri.as_str()), (ReportedBy::TerminationMessage, "s3a://lake/report-1"));
}

#[test]
fn the_last_line_that_is_a_report_counts() {
    for message in [
        "{\"resultUri\": \"s3a://old/x\"}\nwriting\n{\"resultUri\": \"s3a://lake/x\"}\nbye\n",
        "  {\"resultUri\":\"s3a://lake/x\"}  ",
        "{\n  \"rows\": 3,\n  \"resultUri\": \"s3a://lake/x\"\n}",
        "{\"resultUri\": \"s3a://lake/x\"}\n{\"rows\": 3}\n[1]\n{broken\n",
        "{\"resultUri\": \"s3a://lake/x\"}\r\n{\"resultUri\": 7}",
    ] {
        assert_eq!(reported(message).as_deref(), Some("s3a://lake/x"), "{message}");
    }
}

#[test]
fn what_is_no_report_gives_no_result() {
    let deep = format!("{{\"a\":{}1{},\"resultUri\":\"s3a://x/y\"}}", "[".repeat(2000), "]".repeat(2000));
    for message in [
        "",
        "done",
        "null",
        "[]",
        "3",
        "{}",
        "{\"resultUri\": null}",
        "{\"resultUri\": [\"s3a://x/y\"]}",
        "\"s3a://x/y\"",
        "{\"result_uri\": \"s3a://x/y\"}",
        "{\"a\": {\"resultUri\": \"s3a://x/y\"}}",
        "s3a://x/y",
        "{{{{",
        &deep,
        &"{".repeat(20_000),
        "\u{0}\u{1}\u{fffd}\u{fffd}",
        &"é".repeat(20_000),
    ] {
        let end = ended(0, message);
        assert_eq!((end.reported, end.refused_report), (None, None), "{}", &message[..message.len().min(40)]);
    }
}

#[test]
fn a_result_that_may_not_be_published_is_refused_in_words() {
    for (uri, said) in [
        ("javascript:alert(1)", "a text of 19 characters: its scheme is not one"),
        ("file:///etc/passwd", "file:///...: its scheme is not one"),
        ("s3a://key:secret@lake/x", "s3a://lake/...: it is not a plain object URI"),
        ("s3a://lake/a b", "s3a://lake/...: it has characters"),
        ("", "a text of 0 characters: it is empty"),
    ] {
        let end = ended(0, &json!({"resultUri": uri}).to_string());
        assert_eq!(end.reported, None, "{uri}");
        assert!(end.refused_report.as_ref().unwrap().starts_with(said), "{end:?}");
    }
    let long = ended(0, &json!({"resultUri": format!("s3a://{}", "x".repeat(2000))}).to_string());
    assert!(long.refused_report.unwrap().chars().count() < 150);
}

#[test]
fn a_bad_report_does_not_hide_a_good_one() {
    let end = ended(0, "{\"resultUri\": \"s3a://lake/x\"}\n{\"resultUri\": \"file:///x\"}");
    assert_eq!(end.reported.unwrap().uri, "s3a://lake/x");
}

#[test]
fn the_pods_annotation_counts_when_the_message_says_nothing() {
    let mut pod = pod(json!({"phase": "Succeeded"}));
    pod.metadata.annotations = Some([(RESULT_URI_ANNOTATION.to_owned(), "gs://lake/y".to_owned())].into());
    let report = driver_end(&pod).reported.unwrap();
    assert_eq!((report.by, report.uri.as_str()), (ReportedBy::PodAnnotation, "gs://lake/y"));
}

#[test]
fn a_bad_end_reports_no_result_but_its_exception() {
    let end = ended(1, "{\"resultUri\": \"s3a://lake/x\"}\nTraceback (most recent call last):\n  x\nValueError: no");
    assert_eq!((end.reported, end.exit_code), (None, Some(1)));
    assert_eq!(end.exception.as_deref(), Some("ValueError: no"));
    assert_eq!(end.reason.as_deref(), Some("Error"));
}

#[test]
fn a_kill_for_memory_is_seen() {
    let end = driver_end(&pod(json!({"phase": "Failed", "containerStatuses": [container(DRIVER_CONTAINER, json!({
        "terminated": {"exitCode": 137, "reason": "OOMKilled"},
    }))]})));
    assert!(end.oom_killed && !end.succeeded());
    assert_eq!(end.reason.as_deref(), Some("OOMKilled"));
}

#[test]
fn reasons_come_from_the_pod_before_its_container() {
    let killed = container(DRIVER_CONTAINER, json!({"terminated": {"exitCode": 137, "reason": "Error"}}));
    let waiting = |reason: &str| container(DRIVER_CONTAINER, json!({"waiting": {"reason": reason, "message": "why"}}));
    let start_error = json!({"terminated": {"exitCode": 128, "reason": "StartError", "message": "exec: no such file"}});
    let disruption = json!([{"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler", "message": "preempting"}]);
    let unscheduled =
        json!([{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}]);
    for (status, reason, detail) in [
        (
            json!({"phase": "Failed", "reason": "Evicted", "message": "low on memory", "containerStatuses": [killed]}),
            Some("Evicted"),
            Some("low on memory"),
        ),
        (
            json!({"phase": "Failed", "conditions": disruption, "containerStatuses": [killed]}),
            Some("PreemptionByScheduler"),
            Some("preempting"),
        ),
        (json!({"phase": "Failed", "containerStatuses": [killed]}), Some("Error"), None),
        (
            json!({"phase": "Failed", "containerStatuses": [container("x", start_error)]}),
            Some("StartError"),
            Some("exec: no such file"),
        ),
        (
            json!({"phase": "Pending", "containerStatuses": [waiting("ImagePullBackOff")]}),
            Some("ImagePullBackOff"),
            Some("why"),
        ),
        (json!({"phase": "Pending", "conditions": unscheduled}), Some("Unschedulable"), Some("0/1 nodes")),
        (json!({"phase": "Running"}), None, None),
        (json!({}), None, None),
    ] {
        let end = driver_end(&pod(status.clone()));
        assert_eq!((end.reason.as_deref(), end.detail.as_deref()), (reason, detail), "{status}");
    }
}

#[test]
fn a_sidecar_does_not_hide_the_end_of_the_driver() {
    let sidecar = container("proxy", json!({"running": {}}));
    let done = container(
        DRIVER_CONTAINER,
        json!({"terminated": {"exitCode": 0, "message": "{\"resultUri\": \"s3a://l/x\"}"}}),
    );
    let end = driver_end(&pod(json!({"phase": "Running", "containerStatuses": [sidecar, done]})));
    assert!(end.has_ended() && end.succeeded() && end.reported.is_some());
    assert!(!end.phase.is_finished());
}

#[test]
fn among_several_containers_only_sparks_counts() {
    let failed = container("proxy", json!({"terminated": {"exitCode": 1}}));
    let other = container("other", json!({"terminated": {"exitCode": 1}}));
    let end = driver_end(&pod(json!({"phase": "Running", "containerStatuses": [failed, other]})));
    assert_eq!(end.exit_code, None);
}

#[test]
fn a_pod_without_status_has_not_ended() {
    let end = driver_end(&Pod::default());
    assert_eq!(end, DriverEnd::default());
    assert!(!end.has_ended() && !end.succeeded());
}

#[test]
fn the_end_of_a_long_message_is_read() {
    let message = format!("{}\n{{\"resultUri\": \"s3a://l/x\"}}", "é".repeat(MAX_MESSAGE));
    assert_eq!(reported(&message).as_deref(), Some("s3a://l/x"));
    assert_eq!(tail("aé", 1), "");
    assert_eq!(tail("aé", 2), "é");
}

proptest! {
    #[test]
    fn any_message_gets_an_answer(message in "[\\PC\\n\\x00\"{}:\\[\\]]{0,200}", exit_code: i32) {
        let end = ended(exit_code, &message);
        prop_assert!(end.reported.is_none_or(|report| check_result_uri(&report.uri).is_ok()));
    }

    #[test]
    fn any_reported_uri_is_a_checked_one(uri in "(s3a|gs|file|https|javascript)?(://|:)?[\\PC]{0,30}") {
        let end = ended(0, &json!({"resultUri": uri}).to_string());
        prop_assert!(end.reported.is_some() == check_result_uri(&uri).is_ok());
        prop_assert!(end.reported.is_some() != end.refused_report.is_some());
    }
}
