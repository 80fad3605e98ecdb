//! The lease as the API server shows it, reduced to what deciding needs, and the writing of it.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use tokio::time::Instant;

/// One lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Who holds it; empty = nobody.
    pub holder: String,
    /// How long it is good for without a renewal.
    pub duration: Duration,
    /// Differs after each renewal. Opaque: never read as a time.
    pub mark: String,
}

/// A lease, and since when we have seen nothing new in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// As last seen.
    pub record: Record,
    /// Local monotonic time of the last look that showed something new.
    pub unchanged_since: Instant,
}

impl Observed {
    /// Seen for the first time.
    #[must_use]
    pub fn new(record: Record, now: Instant) -> Self {
        Self { record, unchanged_since: now }
    }

    /// Seen again.
    pub fn see(&mut self, record: Record, now: Instant) {
        if self.record != record {
            *self = Self::new(record, now);
        }
    }
}

/// What deciding needs of a lease. One without a specification is held by nobody.
pub(super) fn read(lease: &Lease, default_duration: Duration) -> Record {
    let spec = lease.spec.clone().unwrap_or_default();
    let seconds = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
    let renewed = spec.renew_time.map_or(String::new(), |time| time.0.to_string());
    Record {
        holder: spec.holder_identity.unwrap_or_default(),
        duration: seconds.map_or(default_duration, Duration::from_secs),
        mark: format!("{renewed} {}", spec.lease_transitions.unwrap_or(0)),
    }
}

/// A new lease, held by `me`.
pub(super) fn create(name: &str, namespace: &str, me: &str, duration: Duration, now: Timestamp) -> Lease {
    let metadata = ObjectMeta { name: Some(name.into()), namespace: Some(namespace.into()), ..ObjectMeta::default() };
    hold(&Lease { metadata, spec: None }, me, duration, now)
}

/// The same lease, held by `me` from now on. The resourceVersion stays: the write fails when anybody wrote in between.
pub(super) fn hold(lease: &Lease, me: &str, duration: Duration, now: Timestamp) -> Lease {
    let old = lease.spec.clone().unwrap_or_default();
    let kept = old.holder_identity.as_deref() == Some(me);
    let transitions = old.lease_transitions.unwrap_or(0);
    let taken_from_another = !kept && lease.metadata.resource_version.is_some();
    let spec = LeaseSpec {
        holder_identity: Some(me.into()),
        lease_duration_seconds: i32::try_from(duration.as_secs()).ok(),
        acquire_time: if kept { old.acquire_time } else { Some(MicroTime(now)) },
        renew_time: Some(MicroTime(now)),
        lease_transitions: Some(if taken_from_another { transitions.saturating_add(1) } else { transitions }),
        ..LeaseSpec::default()
    };
    Lease { metadata: bare(lease), spec: Some(spec) }
}

/// The same lease, held by nobody: whoever looks next takes it.
pub(super) fn release(lease: &Lease, now: Timestamp) -> Lease {
    let old = lease.spec.clone().unwrap_or_default();
    let spec = LeaseSpec {
        holder_identity: Some(String::new()),
        lease_duration_seconds: Some(1),
        renew_time: Some(MicroTime(now)),
        lease_transitions: old.lease_transitions,
        ..LeaseSpec::default()
    };
    Lease { metadata: bare(lease), spec: Some(spec) }
}

fn bare(lease: &Lease) -> ObjectMeta {
    ObjectMeta { managed_fields: None, ..lease.metadata.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(15);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn stored(mut lease: Lease) -> Lease {
        lease.metadata.resource_version = Some("7".into());
        lease
    }

    #[test]
    fn each_renewal_looks_different_to_others() {
        let first = stored(create("l", "ns", "me", LONG, at(1)));
        let second = hold(&first, "me", LONG, at(2));
        assert_ne!(read(&first, LONG).mark, read(&second, LONG).mark);
        assert_eq!(second.metadata.resource_version.as_deref(), Some("7"));
        assert_eq!(second.spec.unwrap().acquire_time, first.spec.unwrap().acquire_time);
    }

    #[test]
    fn only_a_change_of_holder_counts_as_a_transition() {
        let transitions = |lease: &Lease| lease.spec.as_ref().unwrap().lease_transitions;
        let first = stored(create("l", "ns", "a", LONG, at(1)));
        assert_eq!(transitions(&first), Some(0));
        assert_eq!(transitions(&hold(&first, "a", LONG, at(2))), Some(0));
        assert_eq!(transitions(&hold(&first, "b", LONG, at(2))), Some(1));
    }

    #[test]
    fn a_released_lease_has_no_holder() {
        let lease = release(&stored(create("l", "ns", "me", LONG, at(1))), at(2));
        assert_eq!(read(&lease, LONG).holder, "");
    }

    #[test]
    fn a_lease_without_specification_belongs_to_nobody() {
        let record = read(&Lease::default(), LONG);
        assert_eq!((record.holder.as_str(), record.duration), ("", LONG));
    }
}
