//! The only code that changes the cluster. Carries out the engine's commands: urgent ones first, one at a time for each
//! object, about thirty at once, each within the time that the lease is still good for. Never repeats anything by
//! itself and never decides: every command but an announcement is answered by exactly one receipt, also when nothing
//! was sent.

mod call;
mod execute;
mod outcome;
mod queue;
mod window;

use std::future::Future;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::command::{Command, Receipt};
use crate::observe::Metrics;

pub use call::Caller;
pub use execute::{Executor, Names};

use queue::{Lane, Queue, Slot};
use window::Window;

/// Why the writer cannot go on. Always fatal.
#[derive(Debug, thiserror::Error)]
pub enum WriterError {
    /// A command broke the code that carries it out.
    #[error("a command could not be carried out: {0}")]
    Broken(#[from] tokio::task::JoinError),
}

/// Carries out single commands.
pub trait Execute: Clone + Send + Sync + 'static {
    /// Carries it out; `None` for an announcement, which nobody waits for.
    fn execute(self, command: Command) -> impl Future<Output = Option<Receipt>> + Send;
    /// Whether the API server was overloaded since this was asked last.
    fn take_overloaded(&self) -> bool;
}

/// Puts commands in order and keeps a number of them in flight.
pub struct Writer<E> {
    execute: E,
    clock: Clock,
    metrics: Metrics,
    queue: Queue,
    window: Window,
    flights: JoinSet<(Option<Slot>, Option<Receipt>)>,
    receipts: UnboundedSender<Receipt>,
}

impl<E: Execute> Writer<E> {
    /// A writer with at most so many requests in flight.
    #[must_use]
    pub fn new(execute: E, in_flight: u32, clock: Clock, metrics: Metrics, receipts: UnboundedSender<Receipt>) -> Self {
        let window = Window::new(in_flight);
        Self { execute, clock, metrics, queue: Queue::default(), window, flights: JoinSet::new(), receipts }
    }

    /// Works until nobody can send commands any more; then finishes what is in flight and drops the rest.
    ///
    /// # Errors
    /// When carrying out a command panicked.
    pub async fn run(mut self, mut commands: UnboundedReceiver<Command>) -> Result<(), WriterError> {
        loop {
            self.start_what_may();
            tokio::select! {
                biased;
                Some(landed) = self.flights.join_next() => self.land(landed?),
                command = commands.recv() => match command {
                    Some(command) => self.take(command),
                    None => break,
                },
            }
        }
        while let Some(landed) = self.flights.join_next().await {
            self.land(landed?);
        }
        Ok(())
    }

    fn take(&mut self, command: Command) {
        if self.queue.push(command).is_some() {
            self.metrics.events_dropped.inc();
        }
    }

    fn start_what_may(&mut self) {
        while self.window.admits(self.flights.len()) || self.queue.has_ledger() {
            let Some((slot, command)) = self.queue.next() else { break };
            let execute = self.execute.clone();
            self.flights.spawn(async move { (slot, execute.execute(command).await) });
        }
        self.report();
    }

    fn land(&mut self, (slot, receipt): (Option<Slot>, Option<Receipt>)) {
        if self.execute.take_overloaded() {
            self.window.overloaded(self.clock.instant());
        } else {
            self.window.answered();
        }
        if let Some(slot) = slot {
            self.queue.done(&slot);
        }
        if let Some(receipt) = receipt {
            // Nobody listens any more only when the process is about to end.
            let _ = self.receipts.send(receipt);
        }
    }

    fn report(&self) {
        self.metrics.window.set(self.window.size());
        self.metrics.in_flight.set(i64::try_from(self.flights.len()).unwrap_or(i64::MAX));
        for lane in Lane::ALL {
            let waiting = i64::try_from(self.queue.waiting(lane)).unwrap_or(i64::MAX);
            self.metrics.waiting.with_label_values(&[lane.as_str()]).set(waiting);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use tokio::sync::mpsc::unbounded_channel;

    use super::*;
    use crate::command::Failure;
    use crate::model::ObjectKey;

    /// Answers after a moment, and counts how many are in flight.
    #[derive(Clone, Default)]
    struct Fake {
        now: Arc<AtomicUsize>,
        peak: Arc<AtomicUsize>,
    }

    impl Execute for Fake {
        async fn execute(self, command: Command) -> Option<Receipt> {
            let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
            self.peak.fetch_max(now, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(50)).await;
            self.now.fetch_sub(1, Ordering::SeqCst);
            match command {
                Command::DropTombstone { key, .. } => {
                    Some(Receipt::TombstoneDropped { key, result: Err(Failure::Gone) })
                }
                _ => None,
            }
        }

        fn take_overloaded(&self) -> bool {
            false
        }
    }

    fn drop_tombstone(number: usize) -> Command {
        Command::DropTombstone { key: ObjectKey::new("ns", number.to_string()), uid: "u".into() }
    }

    #[tokio::test]
    async fn answers_every_command_and_keeps_within_its_window() {
        let fake = Fake::default();
        let (send, commands) = unbounded_channel();
        let (receipts, mut received) = unbounded_channel();
        let writer = Writer::new(fake.clone(), 4, Clock::start(), Metrics::new(), receipts);
        (0..12).for_each(|number| send.send(drop_tombstone(number)).unwrap());
        let running = tokio::spawn(writer.run(commands));
        for _ in 0..12 {
            received.recv().await.unwrap();
        }
        drop(send);
        running.await.unwrap().unwrap();
        assert_eq!(fake.peak.load(Ordering::SeqCst), 4);
    }

    #[tokio::test]
    async fn finishes_what_is_in_flight_and_nothing_more_when_it_is_told_to_stop() {
        let (send, commands) = unbounded_channel();
        let (receipts, mut received) = unbounded_channel();
        let writer = Writer::new(Fake::default(), 2, Clock::start(), Metrics::new(), receipts);
        (0..9).for_each(|number| send.send(drop_tombstone(number)).unwrap());
        let running = tokio::spawn(writer.run(commands));
        tokio::time::sleep(Duration::from_millis(1)).await;
        drop(send);
        running.await.unwrap().unwrap();
        let mut answered = 0;
        while received.recv().await.is_some() {
            answered += 1;
        }
        assert_eq!(answered, 2);
    }
}
