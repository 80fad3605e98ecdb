//! Whether the keeper is alive and ready, as the tasks report it themselves: nothing here asks them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use crate::clock::Clock;
use crate::command::Kind;
use crate::lease::Leadership;

/// Shared by those who report and the server that shows it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Health {
    clock: Clock,
    lease: Duration,
    leadership: watch::Receiver<Leadership>,
    reports: Arc<Reports>,
}

#[derive(Debug, Default)]
struct Reports {
    synced: AtomicU8,
    engine_runs: AtomicBool,
    engine_beat_ms: AtomicU64,
}

/// Why the keeper is not ready.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotReady {
    /// It leads, but has not seen everything yet.
    #[error("not synced yet: {0}")]
    Syncing(String),
    /// It stands by and cannot see the lease.
    #[error("the lease was not seen recently")]
    NoLease,
}

const STUCK: Duration = Duration::from_secs(30);

impl Health {
    /// Nothing is synced, nothing runs.
    #[must_use]
    pub fn new(clock: Clock, lease: Duration, leadership: watch::Receiver<Leadership>) -> Self {
        Self { clock, lease, leadership, reports: Arc::default() }
    }

    /// A kind has been listed completely (or is known not to exist).
    pub fn synced(&self, kind: Kind) {
        self.reports.synced.fetch_or(bit(kind), Ordering::Relaxed);
    }

    /// The engine's loop goes round.
    pub fn beat(&self) {
        self.reports.engine_beat_ms.store(self.milliseconds(), Ordering::Relaxed);
        self.reports.engine_runs.store(true, Ordering::Relaxed);
    }

    /// Alive: the engine's loop, once started, is not stuck.
    #[must_use]
    pub fn alive(&self) -> bool {
        let beat = self.reports.engine_beat_ms.load(Ordering::Relaxed);
        let silent = Duration::from_millis(self.milliseconds().saturating_sub(beat));
        !self.reports.engine_runs.load(Ordering::Relaxed) || silent < STUCK
    }

    /// Ready: as a leader everything has been listed, as a standby the lease is seen.
    ///
    /// # Errors
    /// What is missing.
    pub fn ready(&self) -> Result<(), NotReady> {
        let leadership = *self.leadership.borrow();
        if leadership.leading {
            return self.all_synced();
        }
        let now = self.clock.instant();
        let recently = leadership.seen.is_some_and(|seen| now.saturating_duration_since(seen) < self.lease);
        if recently { Ok(()) } else { Err(NotReady::NoLease) }
    }

    fn all_synced(&self) -> Result<(), NotReady> {
        let synced = self.reports.synced.load(Ordering::Relaxed);
        let missing: Vec<String> =
            Kind::ALL.into_iter().filter(|kind| synced & bit(*kind) == 0).map(|kind| format!("{kind:?}")).collect();
        if missing.is_empty() { Ok(()) } else { Err(NotReady::Syncing(missing.join(", "))) }
    }

    fn milliseconds(&self) -> u64 {
        u64::try_from(self.clock.now().0).unwrap_or(0)
    }
}

fn bit(kind: Kind) -> u8 {
    let place = Kind::ALL.iter().position(|other| *other == kind).unwrap_or(0);
    1 << place
}

#[cfg(test)]
mod tests {
    use super::*;

    fn health(leading: bool, seen: bool) -> Health {
        let clock = Clock::start();
        let mut leadership = Leadership::none(clock.instant());
        (leadership.leading, leadership.seen) = (leading, seen.then(|| clock.instant()));
        Health::new(clock, Duration::from_secs(15), watch::channel(leadership).1)
    }

    #[test]
    fn a_leader_is_ready_when_every_kind_is_synced() {
        let health = health(true, true);
        assert_eq!(health.ready().unwrap_err().to_string().split(':').next(), Some("not synced yet"));
        Kind::ALL.into_iter().for_each(|kind| health.synced(kind));
        assert_eq!(health.ready(), Ok(()));
    }

    #[test]
    fn a_standby_is_ready_while_it_sees_the_lease() {
        assert_eq!(health(false, true).ready(), Ok(()));
        assert_eq!(health(false, false).ready(), Err(NotReady::NoLease));
    }

    #[test]
    fn is_alive_before_the_engine_starts_and_while_it_beats() {
        let health = health(true, true);
        assert!(health.alive());
        health.beat();
        assert!(health.alive());
    }
}
