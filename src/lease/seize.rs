//! Taking a lease away, whoever holds it: for a process that shall make everybody stop.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, PostParams};

use super::record;

const TRIES: usize = 10;

/// Holds the lease from now on, for `duration`, and says who held it before; `None` where there is no lease. Its holder
/// ends as soon as it wants to renew.
///
/// # Errors
/// What the API server says; its last word when others wrote in between, again and again.
pub async fn seize(
    leases: &Api<Lease>,
    name: &str,
    me: &str,
    duration: Duration,
) -> Result<Option<String>, kube::Error> {
    let mut tries = 0;
    loop {
        let Some(lease) = leases.get_opt(name).await? else { return Ok(None) };
        let before = record::read(&lease, duration).holder;
        tries += 1;
        match leases.replace(name, &PostParams::default(), &record::hold(&lease, me, duration, Timestamp::now())).await
        {
            Err(kube::Error::Api(status)) if status.code == 409 && tries < TRIES => {}
            other => return other.map(|_| Some(before)),
        }
    }
}
