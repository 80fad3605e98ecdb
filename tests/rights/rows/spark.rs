//! Those who work with SparkApplications and pods themselves, beside the keeper; the spark-operator; the drivers.

use serde_json::{Value, json};

use super::people::{forged, let_go, result};
use super::rule::{HANDED_ON, MADE, MARK, POD_MARK, RUN};
use crate::ask::Row;
use crate::people::Who::{Driver, DriversAccount, SparkOperator, SparkUser};
use crate::stage::{Stage, application, job, ledgers, marked, marks, pod};

pub(super) fn rows(stage: &Stage) -> Vec<Row> {
    [
        forged_runs(stage),
        edited_runs(stage),
        spark_users_pods(stage),
        spark_operator(stage),
        drivers(stage),
        bare_tokens(stage),
    ]
    .concat()
}

/// An application whose pods would carry a run's label.
fn handing_on(pointer: &[&str], key: &str) -> Value {
    let mut object = application("new");
    let parent = pointer.iter().fold(&mut object["spec"], |value, field| &mut value[*field]);
    parent[key] = json!("u");
    object
}

fn forged_runs(stage: &Stage) -> Vec<Row> {
    let all = stage.applications();
    let with = |field: &str, value: Value| {
        let mut object = application("new");
        object["metadata"][field] = value;
        object
    };
    let create = |title, object| Row::create(SparkUser, title, all.clone(), object);
    vec![
        create("creates an application of their own", application("new")),
        create("creates one with the labels of a run", marked(application("new"), &[])).by_applications(&[MARK]),
        create(
            "creates one with a label that the keeper may use one day",
            with("labels", json!({"slowlane.dev/x": ""})),
        )
        .by_applications(&[MARK, "metadata.labels[slowlane.dev/x]"]),
        create("creates one with the annotation of a grant", with("annotations", json!({"slowlane.dev/grant": "x"})))
            .by_applications(&[MARK, "metadata.annotations[slowlane.dev/grant] = x"]),
        create("creates one with the keeper's finalizer", with("finalizers", json!(["slowlane.dev/run"])))
            .by_applications(&[MARK, "metadata.finalizers slowlane.dev/run"]),
        create("labels its driver as a run's", handing_on(&["driver", "labels"], "slowlane.dev/job-uid"))
            .by_applications(&[HANDED_ON, "spec.driver.labels[slowlane.dev/job-uid]"]),
        create("labels its executors as a run's", handing_on(&["executor", "labels"], "slowlane.dev/job-uid"))
            .by_applications(&[HANDED_ON, "spec.executor.labels[slowlane.dev/job-uid]"]),
        create(
            "labels its driver as a run's by Spark's properties",
            handing_on(&["sparkConf"], "spark.kubernetes.driver.label.slowlane.dev/job-uid"),
        )
        .by_applications(&[HANDED_ON, "spec.sparkConf[spark.kubernetes.driver.label.slowlane.dev/job-uid]"]),
        create(
            "labels its driver as a run's by a pod template",
            handing_on(&["driver", "template", "metadata", "labels"], "slowlane.dev/job-uid"),
        )
        .by_applications(&[HANDED_ON, "spec.driver.template.metadata.labels[slowlane.dev/job-uid]"]),
        create(
            "labels its executors as a run's by a pod template",
            handing_on(&["executor", "template", "metadata", "labels"], "slowlane.dev/job-uid"),
        )
        .by_applications(&[HANDED_ON, "spec.executor.template.metadata.labels[slowlane.dev/job-uid]"]),
        Row::apply(SparkUser, "applies one with the labels of a run", all.at("new"), marked(application("new"), &[]))
            .by_applications(&[MARK]),
    ]
}

