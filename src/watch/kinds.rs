//! The kinds: how each is read, and what the engine is told of it.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::PodStatus;
use kube::core::ObjectMeta;
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use super::catalog::Catalog;
use super::expressions::Expressions;
use super::follow::Translate;
use super::object::{Object, View};
use crate::api::convert;
use crate::api::v1alpha1::{
    ComputeCluster, ComputeClusterSpec, ComputeClusterStatus, ManagedJobSpec, ManagedJobStatus, Operation,
    OperationSpec, OperationStatus,
};
use crate::api::{GROUP, VERSION};
use crate::command::{Change, Kind};
use crate::model::{Job, Name, PodSeen, PodSize};
use crate::spark;
use crate::spark::marks::{JOB_UID_LABEL, NO_JOB_UID_LABEL, POOL_LABEL};

fn name(meta: &ObjectMeta) -> Name {
    convert::key(meta).name
}

fn strict<T: DeserializeOwned>(json: &str) -> Result<T, String> {
    serde_json::from_str(json).map_err(|error| error.to_string())
}

/// A status that cannot be read counts as absent: it is our own, and will be written anew.
fn lenient<T: DeserializeOwned>(json: &str) -> Option<T> {
    serde_json::from_str(json).ok()
}

// ---- namespaces -----------------------------------------------------------------------------------------------------

pub(super) struct Namespaces;

#[derive(Debug, Clone)]
pub(super) struct Namespace;

impl View for Namespace {
    const GROUP: &'static str = "";
    const VERSION: &'static str = "v1";
    const KIND: &'static str = "Namespace";
    const PLURAL: &'static str = "namespaces";

    fn read(_spec: &str, _status: &str) -> Result<Self, String> {
        Ok(Self)
    }
}

impl Translate for Namespaces {
    type View = Namespace;
    const KIND: Kind = Kind::Namespace;
    const WORD: &'static str = "Namespace";

    fn there(&self, meta: &ObjectMeta, _: &Namespace) -> Option<Change> {
        let terminating = meta.deletion_timestamp.is_some();
        Some(Change::Namespace { name: name(meta), labels: convert::labels(meta), terminating })
    }

    fn gone(&self, object: &Object<Namespace>) -> Option<Change> {
        Some(Change::NamespaceGone(name(&object.metadata)))
    }
}

// ---- clusters -------------------------------------------------------------------------------------------------------

pub(super) struct Clusters(pub(super) Catalog, pub(super) Expressions);

#[derive(Debug, Clone)]
pub(super) struct ClusterView {
    spec: ComputeClusterSpec,
    status: Option<ComputeClusterStatus>,
}

impl View for ClusterView {
    const GROUP: &'static str = GROUP;
    const VERSION: &'static str = VERSION;
    const KIND: &'static str = "ComputeCluster";
    const PLURAL: &'static str = "computeclusters";

    fn read(spec: &str, status: &str) -> Result<Self, String> {
        Ok(Self { spec: strict(spec)?, status: lenient(status) })
    }

    fn is_held(&self) -> bool {
        convert::is_cluster_held(&self.spec)
    }
}

impl Translate for Clusters {
    type View = ClusterView;
    const KIND: Kind = Kind::Cluster;
    const WORD: &'static str = "ComputeCluster";

    fn there(&self, meta: &ObjectMeta, view: &ClusterView) -> Option<Change> {
        let ClusterView { spec, status } = view.clone();
        let mut cluster = convert::cluster(meta, &spec, status.as_ref());
        let expressions = self.1.put(name(meta), &spec);
        cluster.defect = cluster.defect.or(expressions.err().map(Into::into));
        self.0.put_cluster(name(meta), ComputeCluster { metadata: ObjectMeta::default(), spec, status });
        Some(Change::Cluster(Box::new(cluster)))
    }

    fn gone(&self, object: &Object<ClusterView>) -> Option<Change> {
        let name = name(&object.metadata);
        self.0.remove_cluster(&name);
        self.1.remove(&name);
        Some(Change::ClusterGone(name))
    }

    fn listing(&self) {
        self.0.list_clusters();
        self.1.list();
    }

    fn listed(&self) {
        self.0.clusters_listed();
        self.1.listed();
    }
}

// ---- operations -----------------------------------------------------------------------------------------------------

pub(super) struct Operations(pub(super) Catalog);

#[derive(Debug, Clone)]
pub(super) struct OperationView {
    spec: OperationSpec,
    status: Option<OperationStatus>,
}

