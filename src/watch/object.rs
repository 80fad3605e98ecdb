//! An object as a watch carries it, trimmed while it is parsed: managed fields are built only of what somebody holds back,
//! and a spec or a status that cannot be read spoils neither the other nor the watch.
//!
//! `kube`'s own guard does the same through a tree of dynamic values, which costs several times the parsing.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Debug;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference, Time};
use kube::Resource;
use kube::core::NamespaceResourceScope;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// What a watch needs to know about a kind.
pub trait View: Clone + Debug + Send + Sync + 'static {
    /// API group.
    const GROUP: &'static str;
    /// Version within it.
    const VERSION: &'static str;
    /// Kind.
    const KIND: &'static str;
    /// Plural, as in URLs.
    const PLURAL: &'static str;

    /// Reads the parts of an object; an absent part is JSON's `null`.
    ///
    /// # Errors
    /// In words, where and why the spec cannot be understood. A status that cannot be understood counts as absent.
    fn read(spec: &str, status: &str) -> Result<Self, String>;

    /// Whether somebody holds it back: then it matters who, and its metadata keeps the managed fields.
    fn is_held(&self) -> bool {
        false
    }
}

/// One object: its metadata, and its content if that could be understood.
#[derive(Debug, Clone)]
pub struct Object<V> {
    /// Its metadata, without managed fields unless it is held back.
    pub metadata: ObjectMeta,
    /// Its content, or why that cannot be understood.
    pub content: Result<V, String>,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default)]
    metadata: Metadata<'a>,
    #[serde(borrow, default)]
    spec: Option<&'a RawValue>,
    #[serde(borrow, default)]
    status: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Metadata<'a> {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    generation: Option<i64>,
    creation_timestamp: Option<Time>,
    deletion_timestamp: Option<Time>,
    labels: Option<BTreeMap<String, String>>,
    annotations: Option<BTreeMap<String, String>>,
    finalizers: Option<Vec<String>>,
    owner_references: Option<Vec<OwnerReference>>,
    #[serde(borrow)]
    managed_fields: Option<&'a RawValue>,
}

impl From<Metadata<'_>> for ObjectMeta {
    fn from(metadata: Metadata<'_>) -> Self {
        Self {
            name: metadata.name,
            namespace: metadata.namespace,
            uid: metadata.uid,
            resource_version: metadata.resource_version,
            generation: metadata.generation,
            creation_timestamp: metadata.creation_timestamp,
            deletion_timestamp: metadata.deletion_timestamp,
            labels: metadata.labels,
            annotations: metadata.annotations,
            finalizers: metadata.finalizers,
            owner_references: metadata.owner_references,
            ..Self::default()
        }
    }
}

impl<V: View> Object<V> {
    /// Parses one object.
    ///
    /// # Errors
    /// When it is no Kubernetes object at all.
    pub fn parse(json: &str) -> serde_json::Result<Self> {
        let envelope: Envelope<'_> = serde_json::from_str(json)?;
        let part = |part: Option<&RawValue>| part.map_or("null", RawValue::get).to_owned();
        let content = V::read(&part(envelope.spec), &part(envelope.status));
        let managers = envelope.metadata.managed_fields.filter(|_| content.as_ref().is_ok_and(V::is_held));
        let mut metadata: ObjectMeta = envelope.metadata.into();
        metadata.managed_fields = managers.and_then(|managers| serde_json::from_str(managers.get()).ok());
        Ok(Self { metadata, content })
    }
}

impl<'de, V: View> Deserialize<'de> for Object<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Self::parse(raw.get()).map_err(serde::de::Error::custom)
    }
}

impl<V: View> Resource for Object<V> {
    type DynamicType = ();
    // Also of kinds that are not: `Api::all` does not ask.
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        V::KIND.into()
    }

    fn group((): &()) -> Cow<'_, str> {
        V::GROUP.into()
    }

    fn version((): &()) -> Cow<'_, str> {
        V::VERSION.into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        V::PLURAL.into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

#[cfg(test)]
mod tests {
    use kube::api::WatchEvent;
    use kube::core::ObjectList;

    use super::*;

    #[derive(Debug, Clone, PartialEq, Deserialize)]
    struct Number {
        n: u32,
    }

    impl View for Number {
        const GROUP: &'static str = "example.dev";
        const VERSION: &'static str = "v1";
        const KIND: &'static str = "Number";
        const PLURAL: &'static str = "numbers";

        fn read(spec: &str, _status: &str) -> Result<Self, String> {
            serde_json::from_str(spec).map_err(|error| error.to_string())
        }

        fn is_held(&self) -> bool {
            self.n == 0
        }
    }

    const GOOD: &str = r#"{"apiVersion":"example.dev/v1","kind":"Number","metadata":{"name":"a","uid":"u",
        "resourceVersion":"5","managedFields":[{"fieldsV1":{"f:x":{}}}]},"spec":{"n":1},"status":{"x":[]}}"#;
    const BAD: &str = r#"{"metadata":{"name":"b","resourceVersion":"6"},"spec":{"n":"one"}}"#;

    #[test]
    fn a_list_keeps_what_cannot_be_understood() {
        let json = format!(
            r#"{{"kind":"List","apiVersion":"v1","metadata":{{"resourceVersion":"9"}},"items":[{GOOD},{BAD}]}}"#
        );
        let list: ObjectList<Object<Number>> = serde_json::from_str(&json).unwrap();
        assert_eq!(list.items[0].content, Ok(Number { n: 1 }));
        assert!(list.items[0].metadata.managed_fields.is_none());
        assert!(list.items[1].content.is_err());
        assert_eq!(list.items[1].metadata.name.as_deref(), Some("b"));
    }

    #[test]
    fn who_manages_what_is_read_of_a_held_object_only() {
        let held = GOOD.replace(r#""n":1"#, r#""n":0"#);
        let managers = |json: &str| Object::<Number>::parse(json).unwrap().metadata.managed_fields;
        assert!(managers(&held).is_some_and(|entries| entries.len() == 1));
        assert!(managers(GOOD).is_none());
        // What is no list of managers spoils nothing.
        let odd = held.replace(r#"[{"fieldsV1":{"f:x":{}}}]"#, "7");
        assert!(managers(&odd).is_none());
    }

    #[test]
    fn so_does_a_watch() {
        for (object, understood) in [(GOOD, true), (BAD, false)] {
            let json = format!(r#"{{"type":"MODIFIED","object":{object}}}"#);
            let event: WatchEvent<Object<Number>> = serde_json::from_str(&json).unwrap();
            let WatchEvent::Modified(object) = event else { panic!("{event:?}") };
            assert_eq!(object.content.is_ok(), understood);
        }
    }
}
