//! Kubernetes' own parts, which the policies must not hinder, nor let anybody hide behind.

use serde_json::json;

use super::people::binding;
use super::rule::MADE;
use crate::ask::{Place, Row};
use crate::people::Who::{GarbageCollector, Kubelet, NamespaceController, ReplicaSetController, Scheduler};
use crate::stage::{Stage, ledgers, marks, pod};

pub(super) fn rows(stage: &Stage) -> Vec<Row> {
    let driver = stage.pods().at("run-driver");
    let without_foreground = json!({"metadata": {"finalizers": ["slowlane.dev/run"]}});
    let runs = json!({"status": {"phase": "Running"}});
    vec![
        Row::delete(GarbageCollector, "deletes a job", stage.managed_jobs().at("standing")),
        Row::delete(GarbageCollector, "deletes the application of a job that is gone", stage.applications().at("run")),
        Row::merge(
            GarbageCollector,
            "ends a deletion in the foreground",
            stage.applications().at("leaving"),
            without_foreground,
        ),
        Row::merge(
            GarbageCollector,
            "ends one while the spark-operator's webhook fills in a default",
            stage.applications().at("leaving"),
            json!({"metadata": {"finalizers": ["slowlane.dev/run"]}, "spec": {"failureRetries": 0}}),
        ),
        Row::merge(
            GarbageCollector,
            "ends the deletion of a ledger",
            ledgers().at("slowlane"),
            json!({"metadata": {"finalizers": null}}),
        ),
        Row::delete(GarbageCollector, "deletes an executor whose driver is gone", stage.pods().at("run-exec")),
        Row::delete(NamespaceController, "clears the keeper's ledgers away", ledgers()),
        Row::delete(NamespaceController, "clears a tenant's jobs away", stage.managed_jobs()),
        Row::delete(NamespaceController, "clears a tenant's pods away", stage.pods()),
        Row::create(
            ReplicaSetController,
            "makes a pod of a Deployment",
            stage.pods(),
            pod("new", &json!({"app": "web"})),
        ),
        Row::create(
            ReplicaSetController,
            "makes a pod whose template has a run's labels",
            stage.pods(),
            pod("new", &marks("executor")),
        )
        .by_pods(&[MADE]),
        Row::create(Scheduler, "binds an executor to a node", stage.pods().at("run-exec").part("binding"), binding()),
        Row::merge(
            Scheduler,
            "submits nothing: it reads no jobs",
            Place::within(&stage.jobs, "/apis/slowlane.dev/v1alpha1", "managedjobs").at("standing"),
            json!({"spec": {"cancel": true}}),
        )
        .by_rbac(),
        Row::merge(Kubelet, "says that a driver runs", driver.part("status"), runs),
    ]
}
