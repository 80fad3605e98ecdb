//! What the keeper may do in a cluster: one table of its acts and the rights that each takes, and the chart's roles
//! written from it. What no act needs, no role grants; a wildcard cannot be written down here at all.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;

use crate::command::Kind;

const PATH: &str = "charts/slowlane/templates/rbac.yaml";

const OURS: &str = "slowlane.dev";
const SPARK: &str = "sparkoperator.k8s.io";

/// Helm's expressions for the names that the settings give: only these two objects, and no others beside them.
const LEDGER_NAME: &str = "{{ .Values.settings.ledger.name }}";
const LEASE_NAME: &str = "{{ .Values.settings.leaderElection.leaseName }}";

/// Everything that the keeper does at the API server: watches, commands, the election.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Watch(Kind),
    Election,
    ReadLedger,
    WriteLedger,
    CreateApplication,
    ConfirmRun,
    DeleteApplication,
    DropTombstone,
    WriteJobStatus,
    WriteOperationStatus,
    WriteClusterStatus,
    WritePool,
    Announce,
}

const ACTS: [Act; 12] = [
    Act::Election,
    Act::ReadLedger,
    Act::WriteLedger,
    Act::CreateApplication,
    Act::ConfirmRun,
    Act::DeleteApplication,
    Act::DropTombstone,
    Act::WriteJobStatus,
    Act::WriteOperationStatus,
    Act::WriteClusterStatus,
    Act::WritePool,
    Act::Announce,
];

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Verb {
    Get,
    List,
    Watch,
    Create,
    Update,
    Patch,
    Delete,
}

impl Verb {
    fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
        }
    }
}

/// Where a right holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// In every namespace, and for what has none.
    Everywhere,
    /// In the keeper's own namespace.
    Own,
    /// There, for the object of this name. `create` cannot be narrowed so: the name is not part of its request.
    Named(&'static str),
}

/// One right: verbs on a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Right {
    place: Place,
    group: &'static str,
    resource: &'static str,
    verbs: &'static [Verb],
}

const fn right(place: Place, group: &'static str, resource: &'static str, verbs: &'static [Verb]) -> Right {
    Right { place, group, resource, verbs }
}

impl Act {
    fn all() -> impl Iterator<Item = Self> {
        Kind::ALL.into_iter().map(Self::Watch).chain(ACTS)
    }

    /// How comments call it.
    fn name(self) -> String {
        match self {
            Self::Watch(_) => "Watch".to_owned(),
            other => format!("{other:?}"),
        }
    }

    /// The table.
    fn rights(self) -> Vec<Right> {
        use Place::{Everywhere, Named, Own};
        use Verb::{Create, Delete, Get, List, Patch, Update};
        match self {
            Self::Watch(kind) => vec![watched(kind)],
            Self::Election => vec![
                right(Own, "coordination.k8s.io", "leases", &[Create]),
                right(Named(LEASE_NAME), "coordination.k8s.io", "leases", &[Get, Update]),
            ],
            Self::ReadLedger => vec![right(Named(LEDGER_NAME), OURS, "runledgers", &[Get])],
            Self::WriteLedger => vec![
                right(Own, OURS, "runledgers", &[Create]),
                right(Named(LEDGER_NAME), OURS, "runledgers", &[Update]),
            ],
            // The job is read anew, the application is built from it; a name that is taken is looked at.
            Self::CreateApplication => vec![
                right(Everywhere, OURS, "managedjobs", &[Get]),
                right(Everywhere, SPARK, "sparkapplications", &[Get, Create]),
            ],
            Self::ConfirmRun => {
                vec![right(Everywhere, SPARK, "sparkapplications", &[Get]), right(Everywhere, "", "pods", &[List])]
            }
            Self::DeleteApplication => vec![right(Everywhere, SPARK, "sparkapplications", &[Delete])],
            // The patch takes our finalizer off. Nothing else of an application is ever changed.
            Self::DropTombstone => vec![right(Everywhere, SPARK, "sparkapplications", &[Delete, Patch])],
            // A declared result stands on the application, as it was when the run was built.
            Self::WriteJobStatus => vec![
                right(Everywhere, SPARK, "sparkapplications", &[Get]),
                right(Everywhere, OURS, "managedjobs/status", &[Patch]),
            ],
            Self::WriteOperationStatus => vec![right(Everywhere, OURS, "operations/status", &[Patch])],
            Self::WriteClusterStatus => vec![right(Everywhere, OURS, "computeclusters/status", &[Patch])],
            // Applied on the server: a Deployment that is not there yet is created by it.
            Self::WritePool => vec![right(Own, "apps", "deployments", &[Create, Patch, Delete])],
            Self::Announce => vec![right(Everywhere, "events.k8s.io", "events", &[Create])],
        }
    }
}

fn watched(kind: Kind) -> Right {
    const WATCH: &[Verb] = &[Verb::List, Verb::Watch];
    let (group, resource) = match kind {
        Kind::Namespace => ("", "namespaces"),
        Kind::Cluster => (OURS, "computeclusters"),
        Kind::Operation => (OURS, "operations"),
        Kind::Job => (OURS, "managedjobs"),
        Kind::Application | Kind::Stranger => (SPARK, "sparkapplications"),
        Kind::Pod => ("", "pods"),
        Kind::Placeholders => return right(Place::Own, "apps", "deployments", WATCH),
    };
    right(Place::Everywhere, group, resource, WATCH)
}

/// The verbs on one resource in one place, and the acts that need them.
#[derive(Debug, Default)]
struct Merged {
    verbs: Vec<Verb>,
    acts: Vec<String>,
}

type Rules = BTreeMap<(Place, &'static str, &'static str), Merged>;

