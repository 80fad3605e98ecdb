//! People and what they submit with: tenants, submitters, owners of operations, administrators.

use serde_json::{Value, json};

use super::rule::{MADE, MARK, POD_MARK};
use crate::ask::{Place, Row};
use crate::people::Who::{
    Anonymous, ClusterAdmin, Editor, Landlord, Master, Outsider, Owner, PlatformAdmin, Stranger, Submitter, Useless,
};
use crate::stage::{Stage, application, cluster, clusters, job, ledger, ledgers, marked, marks, operation, pod};

pub(super) fn rows(stage: &Stage) -> Vec<Row> {
    [
        nobody(stage),
        outsiders(stage),
        submitters(stage),
        owners(stage),
        editors(stage),
        landlords(stage),
        platform_admins(stage),
        cluster_admins(stage),
        masters(stage),
    ]
    .concat()
}

/// A status that would end a job with a result.
pub(super) fn forged() -> Value {
    json!({"status": {"state": "Succeeded", "resultUri": "s3a://elsewhere/x"}})
}

fn nobody(stage: &Stage) -> Vec<Row> {
    vec![
        Row::read(Anonymous, "lists jobs", stage.managed_jobs()).by_rbac(),
        Row::create(Anonymous, "submits a job", stage.managed_jobs(), job("new", "daily")).by_rbac(),
        Row::read(Anonymous, "reads the ledger", ledgers().at("slowlane")).by_rbac(),
        Row::merge(Anonymous, "writes a status", stage.managed_jobs().at("standing").part("status"), forged())
            .by_rbac(),
        Row::create(Stranger, "submits a job", stage.managed_jobs(), job("new", "daily")).by_rbac(),
        Row::create(Stranger, "creates a run's application", stage.applications(), application("new")).by_rbac(),
    ]
}

fn outsiders(stage: &Stage) -> Vec<Row> {
    let own = |plural| Place::within(&stage.other, "/apis/slowlane.dev/v1alpha1", plural);
    let jobs = stage.managed_jobs();
    vec![
        Row::create(Outsider, "submits a job at home", own("managedjobs"), job("new", "daily")),
        Row::create(Outsider, "declares an operation at home", own("operations"), operation("new", None)),
        Row::read(Outsider, "lists another tenant's jobs", jobs.clone()).by_rbac(),
        Row::read(Outsider, "reads another tenant's job", jobs.at("standing")).by_rbac(),
        Row::create(Outsider, "submits a job to another tenant", jobs.clone(), job("new", "daily")).by_rbac(),
        Row::merge(Outsider, "cancels another tenant's job", jobs.at("standing"), json!({"spec": {"cancel": true}}))
            .by_rbac(),
        Row::delete(Outsider, "deletes another tenant's job", jobs.at("standing")).by_rbac(),
        Row::merge(
            Outsider,
            "holds another tenant's operation",
            stage.operations().at("daily"),
            json!({"spec": {"maxConcurrentRuns": 0}}),
        )
        .by_rbac(),
        Row::read(Outsider, "reads another tenant's applications", stage.applications()).by_rbac(),
        Row::delete(Outsider, "deletes another tenant's pods", stage.pods().at("run-driver")).by_rbac(),
        Row::read(Outsider, "reads the ledger", ledgers().at("slowlane")).by_rbac(),
        Row::read(Outsider, "reads clusters", clusters()).by_rbac(),
        Row::create(
            Outsider,
            "has a token of the keeper made",
            Place::within("slowlane-system", "/api/v1", "serviceaccounts").at("slowlane").part("token"),
            token(),
        )
        .by_rbac(),
        Row::create(
            Outsider,
            "runs a pod beside the keeper",
            Place::within("slowlane-system", "/api/v1", "pods"),
            pod("new", &json!({})),
        )
        .by_rbac(),
    ]
}

fn token() -> Value {
    json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}})
}

