//! `slowlane drain`: leaves a cluster so that nothing in it waits for a keeper that is not there any more.
//!
//! Takes the lease away from whoever leads, waits until that one has surely stopped, and takes our finalizer off every
//! `SparkApplication`. What runs goes on; the ledger stays, so a keeper that is installed again finds every run in it.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams};
use kube::{Client, Config, ResourceExt};
use serde_json::json;

use crate::api::convert;
use crate::config::Settings;
use crate::lease::seize;
use crate::model::ApplicationState;
use crate::spark::SparkApplication;
use crate::spark::marks::{JOB_UID_LABEL, POOL_LABEL, RUN_FINALIZER};

/// Why draining failed. It can be tried again at any time.
#[derive(Debug, thiserror::Error)]
pub enum DrainError {
    /// No API server is named.
    #[error("no way to the API server: {0}")]
    NoApiServer(#[from] kube::config::InferConfigError),
    /// The API server refused something, or did not answer.
    #[error("{what}: {source}")]
    Refused {
        /** What was tried. */
        what: &'static str,
        /** Why not. */
        source: Box<kube::Error>,
    },
    /// Somebody goes on writing.
    #[error("{left} SparkApplications still carry {RUN_FINALIZER}: another keeper writes them")]
    Contested {
        /** How many. */
        left: usize,
    },
}

/// What was let go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Drained {
    /// Applications that carried our finalizer.
    pub applications: usize,
    /// Those among them that have not ended: they go on by themselves.
    pub alive: usize,
}

/// For so long nobody else takes the lease; it is taken anew long before.
const HELD: Duration = Duration::from_mins(1);
/// Between two rounds.
const PAUSE: Duration = Duration::from_secs(2);
/// How long others may go on writing, or the spark-operator may take, beyond the time after which it counts as absent.
const GRACE: u32 = 60;

fn refused(what: &'static str) -> impl Fn(kube::Error) -> DrainError {
    move |source| DrainError::Refused { what, source: Box::new(source) }
}

/// Drains. `say` is told of each step.
///
/// # Errors
/// When the API server refuses a step; what was done stays done.
pub async fn drain(settings: &Settings, say: impl Fn(String)) -> Result<Drained, DrainError> {
    let config = Config::infer().await?;
    let election = &settings.leader_election;
    let namespace = election.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
    let client = Client::try_from(config).map_err(refused("no client for the API server"))?;
    let leases = Api::namespaced(client.clone(), &namespace);
    let drain = Drain { client, leases, lease_name: election.lease_name.clone() };
    if let Some(holder) = drain.hold_lease().await?.filter(|holder| !holder.is_empty()) {
        say(format!("took the lease from {holder}; until it has noticed: {} s", election.renew_deadline_seconds));
        tokio::time::sleep(Duration::from_secs(u64::from(election.renew_deadline_seconds))).await;
    }
    let mut drained = Drained::default();
    let seconds = settings.runs.operator_absent_seconds;
    let (mut waited, patience) = (Duration::ZERO, Duration::from_secs(seconds.into()));
    loop {
        let round = drain.let_go(waited < patience).await?;
        drained.applications += round.let_go;
        drained.alive += round.alive;
        if round == Round::default() {
            drain.remove_placeholders(&namespace).await?;
            // Until the keeper itself is gone nobody shall lead again.
            drain.hold_lease().await?;
            return Ok(drained);
        }
        say(format!("{} SparkApplications let go, {} are being submitted", round.let_go, round.in_submission));
        if waited > patience + Duration::from_secs(GRACE.into()) {
            return Err(DrainError::Contested { left: round.let_go + round.in_submission });
        }
        tokio::time::sleep(PAUSE).await;
        waited += PAUSE;
    }
}

/// What one round found.
#[derive(Debug, Default, PartialEq, Eq)]
struct Round {
    /// They carried our finalizer.
    let_go: usize,
    /// Those among them that go on by themselves.
    alive: usize,
    /// They carry it on: whoever writes to an application while it is being submitted has it submitted twice.
    in_submission: usize,
}

struct Drain {
    client: Client,
    leases: Api<Lease>,
    lease_name: String,
}

impl Drain {
    /// Holds the lease for another while; says who held it before.
    async fn hold_lease(&self) -> Result<Option<String>, DrainError> {
        seize(&self.leases, &self.lease_name, "drain", HELD).await.map_err(refused("the lease cannot be taken"))
    }

    /// Nobody lets go of nodes that are held warm once no keeper is there.
    async fn remove_placeholders(&self, namespace: &str) -> Result<(), DrainError> {
        let deployments: Api<Deployment> = Api::namespaced(self.client.clone(), namespace);
        let ours = ListParams::default().labels(POOL_LABEL);
        let found = deployments.list_metadata(&ours).await.map_err(refused("placeholders cannot be listed"))?;
        for deployment in found.items {
            match deployments.delete(&deployment.name_any(), &DeleteParams::background()).await {
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                other => _ = other.map_err(refused("placeholders cannot be deleted"))?,
            }
        }
        Ok(())
    }

    /// One round: every application that carries our finalizer loses it. With `patient`, but for those in submission.
    async fn let_go(&self, patient: bool) -> Result<Round, DrainError> {
        let all: Api<SparkApplication> = Api::all(self.client.clone());
        let mut params = ListParams::default().labels(JOB_UID_LABEL).limit(500);
        let mut round = Round::default();
        loop {
            self.hold_lease().await?;
            let page = match all.list(&params).await {
                // The kind is gone, and its objects with it.
                Err(kube::Error::Api(status)) if status.code == 404 => return Ok(round),
                other => other.map_err(refused("SparkApplications cannot be listed"))?,
            };
            for application in page.items.iter().filter(|it| it.finalizers().iter().any(|name| name == RUN_FINALIZER)) {
                let seen = convert::application(&application.metadata, &application.status);
                let is_quiet = seen.placeholder.is_some() || seen.deleting.is_some();
                if patient && seen.state == ApplicationState::New && !is_quiet {
                    round.in_submission += 1;
                    continue;
                }
                round.let_go += 1;
                round.alive += usize::from(!seen.state.is_terminal() && !is_quiet);
                release(&self.client, application).await?;
            }
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params = params.continue_token(&token),
                None => return Ok(round),
            }
        }
    }
}

async fn release(client: &Client, application: &SparkApplication) -> Result<(), DrainError> {
    let kept: Vec<&String> = application.finalizers().iter().filter(|name| *name != RUN_FINALIZER).collect();
    let patch = json!({"metadata": {"resourceVersion": application.resource_version(), "finalizers": kept}});
    let api: Api<SparkApplication> = Api::namespaced(client.clone(), &application.namespace().unwrap_or_default());
    match api.patch(&application.name_any(), &PatchParams::default(), &Patch::Merge(&patch)).await {
        // Gone, or written meanwhile: the next round sees.
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
        other => other.map(|_| ()).map_err(refused("a finalizer cannot be taken off")),
    }
}
