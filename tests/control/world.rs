//! A corner of the API server for one test: a namespace, a cluster, operations and jobs in it, and what to ask of them.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::{Namespace, Node, Pod};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use slowlane::api::v1alpha1::{ComputeCluster, JobState, ManagedJob, Operation, RunLedger, definitions};
use slowlane::spark::api_resource;
use tokio::sync::{Mutex, MutexGuard, OnceCell, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::account;
use crate::install::install;
use crate::operator::{Operator, Play};
use crate::spark::spark_definition;

static TURN: Mutex<()> = Mutex::const_new(());
static SERVER: RwLock<()> = RwLock::const_new(());
static INSTALLED: OnceCell<()> = OnceCell::const_new();
static NAMES: AtomicU32 = AtomicU32::new(0);

/// Requests at once where there are many.
pub(crate) const AT_ONCE: usize = 16;

/// How long anything may take that should happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The API server stays while somebody holds this: for tests that do not take turns.
pub(crate) async fn server_stays() -> RwLockReadGuard<'static, ()> {
    SERVER.read().await
}

/// The API server may be killed by the one who holds this.
pub(crate) async fn server_may_go() -> RwLockWriteGuard<'static, ()> {
    SERVER.write().await
}

/// A client of the tests' own: it repeats what the server turns away for a moment.
pub(crate) async fn client() -> Client {
    Client::try_default().await.expect("KUBECONFIG names a running API server")
}

/// A name that no other object of this run, or of a run before on the same server, has.
pub(crate) fn unique(stem: &str) -> String {
    format!("{stem}-{}-{}", std::process::id(), NAMES.fetch_add(1, Ordering::Relaxed))
}

async fn install_all(client: Client) {
    let spark = spark_definition();
    // A run before this one may have ended while the kind was being deleted.
    let known: Api<CustomResourceDefinition> = Api::all(client.clone());
    release_names(&client, &Api::all_with(client.clone(), &api_resource())).await;
    eventually(|| async {
        let found = known.get_opt(&spark.name_any()).await.map_err(|error| error.to_string())?;
        if found.is_some_and(|it| it.metadata.deletion_timestamp.is_some()) {
            Err("it is leaving".to_owned())
        } else {
            Ok(())
        }
    })
    .await;
    let mut all = definitions();
    all.push(spark);
    install(client.clone(), all).await;
    account::install(&client).await;
}

/// One test's corner; while it lives, no other test has jobs.
pub(crate) struct World {
    pub(crate) client: Client,
    pub(crate) namespace: String,
    pub(crate) cluster: String,
    _turn: Option<MutexGuard<'static, ()>>,
}

impl World {
    /// A namespace that a cluster of its own admits, without limits.
    pub(crate) async fn new() -> Self {
        let turn = TURN.lock().await;
        let client = client().await;
        INSTALLED.get_or_init(|| install_all(client.clone())).await;
        clear(&client).await;
        let (namespace, cluster) = (unique("jobs"), unique("cluster"));
        let labels = BTreeMap::from([("test".to_owned(), namespace.clone())]);
        let mut object = Namespace::default();
        (object.metadata.name, object.metadata.labels) = (Some(namespace.clone()), Some(labels));
        let namespaces: Api<Namespace> = Api::all(client.clone());
        namespaces.create(&PostParams::default(), &object).await.expect("a namespace");
        account::admit(&client, &namespace).await;
        let world = Self { client, namespace, cluster, _turn: Some(turn) };
        world.create_cluster(&json!({})).await;
        world
    }

    /// Another namespace beside the same cluster, which admits it if its label is this world's namespace.
    pub(crate) async fn tenant(&self, label: &str) -> Self {
        let namespace = unique("tenant");
        let object = json!({"metadata": {"name": namespace, "labels": {"test": label}}});
        let object: Namespace = serde_json::from_value(object).expect("a namespace");
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        namespaces.create(&PostParams::default(), &object).await.expect("a namespace");
        Self { client: self.client.clone(), namespace, cluster: self.cluster.clone(), _turn: None }
    }

