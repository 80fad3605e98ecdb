//! The rows: each CEL rule with what it refuses and what it lets pass.

mod cluster;
mod job;
mod job_status;
mod ledger;
mod operation;
mod usage;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::ValidationRule;
use serde_json::Value;
use slowlane::api::v1alpha1::definitions;

use crate::table::Row;

fn all() -> Vec<Row> {
    [cluster::rows(), job::rows(), job_status::rows(), ledger::rows(), operation::rows(), usage::rows()].concat()
}

#[test]
fn every_rule_has_a_refused_row() {
    let refused: Vec<&str> = all().iter().flat_map(|row| row.refused.clone()).collect();
    for crd in definitions() {
        let schema = serde_json::to_value(&crd.spec.versions[0].schema).expect("a schema is JSON");
        for rule in rules(&schema) {
            let said = said(&rule);
            let met = refused.iter().any(|words| words.contains(&said) || (words.len() > 12 && said.contains(*words)));
            assert!(met, "{}: no row is refused with {said:?}", crd.spec.names.kind);
        }
    }
}

/// All CEL rules in a schema.
fn rules(schema: &Value) -> Vec<ValidationRule> {
    match schema {
        Value::Object(entries) => {
            let own = entries.get("x-kubernetes-validations").cloned().unwrap_or_else(|| Value::Array(Vec::new()));
            let own: Vec<ValidationRule> = serde_json::from_value(own).expect("rules are rules");
            entries.values().flat_map(rules).chain(own).collect()
        }
        Value::Array(items) => items.iter().flat_map(rules).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}

/// The longest part of a rule's message that is the same for all values.
fn said(rule: &ValidationRule) -> String {
    if let Some(message) = &rule.message {
        return message.clone();
    }
    let expression = rule.message_expression.as_deref().expect("every rule has a message");
    let literal = expression.split("'.format").next().unwrap_or_default();
    let parts = literal.trim_start_matches('\'').split(['%', '"']).map(|part| part.trim_start_matches(['d', 's']));
    parts.max_by_key(|part| part.len()).unwrap_or_default().trim().to_owned()
}
