//! Wires the rooms together and watches over them: the first task that ends unexpectedly ends the process.
//!
//! The order of things: take part in the election; when leading, run the engine's loop; on SIGTERM stop the loop, let
//! the writes in hand finish, give the lease back. A lost lease is an error, and the process ends at once.

mod drain;
mod leader;
mod reload;

use std::path::PathBuf;
use std::time::Duration;

use kube::{Client, Config};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};

use crate::clock::Clock;
use crate::config::Settings;
use crate::lease::{self, Elector, Fence, LeaseError, Term, Timing};
use crate::observe::{Health, Metrics};
use crate::serve::{self, ServeError};

pub use drain::{DrainError, Drained, drain};
use leader::{Leader, LeaderError};

/// Why the keeper ended.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// No API server is named, neither by a kubeconfig nor by a pod's service account.
    #[error("no way to the API server: {0}")]
    NoApiServer(#[from] kube::config::InferConfigError),
    /// A client cannot be made of what names the API server.
    #[error("no client for the API server: {0}")]
    Client(#[from] kube::Error),
    /// The lease was lost.
    #[error(transparent)]
    Lease(#[from] LeaseError),
    /// Health and metrics cannot be served.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// Leading failed.
    #[error(transparent)]
    Leader(#[from] LeaderError),
    /// A task panicked.
    #[error("a task broke: {0}")]
    Broken(#[from] JoinError),
    /// A task ended that should not.
    #[error("the task {0} ended")]
    Ended(&'static str),
    /// Signals cannot be heard.
    #[error("cannot listen to signals: {0}")]
    Signals(std::io::Error),
}

/// What every part of the process shares.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    /// The settings as they are now: the file may have changed since the start.
    pub(crate) changed: watch::Receiver<Settings>,
    pub(crate) clock: Clock,
    pub(crate) metrics: Metrics,
    pub(crate) health: Health,
    pub(crate) fence: Fence,
    pub(crate) client: Client,
    /// For the watches only.
    pub(crate) watching: Client,
    pub(crate) identity: String,
    pub(crate) namespace: String,
}

/// Runs the keeper until it is told to stop; `file` is where the settings were read from.
///
/// # Errors
/// Whatever ended it otherwise. Nothing is written any more when this returns.
pub async fn run(settings: Settings, file: Option<PathBuf>) -> Result<(), AppError> {
    let clock = Clock::start();
    let config = Config::infer().await?;
    let namespace = settings.leader_election.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
    let identity = lease::elector::unique_identity(&pod_name());
    let term = term(&settings, &namespace, &identity);
    let (elector, leadership) = Elector::new(connect(&config)?, clock, term.clone());
    let metrics = Metrics::new();
    let health = Health::new(clock, term.timing.lease, leadership.clone());
    let (listener, address) = serve::listen(&settings.http.address).await?;
    let fence = Fence::new(leadership.clone());
    let client = connect(&config)?;
    let watching = connect(&with_patience(&config))?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), identity, namespace, %address, "the keeper starts");
    let (tell, changed) = watch::channel(settings.clone());
    if let Some(file) = file {
        // It ends with the runtime: nothing waits for it.
        drop(tokio::spawn(reload::follow(file, settings.clone(), tell, metrics.clone())));
    }
    let shared = Shared { settings, changed, clock, metrics, health, fence, client, watching, identity, namespace };
    let mut tasks = Tasks::start(shared, elector, leadership, listener);
    tasks.supervise().await
}

/// A client that never repeats a request by itself: the engine decides what is tried again.
fn connect(config: &Config) -> Result<Client, kube::Error> {
    let mut config = config.clone();
    config.default_retry = false;
    config.connect_timeout = Some(Duration::from_secs(5));
    Client::try_from(config)
}

/// For watches: a list that never comes and a watch that never starts end as errors, and are tried again.
fn with_patience(config: &Config) -> Config {
    let mut config = config.clone();
    config.read_timeout = Some(crate::watch::SILENCE);
    config.reset_reader_on_write = true;
    config
}

fn term(settings: &Settings, namespace: &str, identity: &str) -> Term {
    let election = &settings.leader_election;
    let seconds = |seconds: u32| Duration::from_secs(u64::from(seconds));
    Term {
        namespace: namespace.to_owned(),
        name: election.lease_name.clone(),
        identity: identity.to_owned(),
        timing: Timing {
            lease: seconds(election.lease_seconds),
            renew_deadline: seconds(election.renew_deadline_seconds),
            retry: seconds(election.retry_seconds),
        },
    }
}

fn pod_name() -> String {
    let named = ["POD_NAME", "HOSTNAME"].into_iter().find_map(|name| std::env::var(name).ok());
    named.filter(|name| !name.is_empty()).unwrap_or_else(|| "keeper".into())
}

/// The long-lived tasks of the process.
struct Tasks {
    running: JoinSet<(&'static str, Result<(), AppError>)>,
    stop_leading: watch::Sender<bool>,
    stop_election: watch::Sender<bool>,
    stop_serving: watch::Sender<bool>,
}

impl Tasks {
    fn start(
        shared: Shared,
        elector: Elector,
        leadership: watch::Receiver<lease::Leadership>,
        listener: TcpListener,
    ) -> Self {
        let (stop_leading, no_leading) = watch::channel(false);
        let (stop_election, no_election) = watch::channel(false);
        let (stop_serving, no_serving) = watch::channel(false);
        let mut running = JoinSet::new();
        running.spawn(async move {
            let outcome = elector.run(stopped(no_election)).await;
            (ELECTION, outcome.map(|outcome| tracing::info!(?outcome, "the election is over")).map_err(Into::into))
        });
        let (health, metrics) = (shared.health.clone(), shared.metrics.clone());
        running.spawn(async move {
            let served = serve::serve(listener, health, metrics, stopped(no_serving)).await;
            ("http", served.map_err(Into::into))
        });
        running.spawn(async move {
            let led = Leader::new(shared).run(leadership, stopped(no_leading)).await;
            (LEADER, led.map_err(Into::into))
        });
        Self { running, stop_leading, stop_election, stop_serving }
    }

    async fn supervise(&mut self) -> Result<(), AppError> {
        let mut terminate = signal(SignalKind::terminate()).map_err(AppError::Signals)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(AppError::Signals)?;
        tokio::select! {
            ended = self.running.join_next() => return Err(failure(ended)),
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("told to stop: finishing the writes in hand");
        self.stop(LEADER, |tasks| &tasks.stop_leading).await?;
        self.stop(ELECTION, |tasks| &tasks.stop_election).await?;
        self.stop_serving.send_replace(true);
        Ok(())
    }

    /// Stops one task and waits for it; anything else that ends meanwhile is a failure still.
    async fn stop(&mut self, name: &str, signal: fn(&Self) -> &watch::Sender<bool>) -> Result<(), AppError> {
        signal(self).send_replace(true);
        match self.running.join_next().await {
            Some(Ok((ended, Ok(())))) if ended == name => Ok(()),
            ended => Err(failure(ended)),
        }
    }
}

const ELECTION: &str = "election";
const LEADER: &str = "leader";

async fn stopped(mut stop: watch::Receiver<bool>) {
    // A sender that is gone means the same.
    let _ = stop.wait_for(|stopped| *stopped).await;
}

/// How one of the long-lived tasks ended: its name and its outcome, or a panic.
type Ended = Result<(&'static str, Result<(), AppError>), JoinError>;

fn failure(ended: Option<Ended>) -> AppError {
    match ended {
        Some(Ok((_, Err(error)))) => error,
        Some(Ok((name, Ok(())))) => AppError::Ended(name),
        Some(Err(error)) => AppError::Broken(error),
        None => AppError::Ended("all"),
    }
}