    async fn create_cluster(&self, spec: &Value) {
        let mut spec = spec.clone();
        spec["namespaceSelector"] = json!({"matchLabels": {"test": self.namespace}});
        spec["template"] = json!({"sparkVersion": "4.0.1", "image": "spark:4", "serviceAccount": "spark"});
        let cluster = ComputeCluster::new(&self.cluster, serde_json::from_value(spec).expect("a cluster"));
        self.clusters().create(&PostParams::default(), &cluster).await.expect("a cluster");
    }

    /// Declares (or changes) an operation.
    pub(crate) async fn operation(&self, name: &str, more: Value) {
        let mut spec = json!({"application": {"type": "Python", "mainApplicationFile": "local:///app.py",
            "arguments": ["$(job.name)"], "driver": {"memory": "512m"}, "executor": {"memory": "512m"}}});
        merge(&mut spec, more);
        let object = json!({"apiVersion": "slowlane.dev/v1alpha1", "kind": "Operation",
            "metadata": {"name": name}, "spec": spec});
        let operations: Api<Operation> = self.api();
        let params = PatchParams::apply("test").force();
        operations.patch(name, &params, &Patch::Apply(object)).await.expect("an operation");
    }

    /// Hands in a job of an operation.
    pub(crate) async fn job(&self, name: &str, operation: &str, more: Value) -> ManagedJob {
        let mut spec = json!({"operation": operation});
        merge(&mut spec, more);
        let job = ManagedJob::new(name, serde_json::from_value(spec).expect("a job"));
        self.jobs().create(&PostParams::default(), &job).await.expect("a job")
    }

    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub(crate) fn jobs(&self) -> Api<ManagedJob> {
        self.api()
    }

    pub(crate) fn clusters(&self) -> Api<ComputeCluster> {
        Api::all(self.client.clone())
    }

    pub(crate) fn applications(&self) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &self.namespace, &api_resource())
    }

    pub(crate) async fn ledger(&self) -> RunLedger {
        self.api::<RunLedger>().get("slowlane").await.expect("there is a ledger")
    }

    /// Every `SparkApplication` of the namespace.
    pub(crate) async fn all_applications(&self) -> Vec<DynamicObject> {
        self.applications().list(&ListParams::default()).await.expect("applications can be listed").items
    }

    pub(crate) async fn pods(&self) -> Vec<Pod> {
        self.api::<Pod>().list(&ListParams::default()).await.expect("pods can be listed").items
    }

    /// Somebody edits a job's spec.
    pub(crate) async fn set(&self, job: &str, manager: &str, spec: Value) {
        let params = PatchParams { field_manager: Some(manager.to_owned()), ..PatchParams::default() };
        self.jobs().patch(job, &params, &Patch::Merge(json!({"spec": spec}))).await.expect("an edit");
    }

    /// A job that runs until it is told otherwise.
    pub(crate) async fn running(&self, operator: &Operator, job: &str, operation: &str, more: Value) {
        operator.play(job, Play::Run);
        self.job(job, operation, more).await;
        self.job_in(job, JobState::Running).await;
    }

    /// Waits until a job satisfies `wanted`, and gives it back.
    pub(crate) async fn job_that(&self, name: &str, wanted: impl Fn(&ManagedJob) -> bool) -> ManagedJob {
        let jobs = self.jobs();
        eventually(|| async {
            let job = jobs.get(name).await.map_err(|error| error.to_string())?;
            if wanted(&job) { Ok(job) } else { Err(format!("{name}: {}", json!(job.status))) }
        })
        .await
    }

    /// Waits until a job is in that state.
    pub(crate) async fn job_in(&self, name: &str, state: JobState) -> ManagedJob {
        self.job_that(name, |job| state_of(job) == Some(state)).await
    }

    /// Waits until nothing is left of a job but closed applications that hold their names.
    pub(crate) async fn no_pods(&self) {
        eventually(|| async {
            let pods = self.pods().await;
            if pods.is_empty() { Ok(()) } else { Err(format!("{} pods are left", pods.len())) }
        })
        .await;
    }

    /// Removes everything; the keepers of this test are gone by now.
    pub(crate) async fn remove(self) {
        clear(&self.client).await;
    }
}

