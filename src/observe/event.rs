//! Kubernetes Events: one for each transition that people hear of and one for each application that no job declared, written by
//! ourselves, because a recorder that aggregates keeps the first note of a series for ever.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};

use crate::command::Announcement;
use crate::model::{Name, ObjectKey, Resized, Uid};
use crate::spark;
use crate::spark::marks::CORRELATION_ANNOTATION;
use crate::text::clean;

const NOTE_BYTES: usize = 1000;
const NAME_CHARS: usize = 200;

/// The event of an announcement. `serial` tells apart what happens to one job in the same microsecond.
#[must_use]
pub fn event(
    announcement: &Announcement,
    correlation: Option<&str>,
    instance: &str,
    now: Timestamp,
    serial: u64,
) -> Event {
    let Announcement { job, uid, state, reason, message, warning } = announcement;
    let suffix = format!("{:x}{:04x}", now.as_microsecond(), serial & 0xffff);
    let annotations = correlation.map(|id| BTreeMap::from([(CORRELATION_ANNOTATION.to_owned(), id.to_owned())]));
    let mut event = said(about("slowlane.dev/v1alpha1", "ManagedJob", job, uid, &suffix), message, instance, now);
    event.metadata.annotations = annotations;
    Event {
        type_: Some(if *warning { "Warning" } else { "Normal" }.into()),
        reason: Some(clean(reason, 128)),
        action: Some(state.as_str().into()),
        ..event
    }
}

/// The event of an application that no job declared. Its name is made of the application's, so that there is one.
#[must_use]
pub fn stranger_event(key: &ObjectKey, uid: &Uid, message: &str, instance: &str, now: Timestamp) -> Event {
    let version = format!("{}/{}", spark::GROUP, spark::VERSION);
    Event {
        type_: Some("Warning".into()),
        reason: Some("UndeclaredApplication".into()),
        action: Some("Counted".into()),
        ..said(about(&version, spark::KIND, key, uid, &format!("undeclared-{uid}")), message, instance, now)
    }
}

/// Where Kubernetes keeps events of what has no namespace.
const NAMESPACE_OF_CLUSTER_EVENTS: &str = "default";

/// The event of a pool that has another size.
#[must_use]
pub fn pool_event(cluster: &Name, uid: &Uid, resized: &Resized, instance: &str, now: Timestamp, serial: u64) -> Event {
    let key = ObjectKey::new(NAMESPACE_OF_CLUSTER_EVENTS, cluster.clone());
    let suffix = format!("{:x}{:04x}", now.as_microsecond(), serial & 0xffff);
    let mut event =
        said(about("slowlane.dev/v1alpha1", "ComputeCluster", &key, uid, &suffix), &resized.to_string(), instance, now);
    if let Some(regarding) = &mut event.regarding {
        regarding.namespace = None;
    }
    let action = if resized.to > resized.from { "ScaledUp" } else { "ScaledDown" };
    let reason = Some(resized.cause.as_str().into());
    Event { type_: Some("Normal".into()), reason, action: Some(action.into()), ..event }
}

/// An event about an object, which is named after it.
fn about(version: &str, kind: &str, key: &ObjectKey, uid: &Uid, suffix: &str) -> Event {
    let stem: String = key.name.chars().take(NAME_CHARS).collect();
    let name = format!("{}.{suffix}", stem.trim_end_matches(['.', '-']));
    Event {
        metadata: ObjectMeta { name: Some(name), namespace: Some(key.namespace.to_string()), ..ObjectMeta::default() },
        regarding: Some(ObjectReference {
            api_version: Some(version.into()),
            kind: Some(kind.into()),
            namespace: Some(key.namespace.to_string()),
            name: Some(key.name.to_string()),
            uid: Some(uid.to_string()),
            ..ObjectReference::default()
        }),
        ..Event::default()
    }
}

/// The same, with what this keeper says now.
fn said(event: Event, message: &str, instance: &str, now: Timestamp) -> Event {
    Event {
        note: Some(clean(message, NOTE_BYTES)),
        event_time: Some(MicroTime(now)),
        reporting_controller: Some("slowlane.dev/keeper".into()),
        reporting_instance: Some(clean(instance, 128)),
        ..event
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::JobState;

    fn announcement(name: &str, message: &str) -> Announcement {
        Announcement {
            job: ObjectKey::new("jobs", name),
            uid: "u1".into(),
            state: JobState::Failed,
            reason: "OutOfMemory",
            message: message.into(),
            warning: true,
        }
    }

    #[test]
    fn says_what_happened_to_which_job() {
        let event = event(&announcement("daily", "killed"), Some("c-1"), "keeper-0", Timestamp::UNIX_EPOCH, 7);
        assert_eq!(event.regarding.unwrap().uid.as_deref(), Some("u1"));
        assert_eq!((event.type_.as_deref(), event.reason.as_deref()), (Some("Warning"), Some("OutOfMemory")));
        assert_eq!(event.metadata.name.as_deref(), Some("daily.00007"));
        assert_eq!(event.metadata.annotations.unwrap()["slowlane.dev/correlation-id"], "c-1");
    }

    #[test]
    fn a_stranger_has_one_event_of_its_own() {
        let uid = Uid::from("0b5c8d0e-7c55-4b46-9a55-0b0b3c1f9a11");
        let said = stranger_event(&ObjectKey::new("jobs", "adhoc"), &uid, "counts", "k", Timestamp::UNIX_EPOCH);
        assert_eq!(said.metadata.name.unwrap(), format!("adhoc.undeclared-{uid}"));
        assert_eq!(said.regarding.unwrap().kind.as_deref(), Some("SparkApplication"));
    }

    #[test]
    fn no_text_makes_it_too_long_or_breaks_the_line() {
        let long = format!("a\nb \u{1b}[31m{}", "ä".repeat(2000));
        let note = event(&announcement(&"x".repeat(253), &long), None, "i", Timestamp::UNIX_EPOCH, 0).note.unwrap();
        assert!(note.len() <= NOTE_BYTES && note.starts_with("a b ä") && !note.contains(char::is_control));
    }
}
