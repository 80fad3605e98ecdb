//! Who leads. [`evaluate`] is pure: from the lease as last seen and the local monotonic clock it says what to do next.
//! [`elector::Elector`] carries that out. Nothing here knows what leading is good for.
//!
//! A lease does not fence: two processes can both believe to lead for a moment (a stopped process that wakes up).
//! What keeps the promises is the ledger; the lease keeps the peace.

pub mod elector;
mod fence;
mod record;
mod seize;

use std::time::Duration;

use tokio::time::Instant;

pub use elector::{Elector, LeaseError, Outcome, Term};
pub use fence::{Fence, Leadership};
pub use record::{Observed, Record};
pub use seize::seize;

/// What to do next about the lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// There is none: create it.
    Create,
    /// It is ours: renew it.
    Renew,
    /// Nobody holds it, or its holder has not renewed it in time: take it.
    TakeOver,
    /// Somebody holds it; unless it changes, it is free then.
    Wait {
        /** When. */
        until: Instant,
    },
}

/// Decides by how long *we* have seen the record unchanged, never by the times that stand in it: another machine's
/// clock wrote those.
#[must_use]
pub fn evaluate(lease: Option<&Observed>, me: &str, now: Instant) -> Decision {
    let Some(lease) = lease else { return Decision::Create };
    let record = &lease.record;
    if record.holder == me {
        return Decision::Renew;
    }
    let until = lease.unchanged_since + record.duration;
    if record.holder.is_empty() || until <= now { Decision::TakeOver } else { Decision::Wait { until } }
}

/// The times of the election.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Others take over when the lease has not changed for this long.
    pub lease: Duration,
    /// We stop leading when we could not renew for this long.
    pub renew_deadline: Duration,
    /// How often we look at the lease or renew it.
    pub retry: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(holder: &str, mark: &str) -> Record {
        Record { holder: holder.into(), duration: Duration::from_secs(15), mark: mark.into() }
    }

    fn after(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn creates_what_is_not_there_and_renews_its_own() {
        let now = Instant::now();
        assert_eq!(evaluate(None, "me", now), Decision::Create);
        let mine = Observed::new(record("me", "1"), now);
        assert_eq!(evaluate(Some(&mine), "me", after(now, 1000)), Decision::Renew);
    }

    #[test]
    fn takes_a_released_lease_at_once() {
        let now = Instant::now();
        let released = Observed::new(record("", "1"), now);
        assert_eq!(evaluate(Some(&released), "me", now), Decision::TakeOver);
    }

    #[test]
    fn waits_for_another_holder_until_its_time_has_passed_here() {
        let start = Instant::now();
        let theirs = Observed::new(record("them", "1"), start);
        let until = after(start, 15);
        assert_eq!(evaluate(Some(&theirs), "me", after(start, 14)), Decision::Wait { until });
        assert_eq!(evaluate(Some(&theirs), "me", until), Decision::TakeOver);
    }

    #[test]
    fn a_renewal_starts_the_wait_anew_and_a_second_look_at_the_same_record_does_not() {
        let start = Instant::now();
        let mut theirs = Observed::new(record("them", "1"), start);
        theirs.see(record("them", "1"), after(start, 10));
        assert_eq!(theirs.unchanged_since, start);
        theirs.see(record("them", "2"), after(start, 12));
        assert_eq!(evaluate(Some(&theirs), "me", after(start, 20)), Decision::Wait { until: after(start, 27) });
    }
}
