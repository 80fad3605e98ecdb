//! The ledger: read with a quorum read, written whole by compare-and-swap.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, PostParams};

use super::{Executor, MANAGER};
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
        self.note_size(&object);
        let (api, params) = (self.ledgers(), PostParams { field_manager: Some(MANAGER.into()), dry_run: false });
        let stored = match base {
            Some(_) => self.caller.call("update", KIND, api.replace(name, &params, &object)).await?,
            None => self.caller.call("create", KIND, api.create(&params, &object)).await?,
        };
        version(&stored)
    }

    fn ledgers(&self) -> Api<RunLedger> {
        Api::namespaced(self.client.clone(), &self.names.namespace)
    }

    fn note_size(&self, object: &RunLedger) {
        let bytes = serde_json::to_vec(object).map_or(0, |json| json.len());
        self.metrics.ledger_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }
}

fn understand(stored: &RunLedger) -> Result<(LedgerVersion, Box<Ledger>), Failure> {
    // What cannot be understood is not an empty ledger: nothing is admitted while it stands like this.
    let ledger = convert::read_ledger(&stored.spec).map_err(|error| Failure::Denied(error.to_string().into()))?;
    Ok((version(stored)?, Box::new(ledger)))
}

fn version(stored: &RunLedger) -> Result<LedgerVersion, Failure> {
    let version = stored.metadata.resource_version.as_deref();
    version.map(Into::into).ok_or_else(|| Failure::Unknown("the answer has no resourceVersion".into()))
}
