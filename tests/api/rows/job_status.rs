//! A job's status: an end is final, and a result needs a success.

use serde_json::{Value, json};

use crate::{
    specimen::{self, condition},
    table::{Kind, Row, ask},
};

#[tokio::test]
async fn an_end_is_final_and_a_result_needs_a_success() {
    ask(&rows()).await;
}

pub(super) fn rows() -> Vec<Row> {
    [ends(), conditions(), results()].concat()
}

fn state(state: &str) -> Value {
    json!({"observedGeneration": 1, "state": state})
}

fn ended() -> Value {
    specimen::status(Kind::Job).expect("a job has a status")
}

/// The status of a job that waits, accepted or not.
fn accepted(truth: &str) -> Value {
    json!({"observedGeneration": 1, "state": "Queued", "conditions": [condition("Accepted", truth)]})
}

/// The status of a succeeded job with one field changed, or without it when `value` is null.
fn ended_with(field: &str, value: Value) -> Value {
    let mut status = ended();
    if value.is_null() {
        status.as_object_mut().expect("a status is an object").remove(field);
    } else {
        status[field] = value;
    }
    status
}

fn ends() -> Vec<Row> {
    vec![
        Row::status("first state", json!({"observedGeneration": -1}), state("Pending")),
        Row::status("onwards", state("Queued"), state("Running")),
        Row::status("back to the queue", state("Starting"), state("Queued")),
        Row::status("to its end", state("Finishing"), state("Failed")),
        Row::status("from the start to its end", json!({}), state("Cancelled")),
        Row::status("refused when it comes", json!({"observedGeneration": -1}), state("Refused")),
        Row::status("refused before it was accepted", accepted("False"), state("Refused")),
        Row::status("refused after it was accepted", accepted("True"), state("Refused"))
            .refused(&["status.state", "status.state is Queued: a job that was accepted is not refused"]),
        Row::status("refused after a run", json!({"runs": [{"number": 1}]}), state("Refused"))
            .refused(&["status.state is unset: a job that was accepted is not refused"]),
        Row::status("Refused becomes Queued", state("Refused"), state("Queued"))
            .refused(&["status.state is final: the job has ended as Refused"]),
        Row::status("an end stays", ended(), ended()),
        Row::status("an end's message is corrected", ended(), ended_with("message", json!("see the lake"))),
        Row::status("Succeeded again Running", state("Succeeded"), state("Running"))
            .refused(&["status.state", "status.state is final: the job has ended as Succeeded"]),
        Row::status("Failed becomes Succeeded", state("Failed"), state("Succeeded"))
            .refused(&["status.state is final: the job has ended as Failed"]),
        Row::status("Cancelled becomes Queued", state("Cancelled"), state("Queued"))
            .refused(&["status.state is final: the job has ended as Cancelled"]),
        Row::status("an end's state is removed", state("Failed"), json!({"observedGeneration": 1}))
            .refused(&["status.state is final: the job has ended as Failed"]),
        Row::status("an end's status is emptied", state("Failed"), json!({}))
            .refused(&["status.state is final: the job has ended as Failed"]),
        Row::status("an end's status is removed", state("Failed"), Value::Null)
            .refused(&["status.state is final: the job has ended as Failed"]),
        Row::status("a status that is no end is removed", state("Queued"), Value::Null),
        Row::status(
            "completion time set",
            state("Failed"),
            json!({"state": "Failed", "completionTime": "2026-11-22T10:00:00Z"}),
        ),
        Row::status("completion time changed", ended(), ended_with("completionTime", json!("2026-11-22T11:00:00Z")))
            .refused(&["status.completionTime", "status.completionTime is final: it is 2026-11-22T10:00:00"]),
        Row::status("completion time removed", ended(), ended_with("completionTime", Value::Null))
            .refused(&["status.completionTime is final: it is 2026-11-22T10:00:00"]),
    ]
}

