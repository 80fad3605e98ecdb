//! A job's spec: immutable but for its priority and its cancellation.

use serde_json::{Value, json};

use crate::{
    specimen,
    table::{Kind::Job, Row, ask},
};

#[tokio::test]
async fn a_job_stays_what_it_was_created_as() {
    ask(&rows()).await;
}

pub(super) fn rows() -> Vec<Row> {
    [immutable(), time_limits(), mutable(), created()].concat()
}

/// The specimen with one field changed, or without it when `value` is null.
fn with(field: &str, value: Value) -> Value {
    let mut spec = specimen::spec(Job);
    if value.is_null() {
        spec.as_object_mut().expect("a spec is an object").remove(field);
    } else {
        spec[field] = value;
    }
    spec
}

fn full() -> Value {
    specimen::spec(Job)
}

fn bare() -> Value {
    json!({"operation": "daily"})
}

fn bare_with(field: &str, value: Value) -> Value {
    let mut spec = bare();
    spec[field] = value;
    spec
}

fn change(title: &'static str, field: &str, value: Value, words: &[&'static str]) -> Row {
    Row::changed(Job, title, full(), with(field, value)).refused(words)
}

fn removal(title: &'static str, field: &str, words: &[&'static str]) -> Row {
    Row::changed(Job, title, full(), with(field, Value::Null)).refused(words)
}

fn addition(title: &'static str, field: &str, value: Value, words: &[&'static str]) -> Row {
    Row::changed(Job, title, bare(), bare_with(field, value)).refused(words)
}

fn immutable() -> Vec<Row> {
    let parameters = &["spec.parameters", "spec.parameters is immutable: create another job instead"];
    let runs = "spec.maxConcurrentRuns is immutable: it is ";
    vec![
        change(
            "operation changed",
            "operation",
            json!("hourly"),
            &["spec.operation", "spec.operation is immutable: it is \"daily\""],
        ),
        change("parameter changed", "parameters", json!({"day": "2026-11-23"}), parameters),
        change(
            "nested parameter changed",
            "parameters",
            json!({"day": "2026-11-22", "nested": {"list": [1, {"deep": 1}]}}),
            parameters,
        ),
        change(
            "parameter of another type",
            "parameters",
            json!({"day": 20_261_122, "nested": {"list": [1, {"deep": null}]}}),
            parameters,
        ),
        removal("parameters removed", "parameters", parameters),
        addition("parameters added", "parameters", json!({"day": 1}), parameters),
        addition("empty parameters added", "parameters", json!({}), parameters),
        change(
            "own limit changed",
            "maxConcurrentRuns",
            json!(9),
            &["spec.maxConcurrentRuns is immutable: it is 3; create another job"],
        ),
        removal("own limit removed", "maxConcurrentRuns", &[runs, "it is 3"]),
        addition("own limit added", "maxConcurrentRuns", json!(3), &[runs, "it is unset"]),
        change(
            "cluster changed",
            "clusterName",
            json!("night"),
            &["spec.clusterName is immutable: it is \"business\""],
        ),
        removal("cluster removed", "clusterName", &["spec.clusterName is immutable: it is \"business\""]),
        addition("cluster added", "clusterName", json!("night"), &["spec.clusterName is immutable: it is unset"]),
        addition("selector added", "clusterSelector", json!({}), &["spec.clusterSelector is immutable"]),
        change(
            "executors changed",
            "executors",
            json!({"min": 1, "max": 5}),
            &["spec.executors is immutable: it is min 1, max 4, size unset; create another job"],
        ),
        Row::changed(
            Job,
            "size changed",
            bare_with("executors", json!({"size": "M"})),
            bare_with("executors", json!({"size": "L"})),
        )
        .refused(&["spec.executors is immutable: it is min unset, max unset, size M; create another job"]),
        removal("executors removed", "executors", &["spec.executors is immutable"]),
        addition(
            "executors added",
            "executors",
            json!({"max": 5}),
            &["spec.executors is immutable: it is min unset, max unset, size unset"],
        ),
        change(
            "result changed",
            "result",
            json!({"uri": "s3a://lake/other"}),
            &["spec.result is immutable: it is \"s3a://lake/daily\""],
        ),
        removal("result removed", "result", &["spec.result is immutable"]),
        addition("result added", "result", json!({"uri": "s3a://lake/x"}), &["spec.result is immutable: it is unset"]),
        change(
            "correlation changed",
            "correlationId",
            json!("c-2"),
            &["spec.correlationId is immutable: it is \"c-1\""],
        ),
        removal("correlation removed", "correlationId", &["spec.correlationId is immutable: it is \"c-1\""]),
        addition("correlation added", "correlationId", json!("c"), &["spec.correlationId is immutable: it is unset"]),
        change(
            "submitter changed",
            "submittedBy",
            json!("bob"),
            &["spec.submittedBy is immutable: it is \"ann@example.com\""],
        ),
        removal("submitter removed", "submittedBy", &["spec.submittedBy is immutable: it is \"ann@example.com\""]),
        addition("submitter added", "submittedBy", json!("bob"), &["spec.submittedBy is immutable: it is unset"]),
        change("context changed", "context", json!({"tenant": "t2"}), &["spec.context is immutable: create another"]),
        removal("context removed", "context", &["spec.context is immutable"]),
        addition("context added", "context", json!({"tenant": "t2"}), &["spec.context is immutable"]),
    ]
}

