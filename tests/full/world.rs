//! What a user does: applies operations and jobs in namespace `jobs`, and looks at them.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use futures::{StreamExt, TryStreamExt};
use kube::{
    Api, Client, ResourceExt,
    api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind, Patch, PatchParams},
    runtime::{WatchStreamExt, watcher},
};
use serde_json::{Value, json};

pub(crate) const NAMESPACE: &str = "jobs";

pub(crate) struct World {
    pub(crate) client: Client,
}

impl World {
    pub(crate) async fn connect() -> Self {
        let client = Client::try_default().await.expect("run it inside the cluster: e2e/shell cargo test --test full");
        Self { client }
    }

    pub(crate) fn api(&self, group: &str, version: &str, kind: &str, plural: &str) -> Api<DynamicObject> {
        let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural);
        Api::namespaced_with(self.client.clone(), NAMESPACE, &resource)
    }

    pub(crate) fn jobs(&self) -> Api<DynamicObject> {
        self.api("slowlane.dev", "v1alpha1", "ManagedJob", "managedjobs")
    }

    /// Declares an operation, over whatever an earlier run of the suite left.
    pub(crate) async fn operation(&self, name: &str, limit: Option<u32>, application: Value) {
        let mut spec = json!({"application": application});
        if let Some(limit) = limit {
            spec["maxConcurrentRuns"] = limit.into();
        }
        self.declare(name, spec).await;
    }

    /// The same with a whole spec.
    pub(crate) async fn declare(&self, name: &str, spec: Value) {
        let mut spec = spec;
        spec["description"] = "of the acceptance tests".into();
        let operation = json!({"apiVersion": "slowlane.dev/v1alpha1", "kind": "Operation",
            "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec});
        let operations = self.api("slowlane.dev", "v1alpha1", "Operation", "operations");
        let parameters = PatchParams::apply("acceptance").force();
        operations.patch(name, &parameters, &Patch::Apply(operation)).await.expect("the operation is accepted");
    }

    /// Declares a cluster like the sample's `business`, but for these fields.
    pub(crate) async fn cluster(&self, name: &str, more: Value) {
        let clusters = self.clusters();
        let mut spec = clusters.get("business").await.expect("the sample is applied").data["spec"].clone();
        for (field, value) in more.as_object().into_iter().flatten() {
            spec[field] = value.clone();
        }
        let cluster = json!({"apiVersion": "slowlane.dev/v1alpha1", "kind": "ComputeCluster",
            "metadata": {"name": name, "labels": {"of": "acceptance"}}, "spec": spec});
        let parameters = PatchParams::apply("acceptance").force();
        clusters.patch(name, &parameters, &Patch::Apply(cluster)).await.expect("the cluster is accepted");
    }

    pub(crate) fn clusters(&self) -> Api<DynamicObject> {
        let kind = GroupVersionKind::gvk("slowlane.dev", "v1alpha1", "ComputeCluster");
        Api::all_with(self.client.clone(), &ApiResource::from_gvk_with_plural(&kind, "computeclusters"))
    }

    /// Submits a job; one of that name that an earlier run of the suite left is deleted first.
    pub(crate) async fn job(&self, name: &str, spec: Value) {
        let jobs = self.jobs();
        if jobs.get_opt(name).await.expect("the API server answers").is_some() {
            jobs.delete(name, &DeleteParams::default()).await.expect("the old job goes");
        }
        let job = json!({"apiVersion": "slowlane.dev/v1alpha1", "kind": "ManagedJob",
            "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec});
        let parameters = PatchParams::apply("acceptance");
        jobs.patch(name, &parameters, &Patch::Apply(job)).await.expect("the job is accepted");
    }

    /// Watches a job until it is as wanted.
    pub(crate) async fn wait_for(
        &self,
        name: &str,
        patience: Duration,
        wanted: &str,
        is_so: impl Fn(&Value) -> bool,
    ) -> Value {
        watch(self.jobs(), name, patience, wanted, is_so).await
    }

    /// Watches a cluster until it is as wanted.
    pub(crate) async fn wait_for_cluster(&self, name: &str, wanted: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        watch(self.clusters(), name, Duration::from_mins(1), wanted, is_so).await
    }

    /// Scales a cluster's pool as an administrator does.
    #[allow(clippy::unused_self)]
    pub(crate) fn scale(&self, cluster: &str, replicas: u32) {
        let (cluster, replicas) = (format!("computecluster/{cluster}"), format!("--replicas={replicas}"));
        let scaled = Command::new("kubectl").args(["scale", &cluster, &replicas]).output().expect("kubectl runs");
        assert!(scaled.status.success(), "{}", String::from_utf8_lossy(&scaled.stderr));
    }

    /// Waits until a job has ended, however.
    pub(crate) async fn end_of(&self, name: &str, patience: Duration) -> Value {
        self.wait_for(name, patience, "has ended", |job| super::condition(job, "Finished") == "True").await
    }

    /// The finalizers and the state of the application of a job.
    pub(crate) async fn application_of(&self, job: &str) -> (Vec<String>, String) {
        let applications = self.api("sparkoperator.k8s.io", "v1beta2", "SparkApplication", "sparkapplications");
        let all = applications.list(&kube::api::ListParams::default()).await.expect("the API server answers");
        let found = all.items.into_iter().find(|application| owner_of(application).as_deref() == Some(job));
        let found = found.expect("the job has an application");
        let state = found.data["status"]["applicationState"]["state"].as_str().unwrap_or_default().to_owned();
        (found.metadata.finalizers.unwrap_or_default(), state)
    }

    /// What lies in the lake under a prefix.
    #[allow(clippy::unused_self)]
    pub(crate) fn lake(&self, prefix: &str) -> String {
        let lake = concat!(env!("CARGO_MANIFEST_DIR"), "/e2e/lake");
        let output = Command::new(lake).args(["ls", prefix]).output().expect("e2e/lake runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The UID of the operation that a job names, seen from the outside: the job's own spec.
    pub(crate) async fn operation_of(&self, job: &str) -> Option<String> {
        let job = self.jobs().get_opt(job).await.ok()??;
        Some(job.data["spec"]["operation"].as_str()?.to_owned())
    }
}

async fn watch(
    api: Api<DynamicObject>,
    name: &str,
    patience: Duration,
    wanted: &str,
    is_so: impl Fn(&Value) -> bool,
) -> Value {
    let only = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let mut changes = watcher(api, only).default_backoff().applied_objects().boxed();
    let started = Instant::now();
    let mut last = Value::Null;
    while let Some(left) = patience.checked_sub(started.elapsed()) {
        match tokio::time::timeout(left, changes.try_next()).await {
            Ok(Ok(Some(object))) => {
                last = serde_json::to_value(&object).expect("an object from the API server is JSON");
                if is_so(&last) {
                    return last;
                }
                let over = super::condition(&last, "Finished") == "True";
                assert!(!over, "{name} has ended and never was as wanted ({wanted}): {last:#}");
            }
            Ok(Ok(None)) | Err(_) => break,
            Ok(Err(_)) => {}
        }
    }
    panic!("{name} is not as wanted ({wanted}) after {patience:?}: {last:#}");
}

/// The job that owns an object.
pub(crate) fn owner_of(object: &DynamicObject) -> Option<String> {
    let owner = object.owner_references().iter().find(|owner| owner.kind == "ManagedJob")?;
    Some(owner.name.clone())
}
