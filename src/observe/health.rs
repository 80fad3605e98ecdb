//! Whether the keeper is alive and ready, as the tasks report it themselves: nothing here asks them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
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
    /// Which start of the watches reports by this one.
    start: u64,
}

#[derive(Debug, Default)]
struct Reports {
    /// The start of the watches that counts, and, in the lowest byte, the kinds that it has listed.
    synced: AtomicU64,
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
        Self { clock, lease, leadership, reports: Arc::default(), start: 0 }
    }

    /// The watches start anew: nothing is synced, and only what reports by the returned one counts from now on.
    #[must_use]
    pub fn restarted(&self) -> Self {
        let before = self.reports.synced.load(Ordering::Relaxed) >> KIND_BITS;
        let start = before + 1;
        self.reports.synced.store(start << KIND_BITS, Ordering::Relaxed);
        Self { start, ..self.clone() }
    }

    /// A kind has been listed completely (or is known not to exist).
    pub fn synced(&self, kind: Kind) {
        let add = |synced: u64| (synced >> KIND_BITS == self.start).then_some(synced | bit(kind));
        // What a watch of an earlier start says does not count any more.
        let _ = self.reports.synced.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
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
        let missing: Vec<String> = Kind::ALL
            .into_iter()
            .filter(|kind| kind.is_awaited() && synced & bit(*kind) == 0)
            .map(|kind| format!("{kind:?}"))
            .collect();
        if missing.is_empty() { Ok(()) } else { Err(NotReady::Syncing(missing.join(", "))) }
    }

    fn milliseconds(&self) -> u64 {
        u64::try_from(self.clock.now().0).unwrap_or(0)
    }
}

/// Room for a bit of each kind.
const KIND_BITS: u32 = 8;

fn bit(kind: Kind) -> u64 {
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
    fn nothing_is_synced_when_the_watches_start_anew_whatever_the_old_ones_say() {
        let health = health(true, true);
        let old = health.restarted();
        Kind::ALL.into_iter().for_each(|kind| old.synced(kind));
        assert_eq!(health.ready(), Ok(()));
        let new = health.restarted();
        Kind::ALL.into_iter().for_each(|kind| old.synced(kind));
        assert!(health.ready().is_err());
        Kind::ALL.into_iter().for_each(|kind| new.synced(kind));
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
