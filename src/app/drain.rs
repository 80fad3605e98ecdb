//! `slowlane drain`: leaves a cluster so that nothing in it waits for a keeper that is not there any more.
//!
//! Takes the lease away from whoever leads, waits until that one has surely stopped, and takes our finalizer off every
//! `SparkApplication`. What runs goes on; the ledger stays, so a keeper that is installed again finds every run in it.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, ListParams, Patch, PatchParams};
use kube::{Client, Config, ResourceExt};
use serde_json::json;

use crate::config::Settings;
use crate::lease::seize;
use crate::spark::SparkApplication;
use crate::spark::marks::{MANAGED_BY, MANAGED_BY_LABEL, RUN_FINALIZER};

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

/// For so long nobody else takes the lease.
const HELD: Duration = Duration::from_mins(1);
const ROUNDS: usize = 5;

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
    let leases: Api<Lease> = Api::namespaced(client.clone(), &namespace);
    let seized =
        seize(&leases, &election.lease_name, "drain", HELD).await.map_err(refused("the lease cannot be taken"))?;
    if let Some(holder) = seized.filter(|holder| !holder.is_empty()) {
        say(format!("took the lease from {holder}; until it has noticed: {} s", election.renew_deadline_seconds));
        tokio::time::sleep(Duration::from_secs(u64::from(election.renew_deadline_seconds))).await;
    }
    let mut drained = Drained::default();
    for round in 0..ROUNDS {
        let held = let_go(&client).await?;
        if round == 0 {
            drained = held;
        }
        if held.applications == 0 {
            return Ok(drained);
        }
        say(format!("{} SparkApplications let go, {} of them go on", held.applications, held.alive));
    }
    Err(DrainError::Contested { left: let_go(&client).await?.applications })
}

/// One round: every application that carries our finalizer loses it.
async fn let_go(client: &Client) -> Result<Drained, DrainError> {
    let all: Api<SparkApplication> = Api::all(client.clone());
    let mut params = ListParams::default().labels(&format!("{MANAGED_BY_LABEL}={MANAGED_BY}")).limit(500);
    let mut drained = Drained::default();
    loop {
        let page = match all.list(&params).await {
            // The kind is gone, and its objects with it.
            Err(kube::Error::Api(status)) if status.code == 404 => return Ok(drained),
            other => other.map_err(refused("SparkApplications cannot be listed"))?,
        };
        for application in page.items.iter().filter(|it| it.finalizers().iter().any(|name| name == RUN_FINALIZER)) {
            drained.applications += 1;
            drained.alive += usize::from(!application.status.application_state.state.is_terminal());
            release(client, application).await?;
        }
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => return Ok(drained),
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
