//! The keeper: everything that it does, and what it would do if it were somebody else's tool.

use serde_json::{Value, json};

use super::people::{forged, result};
use crate::ask::{Place, Row};
use crate::people::Who::Keeper;
use crate::stage::{Stage, application, cluster, clusters, job, ledger, ledgers, marked, operation, pod};

pub(super) fn rows(stage: &Stage) -> Vec<Row> {
    [its_work(stage), not_its_work(stage)].concat()
}

fn its_work(stage: &Stage) -> Vec<Row> {
    let observed = json!({"status": {"observedGeneration": 1}});
    let run = stage.applications().at("run");
    let event = json!({"apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "new"},
        "eventTime": "2026-01-01T00:00:00.000000Z", "action": "Start", "reason": "Admitted", "type": "Normal",
        "reportingController": "slowlane.dev/keeper", "reportingInstance": "keeper",
        "regarding": {"kind": "ManagedJob", "namespace": stage.jobs, "name": "standing"}});
    let lease = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "slowlane"}});
    vec![
        Row::merge(
            Keeper,
            "writes a job's status",
            stage.managed_jobs().at("standing").part("status"),
            observed.clone(),
        ),
        Row::merge(
            Keeper,
            "writes an operation's status",
            stage.operations().at("daily").part("status"),
            observed.clone(),
        ),
        Row::merge(Keeper, "writes a cluster's status", clusters().at(&stage.cluster).part("status"), observed),
        Row::replace(Keeper, "writes the ledger", ledgers().at("slowlane"), stage.ledger()),
        Row::create(Keeper, "makes a ledger", ledgers(), ledger("new")),
        Row::create(
            Keeper,
            "creates a run's application",
            stage.applications(),
            marked(application("new"), &["slowlane.dev/run"]),
        ),
        Row::merge(Keeper, "lets go of a run's name", run.clone(), json!({"metadata": {"finalizers": null}})),
        Row::delete(Keeper, "deletes a run's application", run),
        Row::read(Keeper, "lists pods everywhere", Place::everywhere("/api/v1", "pods")),
        Row::read(Keeper, "lists jobs everywhere", Place::everywhere("/apis/slowlane.dev/v1alpha1", "managedjobs")),
        Row::create(Keeper, "tells people", Place::within(&stage.jobs, "/apis/events.k8s.io/v1", "events"), event),
        Row::create(
            Keeper,
            "stands for election",
            Place::within("slowlane-system", "/apis/coordination.k8s.io/v1", "leases"),
            lease,
        ),
    ]
}

fn not_its_work(stage: &Stage) -> Vec<Row> {
    let standing = stage.managed_jobs().at("standing");
    let nothing = || Value::Null;
    vec![
        Row::create(Keeper, "submits a job", stage.managed_jobs(), job("new", "daily")).by_rbac(),
        Row::merge(Keeper, "edits a job", standing.clone(), json!({"spec": {"cancel": true}})).by_rbac(),
        Row::delete(Keeper, "deletes a job", standing).by_rbac(),
        Row::create(Keeper, "declares an operation", stage.operations(), operation("new", None)).by_rbac(),
        Row::create(Keeper, "declares a cluster", clusters(), cluster("new")).by_rbac(),
        Row::create(Keeper, "runs a pod", stage.pods(), pod("new", &json!({}))).by_rbac(),
        Row::delete(Keeper, "deletes a pod", stage.pods().at("run-driver")).by_rbac(),
        Row::merge(Keeper, "annotates a driver", stage.pods().at("run-driver"), result()).by_rbac(),
        Row::merge(Keeper, "writes an application's status", stage.applications().at("run").part("status"), forged())
            .by_rbac(),
        Row::create(Keeper, "makes a ledger in another namespace", stage.own_ledgers(), ledger("new")).by_rbac(),
        Row::replace(Keeper, "writes a ledger that is not its own", ledgers().at("other"), ledger("other")).by_rbac(),
        Row::delete(Keeper, "deletes the ledger", ledgers().at("slowlane")).by_rbac(),
        Row::read(Keeper, "reads Secrets at home", Place::within("slowlane-system", "/api/v1", "secrets")).by_rbac(),
        Row::read(Keeper, "reads a tenant's Secrets", stage.core("secrets")).by_rbac(),
        Row::create(
            Keeper,
            "has a token of a driver made",
            stage.accounts().at("slowlane-driver").part("token"),
            nothing(),
        )
        .by_rbac(),
        Row::delete(Keeper, "deletes a namespace", Place::everywhere("/api/v1", "namespaces").at(&stage.jobs))
            .by_rbac(),
    ]
}
