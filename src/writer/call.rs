//! One request: checked against the lease right before it is sent, bounded in time by it, counted. Never repeated.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::timeout;

use super::outcome::{Verdict, already_exists, classify};
use crate::clock::Clock;
use crate::command::Failure;
use crate::lease::Fence;
use crate::observe::Metrics;

/// Sends requests. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Caller {
    clock: Clock,
    fence: Fence,
    longest: Duration,
    metrics: Metrics,
    overloaded: Arc<AtomicBool>,
}

/// How a creation ended when the API server answered it.
pub(super) enum Creation<T> {
    /// It is new.
    New(T),
    /// Something stands under the name already.
    Taken,
}

impl Caller {
    /// A caller whose requests take at most so long, and never longer than the lease is good for.
    #[must_use]
    pub fn new(clock: Clock, fence: Fence, longest: Duration, metrics: Metrics) -> Self {
        Self { clock, fence, longest, metrics, overloaded: Arc::default() }
    }

    /// Sends one request. `verb` and `kind` are for the metrics.
    pub(super) async fn call<T>(
        &self,
        verb: &'static str,
        kind: &'static str,
        request: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, Failure> {
        match self.send(verb, kind, request, false).await? {
            Creation::New(answer) => Ok(answer),
            Creation::Taken => Err(Failure::Conflict("409 already exists".into())),
        }
    }

    /// Sends one creation; a name that is taken is an answer, not a failure.
    pub(super) async fn create<T>(
        &self,
        kind: &'static str,
        request: impl Future<Output = kube::Result<T>>,
    ) -> Result<Creation<T>, Failure> {
        self.send("create", kind, request, true).await
    }

    async fn send<T>(
        &self,
        verb: &'static str,
        kind: &'static str,
        request: impl Future<Output = kube::Result<T>>,
        creation: bool,
    ) -> Result<Creation<T>, Failure> {
        let sent = self.clock.instant();
        let Some(left) = self.fence.remaining(sent) else { return Err(Verdict::fenced().failure) };
        let answer = timeout(left.min(self.longest), request).await;
        let seconds = self.clock.instant().saturating_duration_since(sent).as_secs_f64();
        let outcome = match answer {
            Ok(Ok(answer)) => Ok(Creation::New(answer)),
            Ok(Err(error)) if creation && already_exists(&error) => Ok(Creation::Taken),
            Ok(Err(error)) => Err(classify(&error)),
            Err(_) => Err(Verdict::timed_out()),
        };
        let word = outcome.as_ref().map_or_else(|verdict| failure_word(&verdict.failure), |_| "ok");
        self.metrics.requests.with_label_values(&[verb, kind, word]).observe(seconds);
        tracing::trace!(verb, kind, outcome = word, seconds, "a request");
        outcome.map_err(|verdict| {
            self.overloaded.fetch_or(verdict.overloaded, Ordering::Relaxed);
            verdict.failure
        })
    }

    /// Whether the API server was overloaded since this was asked last.
    pub(super) fn take_overloaded(&self) -> bool {
        self.overloaded.swap(false, Ordering::Relaxed)
    }
}

/// The word in metrics.
pub(super) fn failure_word(failure: &Failure) -> &'static str {
    match failure {
        Failure::Unknown(_) => "unknown",
        Failure::NotSent(_) => "not_sent",
        Failure::Conflict(_) => "conflict",
        Failure::Gone => "gone",
        Failure::KindMissing => "kind_missing",
        Failure::NamespaceTerminating => "terminating",
        Failure::Denied(_) => "denied",
        Failure::GrantOutdated => "outdated",
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::watch;

    use super::*;
    use crate::lease::Leadership;

    fn caller(leading: bool, valid: Duration) -> Caller {
        let clock = Clock::start();
        let mut leadership = Leadership::none(clock.instant());
        (leadership.leading, leadership.valid_until) = (leading, clock.instant() + valid);
        let fence = Fence::new(watch::channel(leadership).1);
        Caller::new(clock, fence, Duration::from_millis(50), Metrics::new())
    }

    #[tokio::test]
    async fn nothing_is_sent_without_the_lease() {
        let request = async { panic!("it was sent") };
        let answer: Result<(), _> = caller(false, Duration::from_secs(9)).call("get", "Pod", request).await;
        assert!(matches!(answer, Err(Failure::NotSent(_))));
        let request = async { panic!("it was sent") };
        let answer: Result<(), _> = caller(true, Duration::ZERO).call("get", "Pod", request).await;
        assert!(matches!(answer, Err(Failure::NotSent(_))));
    }

    #[tokio::test]
    async fn an_answer_that_does_not_come_is_unknown_and_a_sign_of_overload() {
        let caller = caller(true, Duration::from_secs(9));
        let answer: Result<(), _> = caller.call("get", "Pod", std::future::pending()).await;
        assert!(matches!(answer, Err(Failure::Unknown(_))));
        assert!(caller.take_overloaded() && !caller.take_overloaded());
    }
}
