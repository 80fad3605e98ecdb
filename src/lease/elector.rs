//! Carries out what [`evaluate`](super::evaluate) decides, on a client of its own, so that a busy API connection never
//! costs the lease. Knows the wire; decides nothing.

use std::collections::hash_map::RandomState;
use std::future::Future;
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::Client;
use kube::api::{Api, PostParams};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use super::record::{self, Observed};
use super::{Decision, Leadership, Timing, evaluate};
use crate::clock::Clock;
use crate::observe::words;

/// Why this process can not lead any more. Always fatal.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// Another process holds the lease.
    #[error("the lease was taken by {holder:?}")]
    Taken {
        /** Who. */
        holder: String,
    },
    /// It could not be renewed in time.
    #[error("the lease could not be renewed in time: {last}")]
    Expired {
        /** What the last attempt met. */
        last: String,
    },
}

/// How the election ended when nothing went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// We led, and gave the lease back.
    Released,
    /// We never led, or somebody else has it already.
    NothingToRelease,
}

/// The lease and the times: everything an elector needs to know.
#[derive(Debug, Clone)]
pub struct Term {
    /// Where the lease is.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Under which name we hold it.
    pub identity: String,
    /// The times.
    pub timing: Timing,
}

/// A name that no other process has, also not an earlier one of the same pod.
#[must_use]
pub fn unique_identity(pod: &str) -> String {
    let random = RandomState::new().build_hasher().finish();
    format!("{pod}_{:010x}", random & 0xff_ffff_ffff)
}

enum Attempt {
    Done,
    LostTo(String),
    Failed(String),
}

/// Takes part in the election.
pub struct Elector {
    api: Api<Lease>,
    clock: Clock,
    term: Term,
    publish: watch::Sender<Leadership>,
    observed: Option<Observed>,
    stored: Option<Lease>,
    /// A lease was there at some time: whoever creates it anew is not the first.
    met: bool,
    created: bool,
}

impl Elector {
    /// An elector on a client of its own, and the channel on which it says who leads.
    #[must_use]
    pub fn new(client: Client, clock: Clock, term: Term) -> (Self, watch::Receiver<Leadership>) {
        let (publish, receiver) = watch::channel(Leadership::none(clock.instant()));
        let api = Api::namespaced(client, &term.namespace);
        (Self { api, clock, term, publish, observed: None, stored: None, met: false, created: false }, receiver)
    }

    /// Takes part until `stop` ends; then gives the lease back. While it leads, it renews.
    ///
    /// # Errors
    /// When it led and does not any more. [`Leadership::leading`] is false before this returns.
    pub async fn run(mut self, stop: impl Future<Output = ()>) -> Result<Outcome, LeaseError> {
        let ended = {
            let taking_part = self.take_part();
            tokio::select! {
                error = taking_part => Some(error),
                () = stop => None,
            }
        };
        match ended {
            Some(error) => {
                self.publish.send_modify(|leadership| leadership.leading = false);
                Err(error)
            }
            None => Ok(self.release().await),
        }
    }

    async fn take_part(&mut self) -> LeaseError {
        loop {
            let attempted = self.clock.instant();
            let attempt = self.attempt(attempted).await;
            if let Some(error) = self.judge(attempt, attempted) {
                return error;
            }
            sleep_until(attempted + self.term.timing.retry).await;
        }
    }

    /// What an attempt means. An attempt counts from when it was *sent*: the others count from when it arrived.
    fn judge(&mut self, attempt: Attempt, sent: Instant) -> Option<LeaseError> {
        let was = *self.publish.borrow();
        match attempt {
            Attempt::Done => {
                let valid_until = sent + self.term.timing.renew_deadline;
                let first = if was.leading { was.first } else { self.created };
                let now = self.clock.instant();
                self.publish.send_replace(Leadership { leading: true, first, valid_until, seen: Some(now) });
                (valid_until <= now).then(|| LeaseError::Expired { last: "the answer came too late".into() })
            }
            Attempt::LostTo(holder) => was.leading.then_some(LeaseError::Taken { holder }),
            Attempt::Failed(last) => {
                tracing::warn!(error = %last, "lease not renewed");
                let expired = was.valid_until <= self.clock.instant();
                (was.leading && expired).then_some(LeaseError::Expired { last })
            }
        }
    }

    async fn attempt(&mut self, now: Instant) -> Attempt {
        if self.leading() {
            return match self.write_held().await {
                Ok(()) => Attempt::Done,
                Err(error) if is_conflict(&error) => self.look_and_act(now).await,
                Err(error) => Attempt::Failed(error.to_string()),
            };
        }
        self.look_and_act(now).await
    }

