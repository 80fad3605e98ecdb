//! Single commands on the wire, a file a kind of object. Each makes the requests that its command needs, in order, and
//! stops at the first that fails: its receipt says how far the world may have moved, never more than is known.

mod application;
mod event;
mod ledger;
mod pool;
mod status;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use http::Method;
use kube::Client;
use kube::core::{DynamicObject, ObjectMeta, PartialObjectMeta};
use serde::Serialize;

use super::Execute;
use super::call::{Caller, failure_word};
use crate::clock::Clock;
use crate::command::{Command, Failure, Receipt};
use crate::config::PlaceholderSettings;
use crate::model::Uid;
use crate::observe::Metrics;
use crate::text::clean;
use crate::watch::Catalog;

/// Where the keeper's own objects are, and what it is called.
#[derive(Debug, Clone)]
pub struct Names {
    /// The keeper's namespace.
    pub namespace: String,
    /// Name of the ledger in it.
    pub ledger: String,
    /// This process, in events.
    pub instance: String,
    /// What holds warm executors.
    pub placeholders: PlaceholderSettings,
}

/// Carries out commands on an API server. Cheap to clone.
#[derive(Clone)]
pub struct Executor {
    client: Client,
    caller: Caller,
    names: Arc<Names>,
    catalog: Catalog,
    clock: Clock,
    metrics: Metrics,
    events: Arc<AtomicU64>,
}

const METADATA_ONLY: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
const JSON: &str = "application/json";

fn json(body: &impl Serialize) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec(body).map_err(|error| Failure::Denied(error.to_string().into()))
}

/// A failure of a read that comes before a write: whatever became of the read, the write surely did not happen.
fn before_writing(failure: Failure) -> Failure {
    match failure {
        Failure::Unknown(words) => Failure::NotSent(words),
        other => other,
    }
}

/// Who owns the fields that we write.
const MANAGER: &str = "slowlane";

impl Executor {
    /// An executor that sends by `caller` and looks operations and clusters up in `catalog`.
    #[must_use]
    pub fn new(client: Client, caller: Caller, names: Names, catalog: Catalog, clock: Clock, metrics: Metrics) -> Self {
        Self { client, caller, names: Arc::new(names), catalog, clock, metrics, events: Arc::default() }
    }

    /// Sends a body and reads only the metadata of the answer: the watches bring the rest.
    async fn write(&self, method: Method, path: &str, content_type: &str, body: Vec<u8>) -> kube::Result<ObjectMeta> {
        let request = http::Request::builder()
            .method(method)
            .uri(format!("{path}?fieldManager={MANAGER}"))
            .header(http::header::ACCEPT, METADATA_ONLY)
            .header(http::header::CONTENT_TYPE, content_type)
            .body(body)
            .map_err(kube::Error::HttpError)?;
        let answer: PartialObjectMeta<DynamicObject> = self.client.request(request).await?;
        Ok(answer.metadata)
    }

    /// The id that a job's caller gave it, fit to be told.
    fn correlation(&self, job: &Uid) -> Option<String> {
        self.catalog.correlation(job).map(|id| clean(&id, 256))
    }

    fn count<T>(&self, command: &'static str, object: &str, job: Option<&Uid>, result: &Result<T, Failure>) {
        let correlation = job.and_then(|job| self.correlation(job));
        let correlation = correlation.as_deref();
        let outcome = result.as_ref().err().map_or("ok", failure_word);
        self.metrics.commands.with_label_values(&[command, outcome]).inc();
        match result {
            Ok(_) => tracing::debug!(command, object, correlation, "done"),
            Err(Failure::NotSent(words)) => tracing::info!(command, object, correlation, error = %words, "not sent"),
            Err(failure) => tracing::warn!(command, object, correlation, outcome, error = ?failure, "a command failed"),
        }
    }
}

impl Execute for Executor {
    async fn execute(self, command: Command) -> Option<Receipt> {
        Some(match command {
            Command::ReadLedger => {
                let result = self.read_ledger().await;
                self.count("ReadLedger", &self.names.ledger, None, &result);
                Receipt::LedgerRead(result)
            }
            Command::WriteLedger { base, ledger } => {
                let result = self.write_ledger(base.as_ref(), &ledger).await;
                self.count("WriteLedger", &self.names.ledger, None, &result);
                Receipt::LedgerWritten(result)
            }
            Command::CreateApplication { run, holder, placeholder } => {
                let result = self.create_application(&run, &holder, placeholder).await;
                self.count("CreateApplication", &holder.job.to_string(), Some(&run.job), &result);
                Receipt::Created { run, result: result.map(Box::new) }
            }
            Command::ConfirmRun { run, key } => {
                let result = self.confirm_run(&run, &key).await;
                self.count("ConfirmRun", &key.to_string(), Some(&run.job), &result);
                Receipt::Confirmed { run, result }
            }
            Command::DeleteApplication { run, key, uid } => {
                let result = self.delete_application(&key, &uid).await;
                self.count("DeleteApplication", &key.to_string(), Some(&run.job), &result);
                Receipt::Deleted { run, result }
            }
            Command::DropTombstone { key, uid } => {
                let result = self.drop_tombstone(&key, &uid).await;
                self.count("DropTombstone", &key.to_string(), None, &result);
                Receipt::TombstoneDropped { key, result }
            }
            Command::WriteJobStatus { key, uid, status } => {
                let result = self.write_job_status(&key, &uid, *status).await;
                self.count("WriteJobStatus", &key.to_string(), Some(&uid), &result);
                Receipt::JobStatusWritten { uid, result }
            }
            Command::WriteOperationStatus { key, uid, status } => {
                let result = self.write_operation_status(&key, &uid, &status).await;
                self.count("WriteOperationStatus", &key.to_string(), None, &result);
                Receipt::OperationStatusWritten { key, result }
            }
            Command::WriteClusterStatus { name, uid, status } => {
                let result = self.write_cluster_status(&name, &uid, &status).await;
                self.count("WriteClusterStatus", &name, None, &result);
                Receipt::ClusterStatusWritten { name, result }
            }
            Command::WritePool { cluster, uid, warm } => {
                let result = match warm {
                    Some(warm) => self.hold_warm(&cluster, &uid, warm).await,
                    None => self.hold_none(&cluster).await,
                };
                self.count("WritePool", &cluster, None, &result);
                Receipt::PoolWritten { cluster, result }
            }
            Command::AnnouncePool { cluster, uid, resized } => {
                let result = self.announce_pool(&cluster, &uid, &resized).await;
                self.count("AnnouncePool", &cluster, None, &result);
                return None;
            }
            Command::Announce(announcement) => {
                let result = self.announce(&announcement).await;
                self.count("Announce", &announcement.job.to_string(), Some(&announcement.uid), &result);
                return None;
            }
            Command::ReportStranger { key, uid, message } => {
                let result = self.report_stranger(&key, &uid, &message).await;
                self.count("ReportStranger", &key.to_string(), None, &result);
                return None;
            }
            // The engine's loop keeps these for itself.
            Command::CountUsage { .. } | Command::StartWatches | Command::StepDown => return None,
        })
    }

    fn take_overloaded(&self) -> bool {
        self.caller.take_overloaded()
    }
}
