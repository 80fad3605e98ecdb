//! Who set a field, by the API server's own account of who manages which.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ManagedFieldsEntry, ObjectMeta};

use super::model_time;
use crate::model::{Hold, Time};
use crate::text::clean;

/// The condition of clusters and operations.
pub(super) const HELD: &str = "Held";
/// A manager's name has at most so many characters.
const MANAGER: usize = 128;

/// Who set `spec.FIELD`: of several that manage it the one with the newest entry. `None`: nobody is known.
///
/// The time is that of the entry. It moves when the same manager changes another field, so the field is at least as old.
pub(super) fn hold(meta: &ObjectMeta, field: &str) -> Option<Hold> {
    let path = format!("/f:spec/f:{field}");
    // What is written through a subresource, the keeper's statuses among it, is no word on a spec.
    let of_object = |entry: &&ManagedFieldsEntry| entry.subresource.as_deref().unwrap_or_default().is_empty();
    let owns =
        |entry: &&ManagedFieldsEntry| entry.fields_v1.as_ref().is_some_and(|fields| fields.0.pointer(&path).is_some());
    let owners = meta.managed_fields.iter().flatten().filter(of_object).filter(owns);
    let newest = owners.max_by_key(|entry| entry.time.as_ref().map(model_time))?;
    let by = clean(newest.manager.as_deref().unwrap_or_default(), MANAGER);
    (!by.is_empty()).then(|| Hold { by: by.into(), since: newest.time.as_ref().map(model_time), why: None })
}

/// Who set the field by which something is held, if nobody has held it otherwise since the keeper said so.
pub(super) fn kept_hold(meta: &ObjectMeta, field: &str, conditions: Option<&Vec<Condition>>) -> Option<Hold> {
    hold(meta, field).map(|hold| hold.known_at(conditions.and_then(|conditions| held_since(conditions))))
}

/// Since when the keeper has said that it is held: it was held then, and has not been seen otherwise since.
fn held_since(conditions: &[Condition]) -> Option<Time> {
    let held = conditions.iter().find(|condition| condition.type_ == HELD && condition.status == "True")?;
    Some(model_time(&held.last_transition_time))
}

/// In which words it is said to be held.
pub(super) fn said_held(held: &Condition) -> Option<Box<str>> {
    (held.status == "True").then(|| held.message.as_str().into())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn entry(manager: &str, minute: u32, subresource: &str, fields: &Value) -> Value {
        json!({"manager": manager, "operation": "Update", "apiVersion": "slowlane.dev/v1alpha1",
            "time": format!("2026-11-26T14:{minute:02}:00Z"), "fieldsType": "FieldsV1", "subresource": subresource,
            "fieldsV1": fields})
    }

    fn holder(entries: &[Value]) -> Option<(String, String)> {
        let meta: ObjectMeta = serde_json::from_value(json!({"managedFields": entries})).unwrap();
        hold(&meta, "stopPolicy").map(|hold| (hold.by.to_string(), hold.at()))
    }

    #[test]
    fn the_newest_manager_of_the_field_holds() {
        let policy = json!({"f:spec": {"f:stopPolicy": {}}});
        let other = json!({"f:spec": {"f:limits": {}}, "f:metadata": {"f:labels": {"f:stopPolicy": {}}}});
        let entries =
            [entry("argocd", 5, "", &policy), entry("kubectl-edit", 9, "", &policy), entry("x", 30, "", &other)];
        assert_eq!(holder(&entries), Some(("kubectl-edit".into(), " at 2026-11-26 14:09 UTC".into())));
        assert_eq!(holder(&entries[2..]), None);
        assert_eq!(holder(&[]), None);
    }

    #[test]
    fn what_is_written_through_a_subresource_does_not_count() {
        let policy = json!({"f:spec": {"f:stopPolicy": {}}});
        let entries = [entry("kubectl", 5, "", &policy), entry("slowlane", 40, "status", &policy)];
        assert_eq!(holder(&entries).unwrap().0, "kubectl");
        assert_eq!(holder(&entries[1..]), None);
    }

    #[test]
    fn a_manager_without_a_time_holds_only_where_there_is_no_other() {
        let mut timeless = entry("old", 0, "", &json!({"f:spec": {"f:stopPolicy": {}}}));
        timeless.as_object_mut().unwrap().remove("time");
        let timed = entry("new", 1, "", &json!({"f:spec": {"f:stopPolicy": {}}}));
        assert_eq!(holder(&[timed, timeless.clone()]).unwrap().0, "new");
        assert_eq!(holder(&[timeless]), Some(("old".into(), String::new())));
    }
}