impl View for OperationView {
    const GROUP: &'static str = GROUP;
    const VERSION: &'static str = VERSION;
    const KIND: &'static str = "Operation";
    const PLURAL: &'static str = "operations";

    fn read(spec: &str, status: &str) -> Result<Self, String> {
        Ok(Self { spec: strict(spec)?, status: lenient(status) })
    }

    fn is_held(&self) -> bool {
        convert::is_operation_held(&self.spec)
    }
}

impl Translate for Operations {
    type View = OperationView;
    const KIND: Kind = Kind::Operation;
    const WORD: &'static str = "Operation";

    fn there(&self, meta: &ObjectMeta, view: &OperationView) -> Option<Change> {
        let OperationView { spec, status } = view.clone();
        let operation = convert::operation(meta, &spec, status.as_ref());
        self.0.put_operation(convert::key(meta), Operation { metadata: ObjectMeta::default(), spec, status });
        Some(Change::Operation(Box::new(operation)))
    }

    fn gone(&self, object: &Object<OperationView>) -> Option<Change> {
        let key = convert::key(&object.metadata);
        self.0.remove_operation(&key);
        Some(Change::OperationGone(key))
    }

    fn listing(&self) {
        self.0.list_operations();
    }

    fn listed(&self) {
        self.0.operations_listed();
    }
}

// ---- jobs -----------------------------------------------------------------------------------------------------------

pub(super) struct Jobs {
    catalog: Catalog,
    expressions: Expressions,
    news: watch::Receiver<Option<u64>>,
}

impl Jobs {
    pub(super) fn new(catalog: Catalog, expressions: Expressions) -> Self {
        Self { catalog, news: expressions.news(), expressions }
    }
}

#[derive(Debug, Clone)]
pub(super) struct JobView {
    spec: ManagedJobSpec,
    status: Option<ManagedJobStatus>,
}

impl View for JobView {
    const GROUP: &'static str = GROUP;
    const VERSION: &'static str = VERSION;
    const KIND: &'static str = "ManagedJob";
    const PLURAL: &'static str = "managedjobs";

    fn read(spec: &str, status: &str) -> Result<Self, String> {
        Ok(Self { spec: strict(spec)?, status: lenient(status) })
    }

    fn is_held(&self) -> bool {
        convert::is_job_held(&self.spec)
    }
}

impl Translate for Jobs {
    type View = JobView;
    const KIND: Kind = Kind::Job;
    const WORD: &'static str = "ManagedJob";

    /// Clusters are listed first: what their expressions want to know is asked as jobs are read.
    async fn may_list(&mut self) {
        // Whoever is told dies with the clusters' watch, and so does this one.
        let _ = self.news.wait_for(Option::is_some).await;
    }

    /// An expression is new.
    async fn outdated(&mut self) {
        if self.news.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    fn there(&self, meta: &ObjectMeta, view: &JobView) -> Option<Change> {
        if let Some(correlation) = &view.spec.correlation_id {
            self.catalog.put_correlation(convert::uid(meta), correlation);
        }
        let answers = self.expressions.ask(meta, &view.spec);
        Some(Change::Job(Box::new(Job { answers, ..convert::job(meta, &view.spec, view.status.as_ref()) })))
    }

    fn gone(&self, object: &Object<JobView>) -> Option<Change> {
        let uid = convert::uid(&object.metadata);
        self.catalog.remove_correlation(&uid);
        Some(Change::JobGone(convert::key(&object.metadata), uid))
    }

    fn listing(&self) {
        self.catalog.list_jobs();
    }

    fn listed(&self) {
        self.catalog.jobs_listed();
    }
}

// ---- applications and pods ------------------------------------------------------------------------------------------

pub(super) struct Applications;

#[derive(Debug, Clone)]
pub(super) struct ApplicationView(spark::Status);

impl View for ApplicationView {
    const GROUP: &'static str = spark::GROUP;
    const VERSION: &'static str = spark::VERSION;
    const KIND: &'static str = spark::KIND;
    const PLURAL: &'static str = spark::PLURAL;

    fn read(_spec: &str, status: &str) -> Result<Self, String> {
        Ok(Self(lenient(status).unwrap_or_default()))
    }
}

impl Translate for Applications {
    type View = ApplicationView;
    const KIND: Kind = Kind::Application;
    const WORD: &'static str = "SparkApplication";
    const LABEL: Option<&'static str> = Some(JOB_UID_LABEL);

    fn there(&self, meta: &ObjectMeta, view: &ApplicationView) -> Option<Change> {
        Some(Change::Application(Box::new(convert::application(meta, &view.0))))
    }

