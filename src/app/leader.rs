//! What a leader does: carries inputs into the engine and commands out of it, one step at a time, on one task.

use std::collections::VecDeque;
use std::future::Future;
use std::time::Duration;

use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};

use super::Shared;
use crate::command::{Command, Input, Receipt};
use crate::config::Settings;
use crate::engine::Engine;
use crate::lease::Leadership;
use crate::watch::{Catalog, WatchError, Watches};
use crate::writer::{Caller, Executor, Names, Writer, WriterError};

/// Why leading ended.
#[derive(Debug, thiserror::Error)]
pub enum LeaderError {
    /// The ledger carries a later leader's epoch.
    #[error("somebody else leads: the ledger has a later epoch than ours")]
    SteppedDown,
    /// The writer broke.
    #[error(transparent)]
    Writer(#[from] WriterError),
    /// A watch ended.
    #[error(transparent)]
    Watch(#[from] WatchError),
    /// The writer ended, or a task broke.
    #[error("the {0} ended")]
    Ended(&'static str),
    /// A task panicked.
    #[error("a task broke: {0}")]
    Broken(#[from] JoinError),
}

/// Inputs that are taken at once.
const BATCH: usize = 256;
/// The loop goes round at least this often, so that a stuck one is noticed.
const BEAT: Duration = Duration::from_secs(5);
/// How often numbers are taken over into the metrics.
const FIGURES: Duration = Duration::from_secs(1);

pub(super) struct Leader {
    shared: Shared,
    engine: Engine,
    catalog: Catalog,
}

impl Leader {
    pub(super) fn new(shared: Shared) -> Self {
        let engine = Engine::new(shared.changed.borrow().model());
        Self { shared, engine, catalog: Catalog::default() }
    }

    /// Waits until it leads, then leads until it is told to stop; then lets the writes in hand finish.
    pub(super) async fn run(
        self,
        mut leadership: watch::Receiver<Leadership>,
        stop: impl Future<Output = ()>,
    ) -> Result<(), LeaderError> {
        tokio::pin!(stop);
        let first = tokio::select! {
            led = leadership.wait_for(|leadership| leadership.leading) => match led {
                Ok(leadership) => leadership.first,
                Err(_) => return Err(LeaderError::Ended("election")),
            },
            () = &mut stop => return Ok(()),
        };
        self.lead(first, stop).await
    }

    async fn lead(self, first: bool, stop: impl Future<Output = ()>) -> Result<(), LeaderError> {
        let identity = self.shared.identity.clone();
        tracing::info!(identity, first, "leading");
        self.shared.metrics.leading.set(1);
        self.shared.metrics.terms.inc();
        let (receipts_in, receipts) = mpsc::unbounded_channel();
        let (commands, commands_out) = mpsc::unbounded_channel();
        let mut writing = JoinSet::new();
        writing.spawn(self.writer(receipts_in).run(commands_out));
        let mut term = self.into_term(commands, receipts);
        term.steps(VecDeque::from([Input::Leading { identity: identity.into(), first }]))?;
        tokio::select! {
            ended = term.run() => return ended,
            ended = writing.join_next() => return Err(writer_ended(ended)),
            () = stop => {}
        }
        // Nobody sends commands any more: the writer finishes what is in flight, and ends.
        drop(term);
        match writing.join_next().await {
            Some(ended) => Ok(ended??),
            None => Ok(()),
        }
    }

    fn writer(&self, receipts: UnboundedSender<Receipt>) -> Writer<Executor> {
        let Shared { settings, clock, metrics, fence, client, identity, namespace, .. } = &self.shared;
        let caller = Caller::new(*clock, fence.clone(), settings.request_time(), metrics.clone());
        let names = Names {
            namespace: namespace.clone(),
            ledger: settings.ledger.name.clone(),
            instance: identity.clone(),
            placeholders: settings.placeholders.clone(),
        };
        let executor = Executor::new(client.clone(), caller, names, self.catalog.clone(), *clock, metrics.clone());
        Writer::new(executor, settings.writer.in_flight, *clock, metrics.clone(), receipts)
    }

    fn into_term(self, commands: UnboundedSender<Command>, receipts: UnboundedReceiver<Receipt>) -> OneTerm {
        let figures_at = self.shared.clock.instant();
        OneTerm { leader: self, commands, receipts, watches: None, figures_at }
    }
}

fn writer_ended(ended: Option<Result<Result<(), WriterError>, JoinError>>) -> LeaderError {
    match ended {
        Some(Ok(Err(error))) => error.into(),
        Some(Err(error)) => error.into(),
        Some(Ok(Ok(()))) | None => LeaderError::Ended("writer"),
    }
}

/// What a step meant for the watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Watching {
    On,
    Anew,
}

/// The engine's loop.
struct OneTerm {
    leader: Leader,
    commands: UnboundedSender<Command>,
    receipts: UnboundedReceiver<Receipt>,
    watches: Option<Watches>,
    figures_at: Instant,
}

impl OneTerm {
    async fn run(&mut self) -> Result<(), LeaderError> {
        loop {
            let inputs = self.next_inputs().await?;
            self.steps(inputs)?;
            self.report();
        }
    }

    /// Once the watches start anew, what the old ones had still to say means nothing any more.
    fn steps(&mut self, mut inputs: VecDeque<Input>) -> Result<(), LeaderError> {
        while let Some(input) = inputs.pop_front() {
            if self.step(input)? == Watching::Anew {
                inputs.retain(|input| matches!(input, Input::Written(_)));
            }
        }
        Ok(())
    }

    /// What comes next: receipts before events, since they free slots.
    async fn next_inputs(&mut self) -> Result<VecDeque<Input>, LeaderError> {
        let clock = self.leader.shared.clock;
        let beat = clock.instant() + BEAT;
        let wake = self.leader.engine.next_wake().map(|time| clock.instant_of(time));
        let (mut receipts, mut inputs) = (Vec::new(), Vec::new());
        tokio::select! {
            biased;
            number = self.receipts.recv_many(&mut receipts, BATCH) => {
                if number == 0 { return Err(LeaderError::Ended("writer")) }
            }
            watched = next_of(&mut self.watches, &mut inputs) => watched?,
            settings = next_settings(&mut self.leader.shared.changed) => inputs.push(settings),
            () = sleep_until(wake.unwrap_or(beat).min(beat)) => inputs.push(Input::Tick),
        }
        Ok(receipts.into_iter().map(Input::Written).chain(inputs).collect())
    }

    fn step(&mut self, input: Input) -> Result<Watching, LeaderError> {
        let Shared { clock, metrics, .. } = &self.leader.shared;
        let started = clock.instant();
        let commands = self.leader.engine.step(input, clock.now());
        metrics.step.observe(clock.instant().saturating_duration_since(started).as_secs_f64());
        let anew = commands.contains(&Command::StartWatches);
        commands.into_iter().try_for_each(|command| self.route(command))?;
        Ok(if anew { Watching::Anew } else { Watching::On })
    }

    fn route(&mut self, command: Command) -> Result<(), LeaderError> {
        match command {
            Command::StartWatches => {
                self.start_watches();
                Ok(())
            }
            Command::CountUsage { cluster, namespace, usage } => {
                self.leader.shared.metrics.count_usage(&cluster, &namespace, usage);
                Ok(())
            }
            Command::StepDown => Err(LeaderError::SteppedDown),
            other => self.commands.send(other).map_err(|_| LeaderError::Ended("writer")),
        }
    }

    /// Starts the watches, or drops them with all that they still had to say, and starts them anew.
    fn start_watches(&mut self) {
        let Shared { watching, namespace, health, metrics, .. } = &self.leader.shared;
        self.watches = None;
        let catalog = self.leader.catalog.clone();
        self.watches = Some(Watches::start(watching, namespace, health.restarted(), metrics.clone(), catalog));
    }

    fn report(&mut self) {
        let Shared { clock, metrics, health, .. } = &self.leader.shared;
        health.beat();
        let now = clock.instant();
        if now >= self.figures_at {
            metrics.take_figures(&self.leader.engine.figures());
            self.figures_at = now + FIGURES;
        }
    }
}

/// The settings when they change; never, where there is no file that could.
async fn next_settings(changed: &mut watch::Receiver<Settings>) -> Input {
    match changed.changed().await {
        Ok(()) => Input::Settings(Box::new(changed.borrow_and_update().model())),
        Err(_) => std::future::pending().await,
    }
}

/// What the watches say next; nothing, ever, while none runs.
async fn next_of(watches: &mut Option<Watches>, inputs: &mut Vec<Input>) -> Result<(), WatchError> {
    match watches {
        Some(watches) => watches.next(inputs, BATCH).await,
        None => std::future::pending().await,
    }
}