fn edited_runs(stage: &Stage) -> Vec<Row> {
    let (run, plain) = (stage.applications().at("run"), stage.applications().at("plain"));
    let merge = |title, patch| Row::merge(SparkUser, title, run.clone(), patch);
    vec![
        Row::merge(SparkUser, "edits an application of their own", plain.clone(), json!({"spec": {"mainClass": "y"}})),
        merge("labels a run with their own key", json!({"metadata": {"labels": {"example.com/team": "a"}}})),
        Row::delete(SparkUser, "deletes a run's application, which RBAC lets them", run.clone()),
        Row::merge(
            SparkUser,
            "makes an application of theirs a run",
            plain.clone(),
            json!({"metadata": {"labels": {"slowlane.dev/job-uid": "u"}}}),
        )
        .by_applications(&[MARK, "metadata.labels[slowlane.dev/job-uid] = u"]),
        Row::merge(
            SparkUser,
            "has the pods of an application of theirs counted as a run's",
            plain,
            json!({"spec": {"driver": {"labels": {"slowlane.dev/job-uid": "u"}}}}),
        )
        .by_applications(&[HANDED_ON]),
        merge("takes the labels off a run", json!({"metadata": {"labels": {"slowlane.dev/job-uid": null}}}))
            .by_applications(&[MARK]),
        merge(
            "gives a run's application to another job",
            json!({"metadata": {"labels": {"slowlane.dev/job-uid": "u"}}}),
        )
        .by_applications(&[MARK]),
        merge("changes the declared result of a run", result()).by_applications(&[MARK]),
        merge("says that a run was granted more", json!({"metadata": {"annotations": {"slowlane.dev/grant": "x"}}}))
            .by_applications(&[MARK]),
        merge(
            "makes a run a placeholder",
            json!({"metadata": {"annotations": {"slowlane.dev/placeholder": "Replan"}}}),
        )
        .by_applications(&[MARK]),
        merge("lets go of a run's name", let_go()).by_applications(&[MARK, "metadata.finalizers slowlane.dev/run"]),
        merge("has a run started again", json!({"spec": {"mainClass": "y"}})).by_applications(&[RUN]),
        merge("suspends a run behind its job's back", json!({"spec": {"suspend": true}})).by_applications(&[RUN]),
        merge("gives a run another ServiceAccount", json!({"spec": {"driver": {"serviceAccount": "vault"}}}))
            .by_applications(&[RUN]),
    ]
}

fn spark_users_pods(stage: &Stage) -> Vec<Row> {
    let (driver, pods) = (stage.pods().at("run-driver"), stage.pods());
    vec![
        Row::create(SparkUser, "makes a pod look like a driver", pods.clone(), pod("new", &marks("driver")))
            .by_pods(&[MADE]),
        Row::create(SparkUser, "makes a pod look like an executor", pods, pod("new", &marks("executor")))
            .by_pods(&[MADE]),
        Row::merge(
            SparkUser,
            "hides a driver by its status",
            driver.part("status"),
            json!({"metadata": {"labels": {"slowlane.dev/job-uid": null}}}),
        )
        .by_pods(&[POD_MARK]),
        Row::merge(SparkUser, "reports a result by a driver's status", driver.part("status"), result())
            .by_pods(&[POD_MARK]),
        Row::merge(SparkUser, "writes a job's status", stage.managed_jobs().at("standing").part("status"), forged())
            .by_rbac(),
    ]
}

