//! Every bound of every schema: the server refuses what goes beyond it, names the field, and accepts what stays within.
//!
//! The questions are made from the schema itself, so that a new field cannot be forgotten. What they judge is not the
//! schema but the server: that a bound stands where it is enforced.

use serde_json::{Map, Value, json};
use slowlane::api::v1alpha1::definitions;

use crate::{
    harness::{Fields, Server},
    specimen,
    table::{Kind, at},
};

const KINDS: [Kind; 4] = [Kind::Job, Kind::Operation, Kind::Cluster, Kind::Ledger];

/// A value that breaks one bound, where it stands, and what the refusal must say.
struct Breach {
    pointer: String,
    value: Option<Value>,
    words: String,
}

#[tokio::test]
async fn an_object_with_every_field_is_accepted() {
    let server = Server::connect().await;
    let namespace = server.namespace().await;
    for kind in KINDS {
        let path = kind.path(&namespace);
        let mut object = Value::Null;
        for spec in specimen::specs(kind) {
            object = server.create(&path, &kind.object(&spec), Fields::Strict, false).await.accepted();
            assert_eq!(object["spec"], spec, "{} is stored as written", kind.name());
        }
        if let Some(status) = specimen::status(kind) {
            object["status"] = status.clone();
            let stored = server.replace(&format!("{}/status", at(&path, &object)), &object, false).await.accepted();
            assert_eq!(stored["status"], status, "the status of {} is stored as written", kind.name());
        }
    }
}

#[tokio::test]
async fn every_specimen_has_every_field() {
    for kind in KINDS {
        let all = specimen::specs(kind).into_iter().reduce(together).expect("there is one");
        unset(&schema(kind, "spec"), &all, kind.name());
        if let Some(status) = specimen::status(kind) {
            unset(&schema(kind, "status"), &status, kind.name());
        }
    }
}

#[tokio::test]
async fn every_bound_of_a_spec_is_enforced() {
    let server = Server::connect().await;
    let namespace = server.namespace().await;
    let mut wrong = Vec::new();
    for kind in KINDS {
        let path = kind.path(&namespace);
        for spec in specimen::specs(kind) {
            for breach in breaches(&schema(kind, "spec"), &spec, "") {
                let object = kind.object(&broken(spec.clone(), &breach));
                let answer = server.create(&path, &object, Fields::Strict, true).await;
                judge(kind, &breach, answer.code, answer.message(), &mut wrong);
            }
        }
    }
    assert!(wrong.is_empty(), "{} bounds:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test]
async fn every_bound_of_a_status_is_enforced() {
    let server = Server::connect().await;
    let namespace = server.namespace().await;
    let mut wrong = Vec::new();
    for kind in KINDS {
        let Some(status) = specimen::status(kind) else { continue };
        let path = kind.path(&namespace);
        let object = kind.object(&specimen::spec(kind));
        let mut object = server.create(&path, &object, Fields::Strict, false).await.accepted();
        for breach in breaches(&schema(kind, "status"), &status, "") {
            object["status"] = broken(status.clone(), &breach);
            let answer = server.replace(&format!("{}/status", at(&path, &object)), &object, true).await;
            judge(kind, &breach, answer.code, answer.message(), &mut wrong);
        }
    }
    assert!(wrong.is_empty(), "{} bounds:\n{}", wrong.len(), wrong.join("\n"));
}

fn judge(kind: Kind, breach: &Breach, code: u16, message: &str, wrong: &mut Vec<String>) {
    let field =
        breach.pointer.rsplit('/').find(|part| part.parse::<u32>().is_err()).unwrap_or_default().replace("~1", "/");
    if code != 422 || !message.contains(&breach.words) || !message.contains(&field) {
        let asked = breach.value.as_ref().map(|value| value.to_string().chars().take(40).collect::<String>());
        wrong.push(format!(
            "- {} {} = {asked:?} should be refused with {:?}, was {code}: {}",
            kind.name(),
            breach.pointer,
            breach.words,
            message.chars().take(300).collect::<String>(),
        ));
    }
}

/// The schema of an object's `part`, `spec` or `status`.
fn schema(kind: Kind, part: &str) -> Value {
    let crd = definitions().into_iter().find(|crd| crd.spec.names.kind == kind.name()).expect("the kind is defined");
    let schema = crd.spec.versions[0].schema.clone().and_then(|s| s.open_api_v3_schema).expect("it has a schema");
    serde_json::to_value(schema).expect("a schema is JSON")["properties"][part].clone()
}

/// What one or the other of two objects has; of lists, the first entries count.
fn together(one: Value, other: Value) -> Value {
    match (one, other) {
        (Value::Object(mut one), Value::Object(other)) => {
            for (key, value) in other {
                let own = one.remove(&key).unwrap_or_default();
                one.insert(key, together(own, value));
            }
            Value::Object(one)
        }
        (Value::Array(one), Value::Array(other)) if one.len().min(other.len()) > 0 => {
            json!([together(one[0].clone(), other[0].clone())])
        }
        (Value::Null, other) => other,
        (one, _) => one,
    }
}

fn unset(schema: &Value, value: &Value, path: &str) {
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        assert!(!value[name].is_null(), "the specimen lacks {path}.{name}");
        unset(field, &value[name], &format!("{path}.{name}"));
    }
    if let Some(first) = value.as_array().and_then(|items| items.first()) {
        unset(&schema["items"], first, path);
    }
    if let Some((_, first)) =
        value.as_object().filter(|_| schema["additionalProperties"].is_object()).and_then(|m| m.iter().next())
    {
        unset(&schema["additionalProperties"], first, path);
    }
}

/// All breaches of `schema` by something that is `value` else, and of everything in it.
fn breaches(schema: &Value, value: &Value, pointer: &str) -> Vec<Breach> {
    let mut all = Vec::new();
    if !pointer.is_empty() {
        own(schema, value, pointer, &mut all);
    }
    for required in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        all.push(Breach { pointer: format!("{pointer}/{required}"), value: None, words: "Required value".into() });
    }
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        if !value[name].is_null() {
            all.extend(breaches(field, &value[name], &format!("{pointer}/{name}")));
        }
    }
    if let Some(first) = value.get(0) {
        all.extend(breaches(&schema["items"], first, &format!("{pointer}/0")));
    }
    let entry =
        value.as_object().filter(|_| schema["additionalProperties"].is_object()).and_then(|map| map.iter().next());
    if let Some((key, first)) = entry {
        all.extend(breaches(&schema["additionalProperties"], first, &format!("{pointer}/{}", key.replace('/', "~1"))));
    }
    all
}