fn conditions() -> Vec<Row> {
    let with = |state: &str, conditions: Value| json!({"state": state, "conditions": conditions});
    let finished = || with("Failed", json!([condition("Finished", "True"), condition("Succeeded", "False")]));
    let running = || with("Running", json!([condition("Finished", "False"), condition("Succeeded", "Unknown")]));
    let odd = || with("Running", json!([condition("Finished", "True")]));
    let fixed = "status.conditions: Finished is True, so Finished and Succeeded are final; the job has ended as Failed";
    vec![
        Row::status("conditions come", json!({"state": "Pending"}), running()),
        Row::status("Finished becomes True", running(), finished()),
        Row::status("Finished goes back while nothing has ended", running(), with("Queued", json!([]))),
        Row::status(
            "a condition is added after the end",
            finished(),
            with(
                "Failed",
                json!([condition("Finished", "True"), condition("Succeeded", "False"), condition("Stalled", "False")]),
            ),
        ),
        Row::status(
            "Finished becomes False",
            finished(),
            with("Failed", json!([condition("Finished", "False"), condition("Succeeded", "False")])),
        )
        .refused(&["status.conditions", fixed]),
        Row::status(
            "Succeeded becomes True after the end",
            finished(),
            with("Failed", json!([condition("Finished", "True"), condition("Succeeded", "True")])),
        )
        .refused(&[fixed]),
        Row::status("Finished is removed", finished(), with("Failed", json!([condition("Succeeded", "False")])))
            .refused(&[fixed]),
        Row::status("conditions are removed after the end", finished(), json!({"state": "Failed"})).refused(&[fixed]),
        Row::status(
            "Finished is True, the state goes on",
            odd(),
            with("Queued", json!([condition("Finished", "True")])),
        )
        .refused(&["status.state is final: the condition Finished is True with state Running"]),
        Row::status(
            "two conditions of one type",
            running(),
            with("Running", json!([condition("Finished", "False"), condition("Finished", "True")])),
        )
        .refused(&["status.conditions[1]", "Duplicate value"]),
        Row::status(
            "two runs of one number",
            running(),
            json!({"state": "Running", "runs": [{"number": 1}, {"number": 1}]}),
        )
        .refused(&["status.runs[1]", "Duplicate value"]),
    ]
}

fn results() -> Vec<Row> {
    let uri = |state: &str| json!({"state": state, "resultUri": "s3a://lake/x"});
    let other = |state: &str| json!({"state": state, "result": {"uri": "s3a://lake/y", "reportedBy": "Declared"}});
    let result = |state: &str| json!({"state": state, "result": {"uri": "s3a://lake/x", "reportedBy": "Declared"}});
    vec![
        Row::status("a result with its success", state("Finishing"), uri("Succeeded")),
        Row::status("a result after its success", state("Succeeded"), uri("Succeeded")),
        Row::status("a reported result with its success", state("Finishing"), result("Succeeded")),
        Row::status("a success without a result", state("Finishing"), state("Succeeded")),
        Row::status("a result while it runs", state("Running"), uri("Running"))
            .refused(&["status.resultUri", "status.resultUri is for Succeeded jobs only: the state is Running"]),
        Row::status("a result of a failed job", state("Running"), uri("Failed"))
            .refused(&["status.resultUri is for Succeeded jobs only: the state is Failed"]),
        Row::status("a result without a state", json!({}), json!({"resultUri": "s3a://lake/x"}))
            .refused(&["status.resultUri is for Succeeded jobs only: the state is unset"]),
        Row::status("a reported result of a failed job", state("Running"), result("Failed"))
            .refused(&["status.result", "status.result is for Succeeded jobs only: the state is Failed"]),
        Row::status("a result changed", uri("Succeeded"), json!({"state": "Succeeded", "resultUri": "s3a://lake/y"}))
            .refused(&["status.resultUri is final: it is s3a://lake/x"]),
        Row::status("a reported result changed", result("Succeeded"), other("Succeeded"))
            .refused(&["status.result", "status.result is final"]),
        Row::status("a reported result removed", result("Succeeded"), state("Succeeded"))
            .refused(&["status.result is final"]),
        Row::status("two places, one result", state("Finishing"), ended()),
        Row::status("two places, two results", state("Finishing"), ended_with("resultUri", json!("s3a://lake/x")))
            .refused(&["status.resultUri is s3a://lake/x, but status.result.uri is s3a://lake/daily"]),
        Row::status("a result removed", uri("Succeeded"), state("Succeeded"))
            .refused(&["status.resultUri is final: it is s3a://lake/x"]),
        Row::status("an unknown state", state("Running"), state("Sleeping"))
            .refused(&["status.state", "Unsupported value: \"Sleeping\""]),
    ]
}
