//! A cluster's placeholders: applied whole, so that whoever edits them is overwritten; removed where there are to be none.

use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Api, DeleteParams, Patch, PatchParams};

use super::{Executor, MANAGER};
use crate::api::convert;
use crate::command::Failure;
use crate::model::{Name, Uid};

impl Executor {
    /// So many warm executors of so many that the pool holds.
    pub(super) async fn hold_warm(&self, name: &Name, uid: &Uid, (warm, desired): (u64, u64)) -> Result<(), Failure> {
        // The cluster is gone, or says no more what an executor is: the engine is about to hear of it.
        let Some(cluster) = self.catalog.cluster(name) else { return Err(Failure::Gone) };
        let made = convert::deployment(name, &uid.to_string(), &cluster, warm, desired, &self.names.placeholders);
        let Some(made) = made else { return Err(Failure::Gone) };
        let params = PatchParams { field_manager: Some(MANAGER.into()), force: true, ..PatchParams::default() };
        let deployments = self.placeholders();
        let (name, patch) = (convert::placeholders_name(name), Patch::Apply(&made));
        let request = deployments.patch_metadata(&name, &params, &patch);
        self.caller.call("patch", "Deployment", request).await.map(|_| ())
    }

    /// None, and no trace of them.
    pub(super) async fn hold_none(&self, name: &Name) -> Result<(), Failure> {
        let deployments = self.placeholders();
        let name = convert::placeholders_name(name);
        let params = DeleteParams::background();
        let request = deployments.delete(&name, &params);
        match self.caller.call("delete", "Deployment", request).await {
            Ok(_) | Err(Failure::Gone) => Ok(()),
            Err(failure) => Err(failure),
        }
    }

    fn placeholders(&self) -> Api<Deployment> {
        Api::namespaced(self.client.clone(), &self.names.namespace)
    }
}