fn submitters(stage: &Stage) -> Vec<Row> {
    let (jobs, standing) = (stage.managed_jobs(), stage.managed_jobs().at("standing"));
    let spec = |field: &str, value: Value| json!({"spec": {field: value}});
    vec![
        Row::create(Submitter, "submits a job of the operation that they may use", jobs.clone(), job("new", "daily")),
        Row::apply(Submitter, "applies a job of it", jobs.at("new"), job("new", "daily")),
        Row::read(Submitter, "lists jobs", jobs.clone()),
        Row::merge(Submitter, "gives a job another priority", standing.clone(), spec("priority", json!("High"))),
        Row::merge(Submitter, "suspends a job", standing.clone(), spec("suspend", json!(true))),
        Row::merge(Submitter, "cancels a job", standing.clone(), spec("cancel", json!(true))),
        Row::delete(Submitter, "deletes a job", standing.clone()),
        Row::create(Submitter, "submits a job of another operation", jobs.clone(), job("new", "hourly"))
            .by_use_of_operation(),
        Row::apply(Submitter, "applies a job of another operation", jobs.at("new"), job("new", "hourly"))
            .by_use_of_operation(),
        Row::create(
            Submitter,
            "submits a job of an operation that is not declared yet",
            jobs.clone(),
            job("new", "later"),
        )
        .by_use_of_operation(),
        Row::create(Useless, "submits a job", jobs.clone(), job("new", "daily")).by_use_of_operation(),
        Row::merge(Useless, "cancels a job", standing.clone(), spec("cancel", json!(true))),
        Row::merge(Submitter, "writes a status", standing.part("status"), forged()).by_rbac(),
        Row::create(Submitter, "declares an operation", stage.operations(), operation("new", None)).by_rbac(),
        Row::merge(
            Submitter,
            "changes what an operation runs",
            stage.operations().at("daily"),
            json!({"spec": {"application": {"mainApplicationFile": "local:///theirs.py"}}}),
        )
        .by_rbac(),
        Row::read(Submitter, "reads operations, which was not granted", stage.operations()).by_rbac(),
        Row::create(Submitter, "creates an application", stage.applications(), application("new")).by_rbac(),
        Row::delete(Submitter, "deletes a run's application", stage.applications().at("run")).by_rbac(),
        Row::create(Submitter, "runs a pod", stage.pods(), pod("new", &json!({}))).by_rbac(),
        Row::merge(
            Submitter,
            "opens a cluster to a namespace",
            clusters().at(&stage.cluster),
            json!({"spec": {"namespaceSelector": {}}}),
        )
        .by_rbac(),
        Row::create(
            Submitter,
            "has a token of the driver made",
            stage.accounts().at("slowlane-driver").part("token"),
            token(),
        )
        .by_rbac(),
        Row::read(Submitter, "reads Secrets", stage.core("secrets")).by_rbac(),
    ]
}

fn owners(stage: &Stage) -> Vec<Row> {
    let all = stage.operations();
    let account = |name: &str| json!({"spec": {"application": {"serviceAccount": name}}});
    let runs = json!({"spec": {"application": {"mainApplicationFile": "local:///theirs.py"}}});
    vec![
        Row::create(Owner, "declares an operation", all.clone(), operation("new", None)),
        Row::create(
            Owner,
            "declares one with the ServiceAccount that they may use",
            all.clone(),
            operation("new", Some("reports")),
        ),
        Row::merge(Owner, "changes what an operation runs", all.at("daily"), runs.clone()),
        Row::merge(Owner, "gives an operation that ServiceAccount", all.at("daily"), account("reports")),
        Row::merge(
            Owner,
            "lowers the limit of an operation whose ServiceAccount another named",
            all.at("vaulted"),
            json!({"spec": {"maxConcurrentRuns": 1, "description": "held"}}),
        ),
        Row::merge(
            Owner,
            "takes that ServiceAccount off",
            all.at("vaulted"),
            json!({"spec": {"application": {"serviceAccount": null}}}),
        ),
        Row::delete(Owner, "deletes an operation", all.at("vaulted")),
        Row::create(Owner, "submits a job of their operation", stage.managed_jobs(), job("new", "hourly")),
        Row::create(Owner, "declares one with another ServiceAccount", all.clone(), operation("new", Some("vault")))
            .by_use_of_account(),
        Row::apply(Owner, "applies one with another ServiceAccount", all.at("new"), operation("new", Some("vault")))
            .by_use_of_account(),
        Row::create(
            Owner,
            "declares one with a ServiceAccount that is not there",
            all.clone(),
            operation("new", Some("nobody")),
        )
        .by_use_of_account(),
        Row::merge(Owner, "gives an operation another ServiceAccount", all.at("daily"), account("vault"))
            .by_use_of_account(),
        Row::merge(Owner, "changes what runs as another ServiceAccount", all.at("vaulted"), runs).by_use_of_account(),
        Row::merge(
            Owner,
            "writes an operation's status",
            all.at("daily").part("status"),
            json!({"status": {"observedGeneration": 9}}),
        )
        .by_rbac(),
        Row::create(Owner, "declares a cluster", clusters(), cluster("theirs")).by_rbac(),
        Row::create(Owner, "creates an application", stage.applications(), application("new")).by_rbac(),
        Row::create(
            Owner,
            "makes a ServiceAccount",
            stage.accounts(),
            json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "new"}}),
        )
        .by_rbac(),
    ]
}