    fn gone(&self, object: &Object<ApplicationView>) -> Option<Change> {
        Some(Change::ApplicationGone(convert::key(&object.metadata), convert::uid(&object.metadata)))
    }
}

/// Applications without our label.
pub(super) struct Strangers;

#[derive(Debug, Clone)]
pub(super) struct StrangerView {
    size: spark::StrangerSize,
    status: spark::Status,
}

impl View for StrangerView {
    const GROUP: &'static str = spark::GROUP;
    const VERSION: &'static str = spark::VERSION;
    const KIND: &'static str = spark::KIND;
    const PLURAL: &'static str = spark::PLURAL;

    fn read(spec: &str, status: &str) -> Result<Self, String> {
        Ok(Self { size: spark::stranger_size(spec), status: lenient(status).unwrap_or_default() })
    }
}

impl Translate for Strangers {
    type View = StrangerView;
    const KIND: Kind = Kind::Stranger;
    const WORD: &'static str = "UndeclaredApplication";
    const LABEL: Option<&'static str> = Some(NO_JOB_UID_LABEL);

    fn there(&self, meta: &ObjectMeta, view: &StrangerView) -> Option<Change> {
        let stranger = convert::stranger(meta, view.size, &view.status.application_state.state);
        let none = || Change::StrangerGone(convert::key(meta), convert::uid(meta));
        Some(stranger.map(Box::new).map_or_else(none, Change::Stranger))
    }

    fn gone(&self, object: &Object<StrangerView>) -> Option<Change> {
        Some(Change::StrangerGone(convert::key(&object.metadata), convert::uid(&object.metadata)))
    }
}

pub(super) struct Pods;

/// What is read of a pod.
#[derive(Debug, Clone, Default)]
pub struct PodView {
    status: Box<PodStatus>,
    request: PodSize,
}

impl PodView {
    /// The pod as the engine sees it; `None` when its labels name no run.
    #[must_use]
    pub fn pod(&self, meta: &ObjectMeta) -> Option<PodSeen> {
        convert::pod(meta, &self.status, self.request)
    }
}

impl View for PodView {
    const GROUP: &'static str = "";
    const VERSION: &'static str = "v1";
    const KIND: &'static str = "Pod";
    const PLURAL: &'static str = "pods";

    /// A status that cannot be read leaves a pod whose phase is unknown: it counts as live.
    fn read(spec: &str, status: &str) -> Result<Self, String> {
        Ok(Self { status: lenient(status).unwrap_or_default(), request: convert::pod_request(spec) })
    }
}

impl Translate for Pods {
    type View = PodView;
    const KIND: Kind = Kind::Pod;
    const WORD: &'static str = "Pod";
    const LABEL: Option<&'static str> = Some(JOB_UID_LABEL);

    fn there(&self, meta: &ObjectMeta, view: &PodView) -> Option<Change> {
        view.pod(meta).map(Box::new).map(Change::Pod)
    }

    fn gone(&self, object: &Object<PodView>) -> Option<Change> {
        Some(Change::PodGone(convert::key(&object.metadata), convert::uid(&object.metadata)))
    }
}

// ---- placeholders ---------------------------------------------------------------------------------------------------

/// Deployments that hold warm executors, in the keeper's namespace.
pub(super) struct Placeholders {
    pub(super) namespace: String,
}

#[derive(Debug, Clone)]
pub(super) struct PlaceholdersView(Box<Deployment>);

impl View for PlaceholdersView {
    const GROUP: &'static str = "apps";
    const VERSION: &'static str = "v1";
    const KIND: &'static str = "Deployment";
    const PLURAL: &'static str = "deployments";

    fn read(spec: &str, status: &str) -> Result<Self, String> {
        Ok(Self(Box::new(Deployment { spec: strict(spec)?, status: lenient(status), ..Deployment::default() })))
    }
}

impl Translate for Placeholders {
    type View = PlaceholdersView;
    const KIND: Kind = Kind::Placeholders;
    const WORD: &'static str = "Deployment";
    const LABEL: Option<&'static str> = Some(POOL_LABEL);

    fn namespace(&self) -> Option<&str> {
        Some(&self.namespace)
    }

    fn there(&self, meta: &ObjectMeta, view: &PlaceholdersView) -> Option<Change> {
        convert::placeholders(meta, &view.0).map(Box::new).map(Change::Placeholders)
    }

    fn gone(&self, object: &Object<PlaceholdersView>) -> Option<Change> {
        convert::cluster_of_placeholders(&object.metadata).map(Change::PlaceholdersGone)
    }
}
