//! What stands on the API server before anything is measured, and how the bench itself writes there: as the keeper does,
//! reading only the metadata of each answer.

use std::path::Path;
use std::time::Duration;

use futures::{StreamExt, stream};
use http::Method;
use kube::core::{DynamicObject, ObjectMeta, PartialObjectMeta};
use kube::{Client, Config};
use serde_json::{Value, json};
use slowlane::api::v1alpha1::definitions;

/// Where the jobs are.
pub(crate) const JOBS: &str = "jobs";
/// Where the keeper's ledger and Lease are.
pub(crate) const KEEPERS: &str = "slowlane-system";

const JSON: &str = "application/json";
const MERGE: &str = "application/merge-patch+json";
const JSON_PATCH: &str = "application/json-patch+json";
const METADATA_ONLY: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";

/// Requests at once where it does not matter.
const AT_ONCE: usize = 16;

/// A way to the API server. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Stage {
    client: Client,
}

/// A job that was handed in.
#[derive(Debug, Clone)]
pub(crate) struct HandedIn {
    pub(crate) name: String,
    pub(crate) uid: String,
}

impl Stage {
    /// Definitions, namespaces, a cluster without limits.
    pub(crate) async fn set_up(spark: &Path) -> Self {
        let mut config = Config::infer().await.expect("KUBECONFIG names an API server");
        config.default_retry = false;
        let stage = Self { client: Client::try_from(config).expect("a client") };
        let text = std::fs::read_to_string(spark).expect("the definition can be read");
        let spark: Value = serde_yaml::from_str(&text).expect("it is YAML");
        let ours = definitions().into_iter().map(|it| serde_json::to_value(it).expect("a definition is JSON"));
        for definition in ours.chain([spark]) {
            stage.post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", &definition).await;
        }
        for namespace in [JOBS, KEEPERS] {
            let object = json!({"metadata": {"name": namespace, "labels": {"slowlane.dev/jobs": "true"}}});
            stage.post("/api/v1/namespaces", &object).await;
        }
        let account = json!({"metadata": {"name": "spark"}});
        stage.post(&format!("/api/v1/namespaces/{JOBS}/serviceaccounts"), &account).await;
        for plural in ["computeclusters", "managedjobs", "operations", "runledgers"] {
            stage.served(&format!("/apis/slowlane.dev/v1alpha1/{plural}")).await;
        }
        stage.served("/apis/sparkoperator.k8s.io/v1beta2/sparkapplications").await;
        stage.create_cluster().await;
        stage
    }

