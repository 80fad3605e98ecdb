//! Statuses: replaced whole, and tested for the UID, since another object of the same name could stand in for the one that is meant.

use http::Method;
use kube::api::Api;
use kube::{Resource, core::NamespaceResourceScope};
use serde_json::Value;

use super::{Executor, before_writing, json};
use crate::api::convert;
use crate::api::v1alpha1::{ComputeCluster, ManagedJob, Operation};
use crate::command::Failure;
use crate::model::{ClusterStatus, JobStatus, Name, ObjectKey, OperationStatus, ResultSource, Uid};
use crate::spark::marks::RESULT_URI_ANNOTATION;
use crate::spark::{SparkApplication, check_result_uri};

impl Executor {
    pub(super) async fn write_job_status(
        &self,
        key: &ObjectKey,
        uid: &Uid,
        mut status: JobStatus,
    ) -> Result<(), Failure> {
        if status.declared_result && status.result.is_none() {
            self.declare_result(&key.namespace, &mut status).await?;
        }
        let patch = convert::job_status(&status, &key.namespace, uid);
        let jobs = self.namespaced::<ManagedJob>(&key.namespace);
        self.patch_status("ManagedJob", jobs, &key.name, &patch).await
    }

    /// The result that was declared, as it was resolved when the run was built: it stands on the run's application, so
    /// that edits made since do not change it.
    async fn declare_result(&self, namespace: &str, status: &mut JobStatus) -> Result<(), Failure> {
        let Some(run) = status.runs.last_mut() else { return Ok(()) };
        let applications = self.namespaced::<SparkApplication>(namespace);
        let found = self.caller.call("get", "SparkApplication", applications.get_metadata(&run.application)).await;
        let metadata = match found {
            Ok(found) => found.metadata,
            Err(Failure::Gone | Failure::KindMissing) => return Ok(()),
            Err(failure) => return Err(before_writing(failure)),
        };
        let declared = metadata.annotations.as_ref().and_then(|all| all.get(RESULT_URI_ANNOTATION));
        if let Some(uri) = declared.filter(|uri| check_result_uri(uri).is_ok()) {
            run.result_uri = Some(uri.as_str().into());
            status.message.clone_from(uri);
            status.result = Some((uri.as_str().into(), ResultSource::Declared));
        }
        Ok(())
    }

    pub(super) async fn write_operation_status(
        &self,
        key: &ObjectKey,
        uid: &Uid,
        status: &OperationStatus,
    ) -> Result<(), Failure> {
        let known = self.catalog.operation(key);
        let before = known.as_ref().and_then(|known| known.status.as_ref());
        let patch = convert::operation_status(status, uid, before, self.clock.now());
        self.patch_status("Operation", self.namespaced::<Operation>(&key.namespace), &key.name, &patch).await
    }

    pub(super) async fn write_cluster_status(
        &self,
        name: &Name,
        uid: &Uid,
        status: &ClusterStatus,
    ) -> Result<(), Failure> {
        let known = self.catalog.cluster(name);
        let before = known.as_ref().and_then(|known| known.status.as_ref());
        let patch = convert::cluster_status(status, uid, before, self.clock.now());
        let clusters: Api<ComputeCluster> = Api::all(self.client.clone());
        self.patch_status("ComputeCluster", clusters, name, &patch).await
    }

    fn namespaced<K>(&self, namespace: &str) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), namespace)
    }

    async fn patch_status<K: Resource>(
        &self,
        kind: &'static str,
        api: Api<K>,
        name: &str,
        patch: &Value,
    ) -> Result<(), Failure> {
        let url = format!("{}/{name}/status", api.resource_url());
        let request = self.write(Method::PATCH, &url, "application/json-patch+json", json(patch)?);
        self.caller.call("patch", kind, request).await.map(|_| ())
    }
}