/// Breaches of the bounds that stand at this very place.
fn own(schema: &Value, value: &Value, pointer: &str, all: &mut Vec<Breach>) {
    let mut add = |value: Value, words: String| all.push(Breach { pointer: pointer.into(), value: Some(value), words });
    let (wrong_type, words) = other_type(schema);
    add(wrong_type, words);
    if let Some(limit) = schema["maxLength"].as_u64() {
        add(
            json!("a".repeat(usize::try_from(limit + 1).expect("small"))),
            format!("may not be more than {limit} bytes"),
        );
    }
    if let Some(limit) = schema["minLength"].as_u64() {
        add(json!(""), format!("should be at least {limit} chars long"));
    }
    if schema["pattern"].is_string() {
        add(json!("not a match"), "should match".into());
    }
    if schema["format"] == "date-time" {
        add(json!("yesterday"), "must be of type date-time".into());
    }
    if let Some(limit) = schema["minimum"].as_f64() {
        add(json!(whole(limit) - 1), format!("should be greater than or equal to {limit}"));
    }
    if let Some(limit) = schema["maximum"].as_f64() {
        add(json!(whole(limit) + 1), format!("should be less than or equal to {}", whole(limit)));
    }
    if schema["enum"].is_array() {
        add(json!("Nonsense"), "Unsupported value: \"Nonsense\"".into());
    }
    if let Some(limit) = schema["maxItems"].as_u64() {
        add(
            json!(vec![value[0].clone(); usize::try_from(limit + 1).expect("small")]),
            format!("must have at most {limit} items"),
        );
    }
    if let Some(limit) = schema["maxProperties"].as_u64() {
        let sample = value.as_object().and_then(|map| map.values().next()).expect("the specimen has an entry");
        let many: Map<String, Value> = (0..=limit).map(|n| (format!("k{n}"), sample.clone())).collect();
        add(Value::Object(many), format!("must have at most {limit} items"));
    }
}

fn whole(number: f64) -> i64 {
    format!("{number:.0}").parse().expect("a bound is a whole number")
}

fn other_type(schema: &Value) -> (Value, String) {
    match schema["type"].as_str() {
        Some("string") if schema["format"] == "date-time" => (json!(7), "must be of type date-time".into()),
        Some("string") => (json!(7), "must be of type string".into()),
        Some(kind) => (json!("text"), format!("must be of type {kind}")),
        None => (json!(true), "must be of type".into()),
    }
}

fn broken(mut object: Value, breach: &Breach) -> Value {
    if let Some(value) = &breach.value {
        *object.pointer_mut(&breach.pointer).expect("the specimen has the field") = value.clone();
    } else {
        let (parent, name) = breach.pointer.rsplit_once('/').expect("a pointer has a parent");
        let parent = object.pointer_mut(parent).and_then(Value::as_object_mut).expect("the specimen has the parent");
        parent.remove(name);
    }
    object
}