fn time_limits() -> Vec<Row> {
    vec![
        change(
            "start timeout changed",
            "startTimeoutSeconds",
            json!(1),
            &["spec.startTimeoutSeconds is immutable: it is 300; create another job"],
        ),
        addition(
            "start timeout added",
            "startTimeoutSeconds",
            json!(1),
            &["spec.startTimeoutSeconds is immutable: it is unset"],
        ),
        change(
            "deadline changed",
            "activeDeadlineSeconds",
            json!(1),
            &["spec.activeDeadlineSeconds is immutable: it is 3600; create another job"],
        ),
        removal("deadline removed", "activeDeadlineSeconds", &["spec.activeDeadlineSeconds is immutable: it is 3600"]),
    ]
}

fn mutable() -> Vec<Row> {
    let cancelled = || with("cancel", json!(true));
    let taken_back = "spec.cancel is final: it is true and cannot be taken back; create another job instead";
    vec![
        Row::changed(Job, "nothing changed", full(), full()),
        Row::changed(Job, "nothing changed in a bare job", bare(), bare()),
        Row::changed(Job, "null for an absent field is no change", bare(), bare_with("clusterName", Value::Null)),
        Row::changed(Job, "null for absent parameters is no change", bare(), bare_with("parameters", Value::Null)),
        Row::changed(Job, "priority raised", full(), with("priority", json!("Critical"))),
        Row::changed(Job, "priority removed", full(), with("priority", Value::Null)),
        Row::changed(Job, "priority added", bare(), bare_with("priority", json!("High"))),
        Row::changed(Job, "cancelled", full(), cancelled()),
        Row::changed(Job, "cancelled when cancel was absent", bare(), bare_with("cancel", json!(true))),
        Row::changed(Job, "suspended", full(), with("suspend", json!(true))),
        Row::changed(Job, "resumed", with("suspend", json!(true)), full()),
        Row::changed(Job, "cancel stays", cancelled(), cancelled()),
        Row::changed(Job, "cancel false removed", full(), with("cancel", Value::Null)),
        Row::changed(Job, "cancel taken back", cancelled(), full()).refused(&[taken_back, "spec.cancel"]),
        Row::changed(Job, "cancel removed", cancelled(), with("cancel", Value::Null)).refused(&[taken_back]),
    ]
}

fn created() -> Vec<Row> {
    let executors = |min: i32, max: i32| bare_with("executors", json!({"min": min, "max": max}));
    vec![
        Row::created(Job, "bare", bare()),
        Row::created(Job, "selects clusters", bare_with("clusterSelector", json!({"matchLabels": {"tier": "night"}}))),
        Row::created(Job, "names and selects a cluster", {
            let mut spec = bare_with("clusterSelector", json!({"matchLabels": {"tier": "night"}}));
            spec["clusterName"] = json!("business");
            spec
        })
        .refused(&["spec.clusterSelector", "leave out one of clusterName and clusterSelector"]),
        Row::created(Job, "executors of one size", executors(3, 3)),
        Row::created(Job, "no executor is needed", executors(0, 1)),
        Row::created(Job, "only a least number of executors", bare_with("executors", json!({"min": 3}))),
        Row::created(Job, "only a greatest number of executors", bare_with("executors", json!({"max": 3}))),
        Row::created(Job, "more executors at least than at most", executors(4, 3))
            .refused(&["spec.executors.min", "executors.min is 4, above executors.max, which is 3"]),
        Row::created(Job, "a size", bare_with("executors", json!({"size": "M"}))),
        Row::created(Job, "a size and a number of executors", bare_with("executors", json!({"size": "M", "max": 3})))
            .refused(&["spec.executors.size", "give either size, or min, max or both: a size has its own min and max"]),
        Row::created(Job, "neither a size nor a number of executors", bare_with("executors", json!({})))
            .refused(&["spec.executors.size", "give either size, or min, max or both"]),
        Row::created(Job, "a size of two words", bare_with("executors", json!({"size": "very.large"})))
            .refused(&["spec.executors.size", "very.large"]),
        Row::created(Job, "an operation with a dot", json!({"operation": "team.daily"})),
        Row::created(Job, "an operation in capitals", json!({"operation": "Daily"}))
            .refused(&["spec.operation", "Daily"]),
        Row::created(Job, "a result with a space", bare_with("result", json!({"uri": "s3a://a b"})))
            .refused(&["spec.result.uri", "s3a://a b"]),
        Row::created(Job, "a result of 1024 characters", bare_with("result", json!({"uri": "s".repeat(1024)}))),
        Row::created(Job, "cancelled from the start", bare_with("cancel", json!(true))),
        Row::created(Job, "parameters that are a list", bare_with("parameters", json!([1])))
            .refused(&["spec.parameters", "must be of type object"]),
    ]
}
