//! Bills as they stand in the ledger.

use super::holder::{escaped, unescaped};
use crate::model::{Amount, BillKey, ObjectKey, Usage};

/// `12/jobs/daily/business`.
pub(super) fn bill_key(key: &BillKey) -> String {
    let BillKey { sequence, operation, cluster } = key;
    format!("{sequence}/{}/{}/{}", escaped(&operation.namespace), escaped(&operation.name), escaped(cluster))
}

/// What a key is for; `None` when no keeper writes such a key.
pub(super) fn bill_of(key: &str) -> Option<BillKey> {
    let mut parts = key.split('/');
    let sequence = parts.next()?.parse().ok()?;
    let mut name = || unescaped(parts.next()?);
    let operation = ObjectKey { namespace: name()?, name: name()? };
    let cluster = name()?;
    parts.next().is_none().then_some(BillKey { sequence, operation, cluster })
}

/// `granted=120/480 used=100/400`: core-seconds and GiB-seconds.
pub(super) fn bill_text(usage: Usage) -> String {
    let Usage { granted, used } = usage;
    let [cores, gib] = [granted.core_seconds, granted.gib_seconds];
    format!("granted={cores}/{gib} used={}/{}", used.core_seconds, used.gib_seconds)
}

/// What a text says; `None` when no keeper writes it.
pub(super) fn bill_usage(text: &str) -> Option<Usage> {
    let (granted, used) = text.strip_prefix("granted=")?.split_once(" used=")?;
    Some(Usage { granted: amount(granted)?, used: amount(used)? })
}

fn amount(text: &str) -> Option<Amount> {
    let (core_seconds, gib_seconds) = text.split_once('/')?;
    Some(Amount { core_seconds: core_seconds.parse().ok()?, gib_seconds: gib_seconds.parse().ok()? })
}
