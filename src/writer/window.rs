//! How many requests may be in flight: grows by one a round trip while all goes well, halves when the API server is
//! overloaded. Pure.

use std::time::Duration;

use tokio::time::Instant;

/// One halving covers everything that was in flight when it happened.
const REST: Duration = Duration::from_secs(1);

/// Additive increase, multiplicative decrease.
#[derive(Debug, Clone)]
pub(super) struct Window {
    size: f64,
    most: f64,
    rests_until: Option<Instant>,
}

impl Window {
    /// Starts wide open.
    pub(super) fn new(most: u32) -> Self {
        let most = f64::from(most.max(1));
        Self { size: most, most, rests_until: None }
    }

    /// How wide it is now; for the metrics.
    pub(super) fn size(&self) -> f64 {
        self.size
    }

    /// Whether one more may start beside so many.
    pub(super) fn admits(&self, in_flight: usize) -> bool {
        let next = u32::try_from(in_flight + 1).map_or(f64::INFINITY, f64::from);
        next <= self.size
    }

    /// A request was answered.
    pub(super) fn answered(&mut self) {
        self.size = (self.size + 1.0 / self.size).min(self.most);
    }

    /// A request was turned away (429) or not answered in time.
    pub(super) fn overloaded(&mut self, now: Instant) {
        if self.rests_until.is_none_or(|until| until <= now) {
            self.size = (self.size / 2.0).max(1.0);
            self.rests_until = Some(now + REST);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn width(window: &Window) -> usize {
        (0..100).take_while(|in_flight| window.admits(*in_flight)).count()
    }

    #[test]
    fn halves_once_for_everything_that_was_in_flight_together() {
        let now = Instant::now();
        let mut window = Window::new(32);
        (0..20).for_each(|_| window.overloaded(now));
        assert_eq!(width(&window), 16);
        window.overloaded(now + REST);
        assert_eq!(width(&window), 8);
    }

    #[test]
    fn never_closes_altogether() {
        let mut now = Instant::now();
        let mut window = Window::new(4);
        for _ in 0..10 {
            window.overloaded(now);
            now += REST;
        }
        assert_eq!(width(&window), 1);
    }

    #[test]
    fn grows_by_about_one_in_each_round_trip_and_not_beyond_its_bound() {
        let mut window = Window::new(8);
        window.overloaded(Instant::now());
        assert_eq!(width(&window), 4);
        (0..5).for_each(|_| window.answered());
        assert_eq!(width(&window), 5);
        (0..1000).for_each(|_| window.answered());
        assert_eq!(width(&window), 8);
    }
}