fn merged() -> Rules {
    let mut rules = Rules::new();
    for act in Act::all() {
        for right in act.rights() {
            let rule = rules.entry((right.place, right.group, right.resource)).or_default();
            rule.verbs.extend(right.verbs);
            rule.acts.push(act.name());
        }
    }
    for rule in rules.values_mut() {
        rule.verbs.sort();
        rule.verbs.dedup();
        rule.acts.dedup();
    }
    rules
}

fn rules(of: impl Fn(Place) -> bool) -> String {
    let mut text = String::new();
    for ((place, group, resource), rule) in merged().iter().filter(|((place, ..), _)| of(*place)) {
        let verbs: Vec<_> = rule.verbs.iter().map(|verb| verb.as_str()).collect();
        let group = if group.is_empty() { "\"\"" } else { group };
        let written = write!(
            text,
            "  # {}\n  - apiGroups: [{group}]\n    resources: [{resource}]\n{}    verbs: [{}]\n",
            rule.acts.join(", "),
            match place {
                Place::Named(name) => format!("    resourceNames: [{name:?}]\n"),
                Place::Everywhere | Place::Own => String::new(),
            },
            verbs.join(", ")
        );
        written.expect("a String takes any text");
    }
    text
}

/// The chart's template with the keeper's roles and their bindings.
fn manifest() -> String {
    let everywhere = rules(|place| place == Place::Everywhere);
    let own = rules(|place| place != Place::Everywhere);
    [HEAD, &everywhere, BETWEEN, &own, END].concat()
}

/// The file that [`manifest`] is written to.
pub(super) fn file() -> (PathBuf, String) {
    (PathBuf::from(PATH), manifest())
}

/// The name is not the release's, on purpose: a second keeper in the same cluster, which would count in a ledger of its
/// own, finds the name taken.
const HEAD: &str = r#"# Generated by `slowlane generate` from the table in src/generate/rbac.rs; do not edit.
# The comment of each rule names what needs it: a watch, a command of src/command.rs, the election.
# The cluster-wide names are fixed: two keepers in one cluster would each count in a ledger of their own.
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: slowlane-keeper
  labels:
    {{- include "slowlane.labels" . | nindent 4 }}
rules:
"#;

const BETWEEN: &str = r#"---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: slowlane-keeper
  labels:
    {{- include "slowlane.labels" . | nindent 4 }}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: slowlane-keeper}
subjects:
  - {kind: ServiceAccount, name: {{ include "slowlane.serviceAccount" . }}, namespace: {{ .Release.Namespace }}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: slowlane-keeper
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "slowlane.labels" . | nindent 4 }}
rules:
"#;

const END: &str = r#"---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: slowlane-keeper
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "slowlane.labels" . | nindent 4 }}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: slowlane-keeper}
subjects:
  - {kind: ServiceAccount, name: {{ include "slowlane.serviceAccount" . }}, namespace: {{ .Release.Namespace }}}
"#;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Command;

    /// Exhaustive, so that a new command does not compile before it has its row.
    fn act_of(command: &Command) -> Option<Act> {
        match command {
            Command::ReadLedger => Some(Act::ReadLedger),
            Command::WriteLedger { .. } => Some(Act::WriteLedger),
            Command::CreateApplication { .. } => Some(Act::CreateApplication),
            Command::ConfirmRun { .. } => Some(Act::ConfirmRun),
            Command::DeleteApplication { .. } => Some(Act::DeleteApplication),
            Command::DropTombstone { .. } => Some(Act::DropTombstone),
            Command::WriteJobStatus { .. } => Some(Act::WriteJobStatus),
            Command::WriteOperationStatus { .. } => Some(Act::WriteOperationStatus),
            Command::WriteClusterStatus { .. } => Some(Act::WriteClusterStatus),
            Command::WritePool { .. } => Some(Act::WritePool),
            Command::Announce(_) | Command::AnnouncePool { .. } | Command::ReportStranger { .. } => Some(Act::Announce),
            // What they start are the watches; and neither a counter nor the end of the process needs anybody's leave.
            Command::CountUsage { .. } | Command::StartWatches | Command::StepDown => None,
        }
    }

    #[test]
    fn every_command_has_its_row() {
        assert_eq!(act_of(&Command::ReadLedger), Some(Act::ReadLedger));
        assert_eq!(act_of(&Command::StepDown), None);
    }

    #[test]
    fn grants_no_wildcard_no_secret_and_no_write_to_pods() {
        for ((_, group, resource), rule) in merged() {
            assert!(!group.contains('*') && !resource.contains('*') && !resource.contains("secret"), "{resource}");
            let reads = rule.verbs.iter().all(|verb| matches!(verb, Verb::Get | Verb::List | Verb::Watch));
            assert!(reads || !group.is_empty(), "{resource}: {:?}", rule.verbs);
        }
    }

    #[test]
    fn a_job_and_its_application_are_never_written_but_in_the_ways_that_the_protocol_has() {
        let rules = merged();
        let verbs = |group, resource| rules[&(Place::Everywhere, group, resource)].verbs.clone();
        assert_eq!(verbs(OURS, "managedjobs"), [Verb::Get, Verb::List, Verb::Watch]);
        assert!(!verbs(SPARK, "sparkapplications").contains(&Verb::Update));
    }

    #[test]
    fn the_ledger_and_the_lease_are_the_only_objects_of_their_kind_that_may_be_changed() {
        for ((place, _, resource), rule) in merged() {
            if matches!(resource, "runledgers" | "leases") {
                let only_create = rule.verbs == [Verb::Create];
                assert_eq!(only_create, place == Place::Own, "{resource}: {:?}", rule.verbs);
            }
        }
    }
}
