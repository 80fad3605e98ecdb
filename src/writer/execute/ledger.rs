//! The ledger: read with a quorum read, written whole by compare-and-swap.

use http::Method;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::Api;

use super::{Executor, JSON, json};
use crate::api::convert;
use crate::api::v1alpha1::RunLedger;
use crate::command::Failure;
use crate::model::{Ledger, LedgerVersion};

const KIND: &str = "RunLedger";

type Read = Option<(LedgerVersion, Box<Ledger>)>;

impl Executor {
    pub(super) async fn read_ledger(&self) -> Result<Read, Failure> {
        match self.caller.call("get", KIND, self.ledgers().get(&self.names.ledger)).await {
            Ok(stored) => understand(&stored).map(Some),
            Err(Failure::Gone) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    pub(super) async fn write_ledger(
        &self,
        base: Option<&LedgerVersion>,
        ledger: &Ledger,
    ) -> Result<LedgerVersion, Failure> {
        let name = self.names.ledger.as_str();
        let metadata = ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some(self.names.namespace.clone()),
            resource_version: base.map(ToString::to_string),
            ..ObjectMeta::default()
        };
        let object = RunLedger { metadata, spec: convert::write_ledger(ledger) };
        let body = json(&object)?;
        self.metrics.ledger_bytes.set(i64::try_from(body.len()).unwrap_or(i64::MAX));
        let api = self.ledgers();
        let path = api.resource_url();
        let stored = match base {
            Some(_) => {
                let path = format!("{path}/{name}");
                self.caller.call("update", KIND, self.write(Method::PUT, &path, JSON, body)).await?
            }
            None => self.caller.call("create", KIND, self.write(Method::POST, path, JSON, body)).await?,
        };
        version(&stored)
    }

    fn ledgers(&self) -> Api<RunLedger> {
        Api::namespaced(self.client.clone(), &self.names.namespace)
    }
}

fn understand(stored: &RunLedger) -> Result<(LedgerVersion, Box<Ledger>), Failure> {
    // What cannot be understood is not an empty ledger: nothing is admitted while it stands like this.
    let ledger = convert::read_ledger(&stored.spec).map_err(|error| Failure::Denied(error.to_string().into()))?;
    Ok((version(&stored.metadata)?, Box::new(ledger)))
}

fn version(stored: &ObjectMeta) -> Result<LedgerVersion, Failure> {
    let version = stored.resource_version.as_deref();
    version.map(Into::into).ok_or_else(|| Failure::Unknown("the answer has no resourceVersion".into()))
}
