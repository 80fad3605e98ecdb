//! Spark and its operator: each application has a driver and as many executors as it was granted, in pods that a real scheduler
//! puts on nodes. When all of them have run for as long as the job lasts it lets go of them, and says so first.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::runtime::watcher::Event;
use kube::runtime::{WatchStreamExt, watcher};
use serde_json::{Value, json};
use tokio::task::{JoinHandle, JoinSet};

use crate::judge::Size;
use crate::operator::{driver, ended, say};
use crate::world::{World, eventually};

/// The executors that Spark has let go of, by their UIDs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Released(Arc<Mutex<BTreeSet<String>>>);

impl Released {
    pub(crate) fn add(&self, uid: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(uid);
    }

    pub(crate) fn has(&self, uid: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(uid)
    }
}

/// Ends when it is dropped.
pub(crate) struct Spark(JoinHandle<()>);

impl Drop for Spark {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Spark {
    /// `lasts`: how long a job's executors work.
    pub(crate) fn start(world: &World, released: Released, lasts: fn(&str) -> Duration) -> Self {
        let stage = Stage { applications: world.applications(), pods: world.api(), released, lasts };
        Self(tokio::spawn(stage.run()))
    }
}

#[derive(Clone)]
struct Stage {
    applications: Api<DynamicObject>,
    pods: Api<Pod>,
    released: Released,
    lasts: fn(&str) -> Duration,
}

impl Stage {
    async fn run(self) {
        let mut events = watcher(self.applications.clone(), watcher::Config::default()).default_backoff().boxed();
        let (mut runs, mut begun) = (JoinSet::new(), BTreeSet::new());
        while let Some(event) = events.next().await {
            let Ok(Event::Apply(application) | Event::InitApply(application)) = event else { continue };
            let holds_a_name = application.data["spec"]["suspend"] == true;
            if !holds_a_name && begun.insert(application.uid()) {
                runs.spawn(self.clone().play(application));
            }
        }
    }

    async fn play(self, application: DynamicObject) {
        let of_application = json!({"apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "SparkApplication",
            "name": application.name_any(), "uid": application.uid(), "controller": true, "blockOwnerDeletion": true});
        let driver = self.create(&application, "driver", driver(&application), of_application).await;
        say(&self.applications, &application, "SUBMITTED", json!({})).await;
        self.runs(&driver).await;
        say(&self.applications, &application, "RUNNING", json!({})).await;

        let of_driver = json!({"apiVersion": "v1", "kind": "Pod", "name": driver.name_any(), "uid": driver.uid(),
            "controller": true, "blockOwnerDeletion": true});
        let mut executors = Vec::new();
        for number in 1..=Size::of(&application.data["spec"]).parts()[0] {
            let name = format!("{}-exec-{number}", application.name_any());
            executors.push(self.create(&application, "executor", name, of_driver.clone()).await);
        }
        for executor in &executors {
            self.runs(executor).await;
        }
        let job = application.annotations().get("slowlane.dev/job").expect("it names its job");
        tokio::time::sleep((self.lasts)(job)).await;
        for executor in &executors {
            self.released.add(executor.uid().expect("it has one"));
            self.pods.delete(&executor.name_any(), &DeleteParams::default()).await.expect("it was there");
        }
        let result = format!(r#"{{"resultUri": "s3a://lake/{job}"}}"#);
        let patch = Patch::Merge(json!({"status": ended("Succeeded", 0, "Completed", &result)}));
        self.pods.patch_status(&driver.name_any(), &PatchParams::default(), &patch).await.expect("it was there");
        say(&self.applications, &application, "COMPLETED", json!({})).await;
    }

    /// With the requests and the nodes that the application says.
    async fn create(&self, application: &DynamicObject, role: &str, name: String, owner: Value) -> Pod {
        let asked = &application.data["spec"][role];
        let number = |field: &str| {
            let digits = asked[field].as_str().and_then(|text| text.strip_suffix('m')?.parse::<u32>().ok());
            digits.unwrap_or_else(|| panic!("{role}.{field} of {application:?}"))
        };
        let requests = json!({"cpu": asked["coreRequest"],
            "memory": format!("{}Mi", number("memory") + number("memoryOverhead"))});
        let mut labels = application.labels().clone();
        labels.insert("spark-role".into(), role.into());
        let pod = json!({
            "metadata": {"name": name, "labels": labels, "ownerReferences": [owner]},
            "spec": {"automountServiceAccountToken": false, "restartPolicy": "Never",
                "nodeSelector": asked["template"]["spec"]["nodeSelector"],
                "containers": [{"name": format!("spark-kubernetes-{role}"), "image": "x", "resources": {"requests": requests}}]},
        });
        let pod = serde_json::from_value(pod).expect("a pod");
        self.pods.create(&PostParams::default(), &pod).await.expect("it is taken")
    }

    /// What was granted has room: its pod runs before anybody loses patience.
    async fn runs(&self, pod: &Pod) {
        eventually(|| async {
            let pod = self.pods.get(&pod.name_any()).await.map_err(|error| error.to_string())?;
            let status = pod.status.unwrap_or_default();
            if status.phase.as_deref() == Some("Running") { Ok(()) } else { Err(format!("{:?}", status.conditions)) }
        })
        .await;
    }
}
