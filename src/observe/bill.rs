//! The bill as counters, by cluster and namespace; their number is bounded.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::IntCounterVec;

use super::metrics::OTHER_NAMESPACES;
use crate::model::{Amount, Name, Usage};

/// Pairs of a cluster and a namespace that are told apart; those that come later are counted together for each cluster.
const MOST_PAIRS: usize = 200;

/// What runs took, and what stood warm.
#[derive(Debug, Clone)]
pub struct BillMetrics {
    /// Core-seconds by cluster, namespace and kind.
    pub(super) core_seconds: IntCounterVec,
    /// GiB-seconds by the same.
    pub(super) gib_seconds: IntCounterVec,
    /// Core-seconds of placeholders by cluster.
    pub(super) warm_core_seconds: IntCounterVec,
    /// GiB-seconds of placeholders by cluster.
    pub(super) warm_gib_seconds: IntCounterVec,
    /// A counter that is told apart once is so for ever: it could not go down.
    pub(super) told_apart: Arc<Mutex<BTreeSet<(Name, Name)>>>,
}

impl BillMetrics {
    pub(super) fn count(&self, cluster: &Name, namespace: &Name, usage: Usage) {
        let label = if self.is_told_apart(cluster, namespace) { namespace } else { OTHER_NAMESPACES };
        for (kind, amount) in [("granted", usage.granted), ("used", usage.used)] {
            let labels = [cluster, label, kind];
            self.core_seconds.with_label_values(&labels).inc_by(amount.core_seconds);
            self.gib_seconds.with_label_values(&labels).inc_by(amount.gib_seconds);
        }
    }

    fn is_told_apart(&self, cluster: &Name, namespace: &Name) -> bool {
        let mut pairs = self.told_apart.lock().unwrap_or_else(PoisonError::into_inner);
        let pair = (cluster.clone(), namespace.clone());
        pairs.contains(&pair) || (pairs.len() < MOST_PAIRS && pairs.insert(pair))
    }

    /// So much since this process leads.
    pub(super) fn take_warm(&self, cluster: &Name, amount: Amount) {
        let counters = [(&self.warm_core_seconds, amount.core_seconds), (&self.warm_gib_seconds, amount.gib_seconds)];
        for (counter, reached) in counters.into_iter().filter(|(_, reached)| *reached > 0) {
            let counter = counter.with_label_values(&[&**cluster]);
            counter.inc_by(reached.saturating_sub(counter.get()));
        }
    }
}
