//! A cluster: who may use it, how much it holds.

use serde_json::{Value, json};

use crate::table::{Kind::Cluster, Row, ask};

#[tokio::test]
async fn a_cluster_says_who_may_use_it_and_how_much_it_holds() {
    ask(&rows()).await;
}

pub(super) fn rows() -> Vec<Row> {
    [selectors(), capacity()].concat()
}

fn expression(key: &str, operator: &str, values: Value) -> Value {
    let mut requirement = json!({"key": key, "operator": operator});
    if !values.is_null() {
        requirement["values"] = values;
    }
    json!({"namespaceSelector": {"matchExpressions": [requirement]}})
}

fn selectors() -> Vec<Row> {
    let created = |title, spec| Row::created(Cluster, title, spec);
    let path = "spec.namespaceSelector.matchExpressions[0].values";
    vec![
        created("nobody may use it", json!({})),
        created("all may use it", json!({"namespaceSelector": {}})),
        created("one team may use it", json!({"namespaceSelector": {"matchLabels": {"team": "data"}}})),
        created("some teams may use it", expression("team", "In", json!(["a", "b"]))),
        created("whoever has a team may use it", expression("team", "Exists", Value::Null)),
        created("empty values where none are wanted", expression("team", "DoesNotExist", json!([]))),
        created("In without values", expression("team", "In", Value::Null))
            .refused(&[path, "values are for In and NotIn, which need some; the operator is In"]),
        created("NotIn with empty values", expression("team", "NotIn", json!([]))).refused(&["the operator is NotIn"]),
        created("Exists with values", expression("team", "Exists", json!(["a"]))).refused(&["the operator is Exists"]),
        created("an unknown operator", expression("team", "Like", json!(["a"]))).refused(&["operator", "\"Like\""]),
    ]
}

fn capacity() -> Vec<Row> {
    let created = |title, spec| Row::created(Cluster, title, spec);
    let unit = |cores: Value, memory: Value| json!({"executor": {"cores": cores, "memory": memory}});
    let zero = "must be a memory quantity above zero, such as 4Gi or 512Mi";
    let none = "must be a processor quantity above zero, such as 500m or 2";
    vec![
        created("a unit of whole cores", unit(json!(2), json!("4Gi"))),
        created("a unit of part of a core", unit(json!("1500m"), json!("512Mi"))),
        created("a unit in bytes", unit(json!("1.5"), json!(4_294_967_296_i64))),
        created("a unit without cores", unit(json!("0"), json!("4Gi"))).refused(&["spec.executor.cores", none]),
        created("a unit without memory", unit(json!(1), json!("0Gi"))).refused(&["spec.executor.memory", zero]),
        created("a unit with memory below zero", unit(json!(1), json!(-4))).refused(&[zero]),
        created("memory with an exponent and a unit", unit(json!(1), json!("1e3Gi")))
            .refused(&["spec.executor.memory", "1e3Gi"]),
        created("memory in Spark's notation", unit(json!(1), json!("4g"))).refused(&["spec.executor.memory", "4g"]),
        created("cores in words", unit(json!("two"), json!("4Gi"))).refused(&["spec.executor.cores", "two"]),
        created("a template that says little", json!({"template": {"serviceAccount": "spark"}})),
        created("an empty template", json!({"template": {}})),
        created(
            "a template with arguments of more than 64 KiB",
            json!({"template": {"arguments": vec!["a".repeat(8192); 9]}}),
        )
        .refused(&["spec.template.arguments", "arguments have 73728 characters"]),
        created("a policy that is not offered", json!({"stopPolicy": "Drain"})).refused(&[
            "spec.stopPolicy",
            "\"Drain\"",
            "\"None\", \"Hold\"",
        ]),
        created("held from the start", json!({"stopPolicy": "Hold"})),
        created("no executor at all", json!({"executors": {"max": 0}})),
        created("no job at all", json!({"limits": {"maxConcurrentJobs": 0}})),
    ]
}
