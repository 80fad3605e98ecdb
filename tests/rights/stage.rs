//! What the rows are about: two tenants' namespaces, a run with its pods, and things beside it.

use http::Method;
use serde_json::{Value, json};

use crate::ask::Place;
use crate::chart::{self, SPARK_OPERATOR};
use crate::helm::KEEPER;
use crate::people::cluster_bindings;
use crate::server::{Call, Server};

const OURS: &str = "/apis/slowlane.dev/v1alpha1";
const SPARK: &str = "/apis/sparkoperator.k8s.io/v1beta2";
const CORE: &str = "/api/v1";

/// The job whose run stands there.
const JOB_UID: &str = "11111111-2222-3333-4444-555555555555";

/// Names of this run, and the pods that others refer to.
pub(crate) struct Stage {
    /// The tenant's namespace, in which drivers run.
    pub(crate) jobs: String,
    /// Another tenant's.
    pub(crate) other: String,
    /// The `ComputeCluster`.
    pub(crate) cluster: String,
    /// The pod `run-driver`.
    pub(crate) driver: Value,
    ledger: Value,
}

impl Stage {
    fn named(suffix: &str) -> Self {
        let [jobs, other, cluster] = ["jobs", "other", "cluster"].map(|stem| format!("rights-{stem}-{suffix}"));
        let driver = json!({"metadata": {"name": "run-driver", "uid": "d"}});
        Self { jobs, other, cluster, driver, ledger: ledger("slowlane") }
    }

    /// One that stands nowhere: for what can be said of the rows without a server.
    pub(crate) fn imagined() -> Self {
        Self::named("imagined")
    }

    /// Builds it, with what both charts bring.
    pub(crate) async fn build(server: &Server) -> Self {
        let mut stage = Self::named(&std::process::id().to_string());
        for namespace in [&stage.jobs, &stage.other, KEEPER, SPARK_OPERATOR] {
            let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
            server.put(&Place::everywhere(CORE, "namespaces").at(namespace).path(), &object).await;
        }
        chart::grant(server, &stage.jobs).await;
        for name in ["default", "reports", "vault", "stranger"] {
            let object = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}});
            server.put(&stage.accounts().at(name).path(), &object).await;
        }
        let objects = [
            (stage.operations(), operation("daily", None)),
            (stage.operations(), operation("hourly", None)),
            (stage.operations(), operation("vaulted", Some("vault"))),
            (stage.managed_jobs(), job("standing", "daily")),
            (clusters(), cluster(&stage.cluster)),
            (stage.applications(), application("plain")),
            (stage.applications(), marked(application("run"), &["slowlane.dev/run"])),
            (stage.applications(), marked(application("leaving"), &["foregroundDeletion", "slowlane.dev/run"])),
            (stage.pods(), pod("plain", &json!({}))),
            (stage.pods(), pod("other-driver", &marks("driver"))),
        ];
        for (place, object) in &objects {
            server.put(&at(place, object), object).await;
        }
        let mut driver = pod("run-driver", &marks("driver"));
        driver["spec"]["nodeName"] = json!("node1");
        stage.driver = server.put(&at(&stage.pods(), &driver), &driver).await;
        let executor = stage.owned(pod("run-exec", &marks("executor")));
        server.put(&at(&stage.pods(), &executor), &executor).await;
        stage.ledger = server.put(&at(&ledgers(), &stage.ledger), &stage.ledger).await;
        stage
    }

    /// Removes it, so that no keeper finds anything of it.
    pub(crate) async fn clear(&self, server: &Server) {
        for name in ["run", "leaving"] {
            let mut bare = Call::new(
                Method::PATCH,
                self.applications().at(name).path(),
                json!({"metadata": {"finalizers": null}}),
            );
            bare.content_type = "application/merge-patch+json";
            server.call(&bare).await.accepted();
        }
        let namespaces = Place::everywhere(CORE, "namespaces");
        let gone = [
            self.applications().path(),
            self.managed_jobs().path(),
            self.operations().path(),
            self.pods().path() + "?gracePeriodSeconds=0",
            clusters().at(&self.cluster).path(),
            ledgers().at("slowlane").path(),
            namespaces.at(&self.jobs).path(),
            namespaces.at(&self.other).path(),
        ];
        for path in gone.into_iter().chain(cluster_bindings()) {
            server.call(&Call::new(Method::DELETE, path, Value::Null)).await.accepted();
        }
    }

    pub(crate) fn managed_jobs(&self) -> Place {
        Place::within(&self.jobs, OURS, "managedjobs")
    }

    pub(crate) fn operations(&self) -> Place {
        Place::within(&self.jobs, OURS, "operations")
    }

    /// Ledgers in the tenant's own namespace.
    pub(crate) fn own_ledgers(&self) -> Place {
        Place::within(&self.jobs, OURS, "runledgers")
    }

    pub(crate) fn applications(&self) -> Place {
        Place::within(&self.jobs, SPARK, "sparkapplications")
    }

    pub(crate) fn pods(&self) -> Place {
        self.core("pods")
    }

    pub(crate) fn accounts(&self) -> Place {
        self.core("serviceaccounts")
    }

    /// Something of Kubernetes' own in the tenant's namespace.
    pub(crate) fn core(&self, plural: &'static str) -> Place {
        Place::within(&self.jobs, CORE, plural)
    }

    /// The ledger as it stands, to be replaced.
    pub(crate) fn ledger(&self) -> Value {
        let mut ledger = self.ledger.clone();
        ledger["spec"]["sequence"] = json!(2);
        ledger["metadata"]["managedFields"] = Value::Null;
        ledger
    }

    /// A pod that the driver owns.
    pub(crate) fn owned(&self, mut pod: Value) -> Value {
        let driver = &self.driver["metadata"];
        pod["metadata"]["ownerReferences"] = json!([{"apiVersion": "v1", "kind": "Pod", "controller": true,
            "name": driver["name"], "uid": driver["uid"]}]);
        pod
    }
}