    /// A kind is served some moments after its definition was taken.
    async fn served(&self, path: &str) {
        while self.text(path).await.is_err() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn create_cluster(&self) {
        let cluster = json!({"apiVersion": "slowlane.dev/v1alpha1", "kind": "ComputeCluster", "metadata": {"name": "business"},
            "spec": {"namespaceSelector": {"matchLabels": {"slowlane.dev/jobs": "true"}}, "executors": {"max": 1000},
                "executor": {"cores": 1, "memory": "2Gi"}, "limits": {"maxConcurrentJobs": 500},
                "template": {"sparkVersion": "4.0.5", "image": "spark:4.0.5", "serviceAccount": "spark",
                    "hadoopConf": {"fs.s3a.endpoint": "http://lake:7070", "fs.s3a.path.style.access": "true"}}}});
        self.post("/apis/slowlane.dev/v1alpha1/computeclusters", &cluster).await;
    }

    /// Declares an operation, as the sample in `manifests/` is.
    pub(crate) async fn operation(&self, name: &str, limit: Option<u32>) {
        let mut operation = json!({"apiVersion": "slowlane.dev/v1alpha1", "kind": "Operation", "metadata": {"name": name},
            "spec": {"description": "Sums up a day's sales of a region by product", "owner": "sales-analytics",
                "defaults": {"executors": {"min": 1, "max": 2}, "result": {"uri": "s3a://lake/reports/$(job.name)"}},
                "application": {"type": "Python", "mainApplicationFile": "s3a://lake/apps/daily_report.py",
                    "arguments": ["s3a://lake/reports/$(job.name)", "--region", "$(params.region)"],
                    "driver": {"cores": 1, "memory": "512m"}, "executor": {"cores": 1, "memory": "512m"}}}});
        if let Some(limit) = limit {
            operation["spec"]["maxConcurrentRuns"] = limit.into();
        }
        self.post(&format!("/apis/slowlane.dev/v1alpha1/namespaces/{JOBS}/operations"), &operation).await;
    }

    /// Hands in a job.
    pub(crate) async fn job(&self, name: &str, operation: &str) -> HandedIn {
        let job = json!({"apiVersion": "slowlane.dev/v1alpha1", "kind": "ManagedJob", "metadata": {"name": name},
            "spec": {"operation": operation, "parameters": {"region": "north"}}});
        let stored = self.post(&jobs_url(), &job).await;
        HandedIn { name: name.to_owned(), uid: stored.uid.unwrap_or_default() }
    }

    /// Does something for each of many, some at once, in order.
    pub(crate) async fn each<T, F: Future<Output = ()>>(
        &self,
        of: impl IntoIterator<Item = T>,
        does: impl FnMut(T) -> F,
    ) {
        stream::iter(of).map(does).buffer_unordered(AT_ONCE).collect::<()>().await;
    }

    /// Removes jobs, applications, pods, operations and events: the next round finds what this one found.
    pub(crate) async fn clear(&self) {
        for collection in [jobs_url(), applications_url(), pods_url(), events_url(), operations_url()] {
            self.remove_all(&collection).await;
        }
        let names = self.names(&applications_url()).await;
        self.each(names, |name| async move {
            let free = json!({"metadata": {"finalizers": null}});
            self.send(Method::PATCH, &format!("{}/{name}", applications_url()), MERGE, &free).await.expect("it goes");
        })
        .await;
    }

    async fn remove_all(&self, collection: &str) {
        let now = json!({"gracePeriodSeconds": 0}).to_string().into_bytes();
        let request = http::Request::delete(collection).header(http::header::CONTENT_TYPE, JSON).body(now);
        let removed = self.client.request_text(request.expect("a request")).await;
        removed.unwrap_or_else(|error| panic!("{collection}: {error}"));
    }

    /// How many applications stand.
    pub(crate) async fn applications(&self) -> usize {
        self.names(&applications_url()).await.len()
    }

    async fn names(&self, url: &str) -> Vec<String> {
        let list: Value = serde_json::from_str(&self.text(url).await.expect("a list")).expect("a list is JSON");
        let items = list["items"].as_array().cloned().unwrap_or_default();
        items.iter().filter_map(|item| Some(item["metadata"]["name"].as_str()?.to_owned())).collect()
    }

    /// Reads something whole.
    pub(crate) async fn text(&self, path: &str) -> kube::Result<String> {
        let request = http::Request::get(path).body(Vec::new()).map_err(kube::Error::HttpError)?;
        self.client.request_text(request).await
    }

    /// Reads an object.
    pub(crate) async fn get(&self, path: &str) -> Value {
        serde_json::from_str(&self.text(path).await.expect("it is there")).expect("it is JSON")
    }

    /// Creates an object.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> ObjectMeta {
        self.send(Method::POST, path, JSON, body).await.unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// Replaces an object.
    pub(crate) async fn put(&self, path: &str, body: &Value) -> ObjectMeta {
        self.send(Method::PUT, path, JSON, body).await.unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// Changes a part of an object.
    pub(crate) async fn merge(&self, path: &str, body: &Value) {
        self.send(Method::PATCH, path, MERGE, body).await.unwrap_or_else(|error| panic!("{path}: {error}"));
    }

    /// Replaces a job's status, if it is still the job with this UID.
    pub(crate) async fn job_status(&self, job: &HandedIn, status: &Value) {
        let test = json!({"op": "test", "path": "/metadata/uid", "value": job.uid});
        let patch = json!([test, {"op": "add", "path": "/status", "value": status}]);
        let url = format!("{}/{}/status", jobs_url(), job.name);
        self.send(Method::PATCH, &url, JSON_PATCH, &patch).await.unwrap_or_else(|error| panic!("{url}: {error}"));
    }

    async fn send(&self, method: Method, path: &str, kind: &str, body: &Value) -> kube::Result<ObjectMeta> {
        let request = http::Request::builder()
            .method(method)
            .uri(format!("{path}?fieldManager=bench"))
            .header(http::header::ACCEPT, METADATA_ONLY)
            .header(http::header::CONTENT_TYPE, kind)
            .body(body.to_string().into_bytes())
            .map_err(kube::Error::HttpError)?;
        let answer: PartialObjectMeta<DynamicObject> = self.client.request(request).await?;
        Ok(answer.metadata)
    }

    /// For watches.
    pub(crate) fn client(&self) -> Client {
        self.client.clone()
    }
}

pub(crate) fn jobs_url() -> String {
    format!("/apis/slowlane.dev/v1alpha1/namespaces/{JOBS}/managedjobs")
}

fn operations_url() -> String {
    format!("/apis/slowlane.dev/v1alpha1/namespaces/{JOBS}/operations")
}

pub(crate) fn applications_url() -> String {
    format!("/apis/sparkoperator.k8s.io/v1beta2/namespaces/{JOBS}/sparkapplications")
}

pub(crate) fn ledgers_url() -> String {
    format!("/apis/slowlane.dev/v1alpha1/namespaces/{KEEPERS}/runledgers")
}

pub(crate) fn pods_url() -> String {
    format!("/api/v1/namespaces/{JOBS}/pods")
}

fn events_url() -> String {
    format!("/apis/events.k8s.io/v1/namespaces/{JOBS}/events")
}