fn editors(stage: &Stage) -> Vec<Row> {
    let (pods, driver) = (stage.pods(), stage.pods().at("run-driver"));
    let label = |value: Value| json!({"metadata": {"labels": {"slowlane.dev/job-uid": value}}});
    vec![
        Row::create(Editor, "submits a job of any operation", stage.managed_jobs(), job("new", "hourly")),
        Row::create(
            Editor,
            "declares an operation with any ServiceAccount",
            stage.operations(),
            operation("new", Some("vault")),
        ),
        Row::create(Editor, "runs a pod of their own", pods.clone(), pod("new", &json!({"app": "web"}))),
        Row::merge(
            Editor,
            "labels a run's pod with their own key",
            driver.clone(),
            json!({"metadata": {"labels": {"example.com/team": "a"}}}),
        ),
        Row::delete(Editor, "deletes a run's pod", driver.clone()),
        Row::create(Editor, "makes a pod look like a run's driver", pods.clone(), pod("new", &marks("driver")))
            .by_pods(&[MADE, "metadata.labels[slowlane.dev/job-uid]"]),
        Row::create(
            Editor,
            "makes a pod look like an executor that the driver owns",
            pods.clone(),
            stage.owned(pod("new", &marks("executor"))),
        )
        .by_pods(&[MADE]),
        Row::merge(Editor, "labels a pod of theirs as a run's", pods.at("plain"), label(json!("u")))
            .by_pods(&[POD_MARK, "metadata.labels[slowlane.dev/job-uid] = u"]),
        Row::merge(Editor, "takes a run's label off its driver", driver.clone(), label(Value::Null))
            .by_pods(&[POD_MARK, "metadata.labels[slowlane.dev/job-uid]"]),
        Row::merge(Editor, "reports a result for a driver", driver.clone(), result())
            .by_pods(&[POD_MARK, "metadata.annotations[slowlane.dev/result-uri] = s3a://elsewhere/x"]),
        Row::merge(
            Editor,
            "turns an executor into a driver",
            pods.at("run-exec"),
            json!({"metadata": {"labels": {"spark-role": "driver"}}}),
        )
        .by_pods(&[POD_MARK, "spark-role"]),
        Row::merge(Editor, "writes a pod's status", driver.part("status"), json!({"status": {"phase": "Succeeded"}}))
            .by_rbac(),
        Row::merge(Editor, "writes a job's status", stage.managed_jobs().at("standing").part("status"), forged())
            .by_rbac(),
        Row::create(Editor, "writes a ledger", stage.own_ledgers(), ledger("slowlane")).by_rbac(),
        Row::create(Editor, "creates an application", stage.applications(), application("new")).by_rbac(),
        Row::merge(Editor, "lets go of a run's name", stage.applications().at("run"), let_go()).by_rbac(),
        Row::merge(
            Editor,
            "labels the namespace, so that a cluster admits it",
            Place::everywhere("/api/v1", "namespaces").at(&stage.jobs),
            json!({"metadata": {"labels": {"a": "b"}}}),
        )
        .by_rbac(),
        Row::create(Editor, "binds a pod to a node", pods.at("run-exec").part("binding"), binding()).by_rbac(),
    ]
}

/// Annotates somebody's result.
pub(super) fn result() -> Value {
    json!({"metadata": {"annotations": {"slowlane.dev/result-uri": "s3a://elsewhere/x"}}})
}

/// Takes all finalizers off.
pub(super) fn let_go() -> Value {
    json!({"metadata": {"finalizers": null}})
}

pub(super) fn binding() -> Value {
    json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "run-exec"},
        "target": {"apiVersion": "v1", "kind": "Node", "name": "node1"}})
}

