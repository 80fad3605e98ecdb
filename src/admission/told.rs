//! What is said of a cluster to everybody who waits for it: composed once for all readers of a namespace, until it changes.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use crate::model::{Blocker, Name};

/// What is said to the jobs of each namespace that has runs on a cluster, and to those of others: names of jobs are told to their
/// own namespace only.
#[derive(Debug, Default)]
pub(super) struct Told {
    with_runs: BTreeMap<Name, OnceLock<Arc<Blocker>>>,
    others: OnceLock<Arc<Blocker>>,
}

impl Told {
    /// What was said does not hold any more.
    pub(super) fn forget<'a>(&mut self, with_runs: impl Iterator<Item = &'a Name>) {
        self.with_runs = with_runs.map(|namespace| (namespace.clone(), OnceLock::new())).collect();
        self.others = OnceLock::new();
    }

    /// What is said to a namespace.
    pub(super) fn to(&self, reader: &Name, compose: impl FnOnce() -> Blocker) -> Arc<Blocker> {
        self.with_runs.get(reader).unwrap_or(&self.others).get_or_init(|| Arc::new(compose())).clone()
    }
}