fn spark_operator(stage: &Stage) -> Vec<Row> {
    let run = stage.applications().at("run");
    let submitted = json!({"status": {"applicationState": {"state": "SUBMITTED"}, "driverInfo": {}}});
    let mut whole = marked(application("run"), &["slowlane.dev/run"]);
    whole["status"] = submitted["status"].clone();
    vec![
        Row::create(SparkOperator, "makes a run's driver", stage.pods(), pod("new-driver", &marks("driver"))),
        Row::delete(SparkOperator, "deletes a run's driver", stage.pods().at("run-driver")),
        Row::read(SparkOperator, "lists applications", stage.applications()),
        Row::create(SparkOperator, "creates an application by schedule", stage.applications(), application("new")),
        Row::delete(SparkOperator, "deletes an application after its time", run.clone()),
        Row::create(
            SparkOperator,
            "creates one by schedule, with a run's labels from there",
            stage.applications(),
            marked(application("new"), &[]),
        )
        .by_applications(&[MARK]),
        Row::merge(SparkOperator, "edits a run", run, json!({"spec": {"suspend": true}})).by_rbac(),
        Row::merge(
            SparkOperator,
            "writes a job's status",
            stage.managed_jobs().at("standing").part("status"),
            forged(),
        )
        .by_rbac(),
        Row::replace(SparkOperator, "writes the ledger", ledgers().at("slowlane"), stage.ledger()).by_rbac(),
    ]
}

fn drivers(stage: &Stage) -> Vec<Row> {
    let (pods, own) = (stage.pods(), stage.pods().at("run-driver"));
    let label = |key: &str, value: Value| json!({"metadata": {"labels": {key: value}}});
    let create = |title, object| Row::create(Driver, title, pods.clone(), object);
    vec![
        create("makes an executor of its own", stage.owned(pod("new-exec", &marks("executor")))),
        Row::merge(Driver, "reports its result on its own pod", own.clone(), result()),
        Row::merge(
            Driver,
            "marks an executor as failed",
            pods.at("run-exec"),
            label("spark-exec-inactive", json!("true")),
        ),
        Row::delete(Driver, "deletes an executor", pods.at("run-exec")),
        Row::read(Driver, "lists pods", pods.clone()),
        Row::merge(Driver, "reports a result for another driver", pods.at("other-driver"), result())
            .by_pods(&[POD_MARK, "metadata.annotations[slowlane.dev/result-uri]"]),
        create("makes an executor that it does not own", pod("new-exec", &marks("executor"))).by_pods(&[MADE]),
        create("makes a second driver", stage.owned(pod("new-driver", &marks("driver")))).by_pods(&[MADE]),
        Row::merge(
            Driver,
            "turns an executor into a driver",
            pods.at("run-exec"),
            label("spark-role", json!("driver")),
        )
        .by_pods(&[POD_MARK, "metadata.labels[spark-role]"]),
        Row::merge(
            Driver,
            "gives an executor to another run",
            pods.at("run-exec"),
            label("slowlane.dev/run", json!("2")),
        )
        .by_pods(&[POD_MARK]),
        Row::merge(Driver, "hides itself", own.clone(), label("slowlane.dev/job-uid", Value::Null))
            .by_pods(&[POD_MARK]),
        Row::merge(
            Driver,
            "says that it belongs to another job",
            own,
            json!({"metadata": {"annotations": {"slowlane.dev/job": "another"}}}),
        )
        .by_pods(&[POD_MARK]),
        Row::create(Driver, "submits a job", stage.managed_jobs(), job("new", "daily")).by_rbac(),
        Row::merge(Driver, "writes a job's status", stage.managed_jobs().at("standing").part("status"), forged())
            .by_rbac(),
        Row::merge(Driver, "changes the declared result of its run", stage.applications().at("run"), result())
            .by_rbac(),
        Row::read(Driver, "reads Secrets", stage.core("secrets")).by_rbac(),
    ]
}

/// The drivers' `ServiceAccount` outside any pod, as somebody has it who may ask for its tokens.
fn bare_tokens(stage: &Stage) -> Vec<Row> {
    vec![
        Row::create(
            DriversAccount,
            "makes an executor without being a driver",
            stage.pods(),
            stage.owned(pod("new-exec", &marks("executor"))),
        )
        .by_pods(&[MADE]),
        Row::merge(DriversAccount, "reports a result without being a driver", stage.pods().at("run-driver"), result())
            .by_pods(&[POD_MARK]),
        Row::read(DriversAccount, "lists pods", stage.pods()),
    ]
}
