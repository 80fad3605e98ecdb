//! Numbers for /metrics: bounded in kind, without names of jobs.

use std::collections::BTreeMap;

use super::Engine;
use crate::model::{Amount, JobState, Name, WaitReason};

/// A snapshot of what the engine counts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Figures {
    /// Jobs by state.
    pub jobs: BTreeMap<JobState, u64>,
    /// Waiting jobs by the reason that comes first.
    pub waiting: BTreeMap<WaitReason, u64>,
    /// Applications that no job declared, by namespace.
    pub undeclared: BTreeMap<Name, u64>,
    /// What placeholders took since this keeper leads, by cluster.
    pub warm: BTreeMap<Name, Amount>,
    /// Bills in the ledger that are yet to be seen in their accounts.
    pub bills: u64,
    /// Runs that hold slots.
    pub live_runs: u64,
    /// Closed applications that still hold their names.
    pub tombstones: u64,
    /// The ledger's epoch.
    pub epoch: i64,
    /// Whether jobs may be admitted at present.
    pub admitting: bool,
}

impl Engine {
    /// Counts by walking queues, not jobs.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let mut waiting: BTreeMap<WaitReason, u64> = BTreeMap::new();
        for queue in self.gate.queues() {
            *waiting.entry(queue.reason).or_default() += queue.len() as u64;
        }
        let counted = self.strangers.sums().filter(|_| self.settings.counts_undeclared);
        Figures {
            undeclared: counted.map(|(namespace, sum)| (namespace.clone(), sum.number)).collect(),
            jobs: self.jobs.by_state().clone(),
            waiting,
            warm: self.warm_since(),
            bills: self.acknowledged.bills.len().saturating_sub(self.booked.len()) as u64,
            live_runs: self.runs.len() as u64,
            tombstones: self.tombstones.len() as u64,
            epoch: self.epoch,
            admitting: self.is_admitting(),
        }
    }
}
