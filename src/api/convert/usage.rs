//! The bill, both ways.

use super::{api_time, model_time};
use crate::api::v1alpha1::{ClusterUsage, JobUsage, OperationUsage};
use crate::model::{Account, Amount, Usage, Warmth};

fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// What is below zero (the schema refuses it) is nothing.
fn amount(core_seconds: i64, gib_seconds: i64) -> Amount {
    let of = |number: i64| u64::try_from(number).unwrap_or(0);
    Amount { core_seconds: of(core_seconds), gib_seconds: of(gib_seconds) }
}

pub(super) fn job_usage(usage: Usage) -> JobUsage {
    JobUsage {
        granted_core_seconds: number(usage.granted.core_seconds),
        granted_memory_gib_seconds: number(usage.granted.gib_seconds),
        used_core_seconds: number(usage.used.core_seconds),
        used_memory_gib_seconds: number(usage.used.gib_seconds),
    }
}

pub(super) fn usage(usage: &JobUsage) -> Usage {
    Usage {
        granted: amount(usage.granted_core_seconds, usage.granted_memory_gib_seconds),
        used: amount(usage.used_core_seconds, usage.used_memory_gib_seconds),
    }
}

pub(super) fn operation_usage(account: Account) -> OperationUsage {
    let Usage { granted, used } = account.usage;
    OperationUsage {
        granted_core_seconds: number(granted.core_seconds),
        granted_memory_gib_seconds: number(granted.gib_seconds),
        used_core_seconds: number(used.core_seconds),
        used_memory_gib_seconds: number(used.gib_seconds),
        through: account.through,
    }
}

pub(super) fn operation_account(usage: &OperationUsage) -> Account {
    Account {
        usage: Usage {
            granted: amount(usage.granted_core_seconds, usage.granted_memory_gib_seconds),
            used: amount(usage.used_core_seconds, usage.used_memory_gib_seconds),
        },
        through: usage.through,
    }
}

pub(super) fn cluster_usage(account: Account, warmth: Option<Warmth>) -> ClusterUsage {
    let Usage { granted, used } = account.usage;
    ClusterUsage {
        granted_core_seconds: number(granted.core_seconds),
        granted_memory_gib_seconds: number(granted.gib_seconds),
        used_core_seconds: number(used.core_seconds),
        used_memory_gib_seconds: number(used.gib_seconds),
        warm_core_seconds: warmth.map(|warmth| number(warmth.amount.core_seconds)),
        warm_memory_gib_seconds: warmth.map(|warmth| number(warmth.amount.gib_seconds)),
        warm_until: warmth.map(|warmth| api_time(warmth.until)),
        through: account.through,
    }
}

pub(super) fn cluster_account(usage: &ClusterUsage) -> Account {
    Account {
        usage: Usage {
            granted: amount(usage.granted_core_seconds, usage.granted_memory_gib_seconds),
            used: amount(usage.used_core_seconds, usage.used_memory_gib_seconds),
        },
        through: usage.through,
    }
}

pub(super) fn warmth(usage: &ClusterUsage) -> Option<Warmth> {
    let amount = amount(usage.warm_core_seconds?, usage.warm_memory_gib_seconds?);
    Some(Warmth { amount, until: model_time(usage.warm_until.as_ref()?) })
}
