//! What the rest of the keeper sees of the lease: whether it leads, and until when it may still send something.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// Whether this process leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leadership {
    /// It does.
    pub leading: bool,
    /// The lease was created, not taken over: nobody can have led before.
    pub first: bool,
    /// Nothing may be sent from then on, unless the lease is renewed.
    pub valid_until: Instant,
    /// When the lease was last seen at all, led or not.
    pub seen: Option<Instant>,
}

impl Leadership {
    /// Not leading, lease never seen.
    #[must_use]
    pub fn none(now: Instant) -> Self {
        Self { leading: false, first: false, valid_until: now, seen: None }
    }
}

/// Asked right before each request is sent. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Fence {
    leadership: watch::Receiver<Leadership>,
}

impl Fence {
    /// A fence that follows the elector.
    #[must_use]
    pub fn new(leadership: watch::Receiver<Leadership>) -> Self {
        Self { leadership }
    }

    /// How long a request may still take; `None` = nothing may be sent.
    #[must_use]
    pub fn remaining(&self, now: Instant) -> Option<Duration> {
        let leadership = *self.leadership.borrow();
        let left = leadership.valid_until.checked_duration_since(now).filter(|left| !left.is_zero())?;
        leadership.leading.then_some(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_for_the_leader_only_and_closes_by_itself() {
        let now = Instant::now();
        let ten = Duration::from_secs(10);
        let (sender, receiver) = watch::channel(Leadership::none(now));
        let fence = Fence::new(receiver);
        assert_eq!(fence.remaining(now), None);
        sender.send_modify(|leadership| (leadership.leading, leadership.valid_until) = (true, now + ten));
        assert_eq!(fence.remaining(now), Some(ten));
        assert_eq!(fence.remaining(now + ten), None);
        sender.send_modify(|leadership| leadership.leading = false);
        assert_eq!(fence.remaining(now), None);
    }
}
