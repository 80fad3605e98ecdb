//! A table of what the API server accepts and refuses, and the loop that asks it.

use serde_json::{Value, json};

use crate::answer::Answer;
use crate::harness::{Fields, GROUP, Server, unique};

/// The kinds of our API group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Job,
    Operation,
    Cluster,
    Ledger,
}

impl Kind {
    /// The kind's name in a manifest.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Job => "ManagedJob",
            Self::Operation => "Operation",
            Self::Cluster => "ComputeCluster",
            Self::Ledger => "RunLedger",
        }
    }

    /// The collection's path; only a cluster stands outside a namespace.
    pub(crate) fn path(self, namespace: &str) -> String {
        match self {
            Self::Job => format!("{GROUP}/namespaces/{namespace}/managedjobs"),
            Self::Operation => format!("{GROUP}/namespaces/{namespace}/operations"),
            Self::Cluster => format!("{GROUP}/computeclusters"),
            Self::Ledger => format!("{GROUP}/namespaces/{namespace}/runledgers"),
        }
    }

    /// An object of this kind with a name of its own.
    pub(crate) fn object(self, spec: &Value) -> Value {
        json!({
            "apiVersion": "slowlane.dev/v1alpha1",
            "kind": self.name(),
            "metadata": {"name": unique("x")},
            "spec": spec,
        })
    }
}

/// One question: may this be created, may that become this, may the status become this.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) title: &'static str,
    pub(crate) kind: Kind,
    /// What is stored before, one after the other; the first creates the object.
    pub(crate) before: Vec<Value>,
    pub(crate) new: Value,
    pub(crate) status: bool,
    /// What the refusal must say; empty: it must be accepted.
    pub(crate) refused: Vec<&'static str>,
}

impl Row {
    /// An object with this spec is created.
    pub(crate) fn created(kind: Kind, title: &'static str, spec: Value) -> Self {
        Self::after(kind, title, Vec::new(), spec)
    }

    /// An object's spec is changed from `old` to `new`.
    pub(crate) fn changed(kind: Kind, title: &'static str, old: Value, new: Value) -> Self {
        Self::after(kind, title, vec![old], new)
    }

    /// An object's spec has been each of `before` in turn, and becomes `new`.
    pub(crate) fn after(kind: Kind, title: &'static str, before: Vec<Value>, new: Value) -> Self {
        Self { title, kind, before, new, status: false, refused: Vec::new() }
    }

    /// A job's status is changed from `old` to `new`.
    pub(crate) fn status(title: &'static str, old: Value, new: Value) -> Self {
        Self::told(Kind::Job, title, old, new)
    }

    /// The status of an object of this kind is changed from `old` to `new`.
    pub(crate) fn told(kind: Kind, title: &'static str, old: Value, new: Value) -> Self {
        Self { status: true, ..Self::changed(kind, title, old, new) }
    }

    /// It must be refused, with all of these words.
    pub(crate) fn refused(mut self, words: &[&'static str]) -> Self {
        self.refused = words.to_vec();
        self
    }
}

/// Ask the server every row; fail with all rows that were answered otherwise.
pub(crate) async fn ask(rows: &[Row]) {
    let server = Server::connect().await;
    let namespace = server.namespace().await;
    let mut wrong = Vec::new();
    for row in rows {
        let answer = ask_one(&server, &namespace, row).await;
        if let Some(fault) = fault(row, &answer) {
            wrong.push(format!("- {}: {fault}", row.title));
        }
    }
    assert!(wrong.is_empty(), "{} of {} rows:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
}

fn fault(row: &Row, answer: &Answer) -> Option<String> {
    let message = answer.message();
    match (row.refused.is_empty(), answer.code) {
        (true, 200 | 201) => None,
        (true, code) => Some(format!("refused with {code}: {message}")),
        (false, 422) => {
            let missing: Vec<_> = row.refused.iter().filter(|words| !message.contains(**words)).collect();
            (!missing.is_empty()).then(|| format!("refused without {missing:?}: {message}"))
        }
        (false, code) => Some(format!("answered {code} instead of a refusal: {message}")),
    }
}

async fn ask_one(server: &Server, namespace: &str, row: &Row) -> Answer {
    let path = row.kind.path(namespace);
    let (part, mut steps) = if row.status { ("status", vec![spec_of(row.kind)]) } else { ("spec", Vec::new()) };
    steps.extend_from_slice(&row.before);
    let Some((first, later)) = steps.split_first() else {
        return server.create(&path, &row.kind.object(&row.new), Fields::Strict, true).await;
    };
    let mut object = server.create(&path, &row.kind.object(first), Fields::Strict, false).await.accepted();
    let path = format!("{}{}", at(&path, &object), if row.status { "/status" } else { "" });
    for step in later {
        object[part] = step.clone();
        object = server.replace(&path, &object, false).await.accepted();
    }
    object[part] = row.new.clone();
    server.replace(&path, &object, true).await
}

/// The spec of an object whose status is asked about.
fn spec_of(kind: Kind) -> Value {
    match kind {
        Kind::Job => json!({"operation": "daily"}),
        Kind::Operation => json!({"application": {"type": "Python", "mainApplicationFile": "local:///a.py"}}),
        Kind::Cluster | Kind::Ledger => json!({}),
    }
}

/// The path of an object in the collection `path`.
pub(crate) fn at(path: &str, object: &Value) -> String {
    format!("{path}/{}", object["metadata"]["name"].as_str().expect("it has a name"))
}