/// Removes what tests have made, this one or one that failed.
async fn clear(client: &Client) {
    let (none, all) = (DeleteParams::default(), ListParams::default());
    let clusters: Api<ComputeCluster> = Api::all(client.clone());
    let _ = clusters.delete_collection(&none, &all).await;
    let jobs: Api<ManagedJob> = Api::all(client.clone());
    let jobs = jobs.list(&all).await.map(|list| list.items).unwrap_or_default();
    let delete = async |job: ManagedJob| {
        let jobs: Api<ManagedJob> = Api::namespaced(client.clone(), &job.namespace().unwrap_or_default());
        let _ = jobs.delete(&job.name_any(), &DeleteParams::default()).await;
    };
    stream::iter(jobs).for_each_concurrent(AT_ONCE, delete).await;
    release_names(client, &Api::all_with(client.clone(), &api_resource())).await;
    let nodes: Api<Node> = Api::all(client.clone());
    let _ = nodes.delete_collection(&none, &all.clone().labels("test")).await;
    let namespaces: Api<Namespace> = Api::all(client.clone());
    for namespace in namespaces.list(&all.labels("test")).await.map(|list| list.items).unwrap_or_default() {
        let _ = namespaces.delete(&namespace.name_any(), &none).await;
    }
}

/// Takes the finalizers off every application: what earlier tests have left would hold up whoever waits for them to go.
pub(crate) async fn release_names(client: &Client, all: &Api<DynamicObject>) {
    let applications = all.list(&ListParams::default()).await.map(|list| list.items).unwrap_or_default();
    let release = async |application: DynamicObject| {
        let namespace = application.namespace().unwrap_or_default();
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &namespace, &api_resource());
        let patch = Patch::Merge(json!({"metadata": {"finalizers": null}}));
        let _ = api.patch(&application.name_any(), &PatchParams::default(), &patch).await;
    };
    stream::iter(applications).for_each_concurrent(AT_ONCE, release).await;
}

/// What a job's status says of its state.
pub(crate) fn state_of(job: &ManagedJob) -> Option<JobState> {
    job.status.as_ref()?.state
}

/// What a job's status says of its reason.
pub(crate) fn reason_of(job: &ManagedJob) -> &str {
    job.status.as_ref().and_then(|status| status.reason.as_deref()).unwrap_or_default()
}

/// What a job's status says in words.
pub(crate) fn message_of(job: &ManagedJob) -> &str {
    job.status.as_ref().and_then(|status| status.message.as_deref()).unwrap_or_default()
}

fn merge(into: &mut Value, more: Value) {
    match (into, more) {
        (Value::Object(into), Value::Object(more)) => {
            for (key, value) in more {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, more) => *into = more,
    }
}

/// Tries until it works.
pub(crate) async fn eventually<T, E: Debug, F: Future<Output = Result<T, E>>>(attempt: impl Fn() -> F) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match attempt().await {
            Ok(value) => return value,
            Err(error) => assert!(Instant::now() < deadline, "not in time: {error:?}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A time as it stands behind `since` and `at`.
fn is_a_minute(text: &str) -> bool {
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    shape == "0000-00-00 00:00 UTC"
}

/// The words are `before`, a minute and `after`.
#[track_caller]
pub(crate) fn assert_words(words: &str, before: &str, after: &str) {
    let time = words.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
    assert!(time.is_some_and(is_a_minute), "{words:?} is not {before:?} TIME {after:?}");
}