pub(crate) fn clusters() -> Place {
    Place::everywhere(OURS, "computeclusters")
}

/// The keeper's ledgers.
pub(crate) fn ledgers() -> Place {
    Place::within(KEEPER, OURS, "runledgers")
}

/// The path of an object in a collection.
fn at(place: &Place, object: &Value) -> String {
    place.at(object["metadata"]["name"].as_str().expect("it has a name")).path()
}

/// The labels of a run's pods.
pub(crate) fn marks(role: &str) -> Value {
    json!({"slowlane.dev/job-uid": JOB_UID, "slowlane.dev/run": "1", "spark-role": role})
}

pub(crate) fn job(name: &str, operation: &str) -> Value {
    json!({"apiVersion": "slowlane.dev/v1alpha1", "kind": "ManagedJob", "metadata": {"name": name},
        "spec": {"operation": operation}})
}

pub(crate) fn operation(name: &str, account: Option<&str>) -> Value {
    let mut object = json!({"apiVersion": "slowlane.dev/v1alpha1", "kind": "Operation", "metadata": {"name": name},
        "spec": {"application": {"type": "Python", "mainApplicationFile": "local:///app.py"}}});
    if let Some(account) = account {
        object["spec"]["application"]["serviceAccount"] = json!(account);
    }
    object
}

pub(crate) fn cluster(name: &str) -> Value {
    json!({"apiVersion": "slowlane.dev/v1alpha1", "kind": "ComputeCluster", "metadata": {"name": name}, "spec": {}})
}

pub(crate) fn ledger(name: &str) -> Value {
    json!({"apiVersion": "slowlane.dev/v1alpha1", "kind": "RunLedger", "metadata": {"name": name},
        "spec": {"epoch": 1, "sequence": 1, "leader": "nobody"}})
}

pub(crate) fn application(name: &str) -> Value {
    json!({"apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "SparkApplication", "metadata": {"name": name},
        "spec": {"type": "Scala", "mode": "cluster", "sparkVersion": "4.0.5", "mainClass": "x",
            "mainApplicationFile": "local:///x", "driver": {"cores": 1}, "executor": {"cores": 1, "instances": 1}}})
}

/// An application as the keeper makes it.
pub(crate) fn marked(mut application: Value, finalizers: &[&str]) -> Value {
    let meta = &mut application["metadata"];
    meta["labels"] =
        json!({"slowlane.dev/job-uid": JOB_UID, "slowlane.dev/run": "1", "app.kubernetes.io/managed-by": "slowlane"});
    meta["annotations"] = json!({"slowlane.dev/job": "standing", "slowlane.dev/result-uri": "s3a://lake/standing"});
    meta["finalizers"] = json!(finalizers);
    application
}

/// A pod that no scheduler looks at.
pub(crate) fn pod(name: &str, labels: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels},
        "spec": {"schedulerName": "nobody", "serviceAccountName": "slowlane-driver",
            "containers": [{"name": "spark-kubernetes-driver", "image": "x"}]}})
}
