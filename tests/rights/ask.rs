//! Rows of the table: who asks for what, and what the answer has to be.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use http::Method;
use serde_json::Value;

use crate::answer::Answer;
use crate::people::{People, Who};
use crate::server::{Call, Server};

/// How long anything may take that should happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A place in the API: a collection, an object in it, or a part of one.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    prefix: &'static str,
    namespace: Option<String>,
    plural: &'static str,
    name: Option<String>,
    part: Option<&'static str>,
}

impl Place {
    pub(crate) fn everywhere(prefix: &'static str, plural: &'static str) -> Self {
        Self { prefix, namespace: None, plural, name: None, part: None }
    }

    pub(crate) fn within(namespace: &str, prefix: &'static str, plural: &'static str) -> Self {
        Self { namespace: Some(namespace.to_owned()), ..Self::everywhere(prefix, plural) }
    }

    pub(crate) fn at(&self, name: &str) -> Self {
        Self { name: Some(name.to_owned()), ..self.clone() }
    }

    pub(crate) fn part(&self, part: &'static str) -> Self {
        Self { part: Some(part), ..self.clone() }
    }

    pub(crate) fn path(&self) -> String {
        let namespace = self.namespace.as_ref().map(|namespace| format!("/namespaces/{namespace}"));
        let name = self.name.as_ref().map(|name| format!("/{name}"));
        let part = self.part.map(|part| format!("/{part}"));
        let [namespace, name, part] = [namespace, name, part].map(Option::unwrap_or_default);
        format!("{}{namespace}/{}{name}{part}", self.prefix, self.plural)
    }

    /// As RBAC calls it.
    fn resource(&self) -> String {
        self.part.map_or_else(|| self.plural.to_owned(), |part| format!("{}/{part}", self.plural))
    }
}

/// What the answer has to be.
#[derive(Debug, Clone)]
pub(crate) enum Expected {
    Allowed,
    /// RBAC says that they may not do that with this resource.
    ByRbac {
        verb: &'static str,
        resource: String,
    },
    /// This policy refuses it, with all of these words.
    ByPolicy(&'static str, &'static [&'static str]),
}

/// One row.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) who: Who,
    pub(crate) title: &'static str,
    pub(crate) call: Call,
    pub(crate) expected: Expected,
    place: Place,
}

impl Row {
    fn new(who: Who, title: &'static str, place: Place, call: Call) -> Self {
        Self { who, title, call, expected: Expected::Allowed, place }
    }

    pub(crate) fn read(who: Who, title: &'static str, place: Place) -> Self {
        let call = Call::new(Method::GET, place.path(), Value::Null);
        Self::new(who, title, place, call)
    }

    pub(crate) fn create(who: Who, title: &'static str, place: Place, object: Value) -> Self {
        let call = Call::new(Method::POST, place.path(), object);
        Self::new(who, title, place, call)
    }

    pub(crate) fn replace(who: Who, title: &'static str, place: Place, object: Value) -> Self {
        let call = Call::new(Method::PUT, place.path(), object);
        Self::new(who, title, place, call)
    }

    pub(crate) fn merge(who: Who, title: &'static str, place: Place, patch: Value) -> Self {
        let mut call = Call::new(Method::PATCH, place.path(), patch);
        call.content_type = "application/merge-patch+json";
        Self::new(who, title, place, call)
    }

    pub(crate) fn apply(who: Who, title: &'static str, place: Place, object: Value) -> Self {
        let call = Call::apply(place.path(), object);
        Self::new(who, title, place, call)
    }

    pub(crate) fn delete(who: Who, title: &'static str, place: Place) -> Self {
        let call = Call::new(Method::DELETE, place.path(), Value::Null);
        Self::new(who, title, place, call)
    }

    /// RBAC refuses it.
    pub(crate) fn by_rbac(mut self) -> Self {
        let of_one = self.place.name.is_some();
        let verb = match self.call.method {
            Method::GET if of_one => "get",
            Method::GET => "list",
            Method::POST => "create",
            Method::PUT => "update",
            Method::PATCH => "patch",
            _ if of_one => "delete",
            _ => "deletecollection",
        };
        self.expected = Expected::ByRbac { verb, resource: self.place.resource() };
        self
    }

    /// The policy refuses it, with all of these words.
    pub(crate) fn by_policy(mut self, policy: &'static str, words: &'static [&'static str]) -> Self {
        self.expected = Expected::ByPolicy(policy, words);
        self
    }

    /// What is wrong with an answer. A refusal for another reason (no such object, a field that is wrong, another
    /// policy) is as wrong as none.
    pub(crate) fn fault(&self, people: &People, answer: &Answer) -> Option<String> {
        let (code, message) = (answer.code, answer.message());
        let needed = match &self.expected {
            Expected::Allowed if answer.is_ok() => return None,
            Expected::Allowed => return Some(format!("refused with {code}: {message}")),
            Expected::ByRbac { verb, resource } => {
                let name = people.name(self.who);
                vec![format!("User \"{name}\" cannot {verb} resource \"{resource}\"")]
            }
            Expected::ByPolicy(policy, words) => {
                words.iter().map(|words| (*words).to_owned()).chain([denied_by(policy)]).collect()
            }
        };
        if code != 403 {
            return Some(format!("answered {code} instead of a refusal: {message}"));
        }
        let missing: Vec<_> = needed.into_iter().filter(|words| !message.contains(words)).collect();
        (!missing.is_empty()).then(|| format!("refused without {missing:?}: {message}"))
    }
}

/// How the API server says which policy refuses something.
pub(crate) fn denied_by(policy: &str) -> String {
    format!("ValidatingAdmissionPolicy '{policy}' with binding '{policy}' denied request: ")
}

/// Waits until everybody's roles are known to the authorizer: the first row of each that RBAC should let pass does.
pub(crate) async fn until_roles_hold(server: &Server, people: &People, rows: &[Row]) {
    let mut held = BTreeSet::new();
    let let_pass = |row: &&Row| !matches!(row.expected, Expected::ByRbac { .. });
    for row in rows.iter().filter(let_pass) {
        if !held.insert((row.who, row.place.resource(), row.call.method.to_string())) {
            continue;
        }
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = server.ask(people, row).await;
            if !answer.message().contains(&format!("User \"{}\" cannot", people.name(row.who))) {
                break;
            }
            assert!(Instant::now() < deadline, "{:?} {}: {}", row.who, row.title, answer.message());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