    async fn look_and_act(&mut self, now: Instant) -> Attempt {
        if let Err(error) = self.look().await {
            return Attempt::Failed(error.to_string());
        }
        let written = match evaluate(self.observed.as_ref(), &self.term.identity, now) {
            Decision::Wait { .. } => return Attempt::LostTo(self.holder()),
            Decision::TakeOver if self.leading() => return Attempt::LostTo(self.holder()),
            Decision::Create => self.create().await,
            Decision::Renew | Decision::TakeOver => self.write_held().await,
        };
        match written {
            Ok(()) => Attempt::Done,
            Err(error) => Attempt::Failed(error.to_string()),
        }
    }

    /// What is new in the answer is new since it came, not since it was asked for: the holder may have renewed in
    /// between, and its time counts from then.
    async fn look(&mut self) -> Result<(), Wire> {
        let found = self.within(self.api.get_opt(&self.term.name)).await?;
        let now = self.clock.instant();
        self.publish.send_modify(|leadership| leadership.seen = Some(now));
        match &found {
            None => self.observed = None,
            Some(lease) => {
                self.met = true;
                let record = record::read(lease, self.term.timing.lease);
                match &mut self.observed {
                    Some(observed) => observed.see(record, now),
                    None => self.observed = Some(Observed::new(record, now)),
                }
            }
        }
        self.stored = found;
        Ok(())
    }

    async fn create(&mut self) -> Result<(), Wire> {
        let Term { namespace, name, identity, timing } = &self.term;
        let lease = record::create(name, namespace, identity, timing.lease, self.timestamp());
        // Set before the answer: if it is lost, the lease that is then found to be ours was still created by us.
        self.created = !self.met;
        let params = PostParams::default();
        let stored = self.within(self.api.create(&params, &lease)).await;
        if matches!(&stored, Err(Wire::Api(error)) if !is_lost(error)) {
            self.created = false;
        }
        self.keep(stored?);
        Ok(())
    }

    async fn write_held(&mut self) -> Result<(), Wire> {
        let Some(stored) = &self.stored else { return self.create().await };
        let Term { name, identity, timing, .. } = &self.term;
        if stored.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref()) != Some(identity) {
            self.created = false;
        }
        let lease = record::hold(stored, identity, timing.lease, self.timestamp());
        let params = PostParams::default();
        let stored = self.within(self.api.replace(name, &params, &lease)).await?;
        self.keep(stored);
        Ok(())
    }

    async fn release(&mut self) -> Outcome {
        let led = self.leading();
        self.publish.send_modify(|leadership| leadership.leading = false);
        let Some(stored) = self.stored.take().filter(|_| led) else { return Outcome::NothingToRelease };
        let lease = record::release(&stored, self.timestamp());
        let params = PostParams::default();
        match self.within(self.api.replace(&self.term.name, &params, &lease)).await {
            Ok(_) => Outcome::Released,
            Err(error) => {
                tracing::warn!(%error, "lease not released: the next leader waits for it to expire");
                Outcome::NothingToRelease
            }
        }
    }

    fn keep(&mut self, stored: Lease) {
        let record = record::read(&stored, self.term.timing.lease);
        self.observed = Some(Observed::new(record, self.clock.instant()));
        self.stored = Some(stored);
    }

    fn leading(&self) -> bool {
        self.publish.borrow().leading
    }

    fn holder(&self) -> String {
        self.observed.as_ref().map(|observed| observed.record.holder.clone()).unwrap_or_default()
    }

    fn timestamp(&self) -> Timestamp {
        Timestamp::from_millisecond(self.clock.now().0).unwrap_or_default()
    }

    async fn within<T>(&self, request: impl Future<Output = kube::Result<T>>) -> Result<T, Wire> {
        let longest = self.term.timing.renew_deadline / 2;
        let leadership = *self.publish.borrow();
        let left = leadership.valid_until.saturating_duration_since(self.clock.instant());
        let limit = if leadership.leading { longest.min(left).max(Duration::from_millis(1)) } else { longest };
        match timeout(limit, request).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(Wire::TimedOut(limit)),
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum Wire {
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    #[error("{}", words(.0))]
    Api(#[from] kube::Error),
}

fn is_conflict(error: &Wire) -> bool {
    matches!(error, Wire::Api(kube::Error::Api(status)) if status.code == 409 || status.code == 404)
}

/// Whether the answer was lost, so that the request may have worked.
fn is_lost(error: &kube::Error) -> bool {
    !matches!(error, kube::Error::Api(status) if status.code < 500)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_identities_are_equal() {
        let (one, two) = (unique_identity("pod"), unique_identity("pod"));
        assert_ne!(one, two);
        assert!(one.starts_with("pod_") && one.len() == 14, "{one}");
    }
}
