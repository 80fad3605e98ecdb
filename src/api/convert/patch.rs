//! Merge patches that leave nothing behind: what a status does not say is taken out of the stored one by an explicit
//! null, for every field that there is.

use serde_json::{Map, Value, json};

/// `value` with a null for every field of `fields` that it lacks; objects in `fields` are completed in depth where the
/// value has them.
fn complete(value: &mut Value, fields: &Value) {
    let (Value::Object(value), Value::Object(fields)) = (value, fields) else { return };
    for (name, below) in fields {
        complete(value.entry(name.clone()).or_insert(Value::Null), below);
    }
}

/// The body of a merge patch for the status of an object; with a UID, only of the object that has it.
pub(super) fn status_patch(mut status: Value, fields: &Value, uid: Option<&str>) -> Value {
    complete(&mut status, fields);
    let mut body = Map::from_iter([("status".to_owned(), status)]);
    if let Some(uid) = uid {
        body.insert("metadata".to_owned(), json!({"uid": uid}));
    }
    Value::Object(body)
}

/// Fails when the fields that are taken out are not all that the definition has. For tests.
#[cfg(test)]
pub(super) fn assert_all_fields(
    crd: k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
    fields: &Value,
) {
    let schema = crd.spec.versions.into_iter().next().and_then(|version| version.schema);
    let schema = schema.and_then(|schema| schema.open_api_v3_schema).expect("there is a schema");
    let schema = serde_json::to_value(&schema).expect("a schema is JSON");
    assert_fields(&schema["properties"]["status"], fields, "status");
}

#[cfg(test)]
fn assert_fields(schema: &Value, fields: &Value, path: &str) {
    let defined = schema["properties"].as_object().map(|fields| fields.keys().cloned().collect::<Vec<_>>());
    let ours = fields.as_object().map(|fields| fields.keys().cloned().collect::<Vec<_>>());
    let sorted = |names: Option<Vec<String>>| {
        let mut names = names.unwrap_or_default();
        names.sort();
        names
    };
    assert_eq!(sorted(defined), sorted(ours), "{path}");
    for (name, below) in fields.as_object().into_iter().flatten() {
        assert_fields(&schema["properties"][name], below, &format!("{path}.{name}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_is_taken_out() {
        let fields = json!({"a": null, "b": {"c": null, "d": null}, "e": {"f": null}});
        let patch = status_patch(json!({"b": {"c": 1}}), &fields, Some("u"));
        let expected = json!({"metadata": {"uid": "u"}, "status": {"a": null, "b": {"c": 1, "d": null}, "e": null}});
        assert_eq!(patch, expected);
    }
}