/// `*` in a namespace goes as far as a namespace does.
fn landlords(stage: &Stage) -> Vec<Row> {
    vec![
        Row::create(Landlord, "submits a job of any operation", stage.managed_jobs(), job("new", "hourly")),
        Row::create(
            Landlord,
            "declares an operation with any ServiceAccount",
            stage.operations(),
            operation("new", Some("vault")),
        ),
        Row::create(
            Landlord,
            "makes a driver, being taken for the spark-operator",
            stage.pods(),
            pod("new", &marks("driver")),
        ),
        Row::merge(Landlord, "writes a job's status", stage.managed_jobs().at("standing").part("status"), forged())
            .by_status(),
        Row::merge(
            Landlord,
            "writes an operation's status",
            stage.operations().at("daily").part("status"),
            json!({"status": {"observedGeneration": 9}}),
        )
        .by_status(),
        Row::create(Landlord, "writes a ledger at home", stage.own_ledgers(), ledger("slowlane")).by_ledger(),
        Row::create(
            Landlord,
            "creates an application with a run's labels",
            stage.applications(),
            marked(application("new"), &[]),
        )
        .by_applications(&[MARK]),
        Row::merge(Landlord, "changes the declared result of a run", stage.applications().at("run"), result())
            .by_applications(&[MARK, "metadata.annotations[slowlane.dev/result-uri] = s3a://elsewhere/x"]),
        Row::create(Landlord, "declares a cluster", clusters(), cluster("theirs")).by_rbac(),
        Row::replace(Landlord, "writes the keeper's ledger", ledgers().at("slowlane"), stage.ledger()).by_rbac(),
    ]
}

fn platform_admins(stage: &Stage) -> Vec<Row> {
    let own = clusters().at(&stage.cluster);
    vec![
        Row::create(PlatformAdmin, "declares a cluster", clusters(), cluster("new")),
        Row::merge(PlatformAdmin, "holds a cluster", own.clone(), json!({"spec": {"stopPolicy": "Hold"}})),
        Row::delete(PlatformAdmin, "deletes a cluster", own.clone()),
        Row::read(PlatformAdmin, "reads the ledger", ledgers().at("slowlane")),
        Row::read(PlatformAdmin, "lists a tenant's jobs", stage.managed_jobs()),
        Row::replace(PlatformAdmin, "writes the ledger", ledgers().at("slowlane"), stage.ledger()).by_rbac(),
        Row::merge(PlatformAdmin, "writes a cluster's status", own.part("status"), cluster_status()).by_rbac(),
        Row::merge(
            PlatformAdmin,
            "writes a job's status",
            stage.managed_jobs().at("standing").part("status"),
            forged(),
        )
        .by_rbac(),
        Row::create(PlatformAdmin, "submits a tenant's job", stage.managed_jobs(), job("new", "daily")).by_rbac(),
        Row::delete(PlatformAdmin, "deletes a run's application", stage.applications().at("run")).by_rbac(),
    ]
}

fn cluster_status() -> Value {
    json!({"status": {"observedGeneration": 9}})
}

fn cluster_admins(stage: &Stage) -> Vec<Row> {
    let ledger_path = ledgers().at("slowlane");
    let bindings = Place::everywhere("/apis/admissionregistration.k8s.io/v1", "validatingadmissionpolicybindings");
    vec![
        Row::create(ClusterAdmin, "submits a job of any operation", stage.managed_jobs(), job("new", "hourly")),
        Row::create(
            ClusterAdmin,
            "declares an operation with any ServiceAccount",
            stage.operations(),
            operation("new", Some("vault")),
        ),
        Row::create(ClusterAdmin, "declares a cluster", clusters(), cluster("new")),
        Row::read(ClusterAdmin, "reads the ledger", ledger_path.clone()),
        Row::delete(ClusterAdmin, "takes a policy away, to repair by hand", bindings.at("slowlane-ledger")),
        Row::replace(ClusterAdmin, "writes the ledger", ledger_path.clone(), stage.ledger()).by_ledger(),
        Row::delete(ClusterAdmin, "deletes the ledger, which the keeper rebuilds", ledger_path),
        Row::create(ClusterAdmin, "writes a second ledger", ledgers(), ledger("second")).by_ledger(),
        Row::merge(ClusterAdmin, "writes a job's status", stage.managed_jobs().at("standing").part("status"), forged())
            .by_status(),
        Row::merge(
            ClusterAdmin,
            "writes a cluster's status",
            clusters().at(&stage.cluster).part("status"),
            cluster_status(),
        )
        .by_status(),
        Row::merge(ClusterAdmin, "lets go of a run's name", stage.applications().at("run"), let_go())
            .by_applications(&[MARK, "metadata.finalizers slowlane.dev/run"]),
    ]
}

fn masters(stage: &Stage) -> Vec<Row> {
    let ledger = ledgers().at("slowlane");
    vec![
        Row::replace(Master, "repairs the ledger", ledger.clone(), stage.ledger()),
        Row::delete(Master, "deletes the ledger", ledger),
        Row::merge(Master, "lets go of a run's name", stage.applications().at("run"), let_go()),
    ]
}
