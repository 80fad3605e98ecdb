//! What a platform team may set and the core needs.

use std::collections::BTreeMap;

use super::{Hold, Name, Span};

/// The core's part of the settings file; every value has a default that suits a production cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How long a job that does not fit is passed over before room is reserved for it.
    pub waiting_bound: Span,
    /// How much longer a job has to have waited to stand equal to one of the next higher class.
    pub aging: Span,
    /// How long nothing is admitted after the ledger was lost, and how long a refused create is tried again.
    pub quarantine: Span,
    /// How long a job that may take much of a cluster waits for others that come with it, to be decided on together.
    pub gathering: Span,
    /// How long a closed run's `SparkApplication` stays as its own tombstone.
    pub tombstone: Span,
    /// How many tombstones may stay; the oldest go first, none younger than five minutes.
    pub max_tombstones: usize,
    /// A state that lasts shorter than this is not written to a job's status.
    pub status_delay: Span,
    /// How often the details of a waiting job near the head may be written again.
    pub detail_interval: Span,
    /// How long pods may outlive their run's end before the application is deleted to remove them.
    pub lingering: Span,
    /// Within what time of its grant a run's driver has to run, where neither the job nor its operation says.
    pub start_timeout: Span,
    /// How long an application may stay untouched by the spark-operator before it counts as absent.
    pub operator_absent: Span,
    /// Nothing starts anywhere while this is set; what runs goes on.
    pub held: Option<Hold>,
    /// Permits of the locks that hold everywhere.
    pub locks: BTreeMap<Name, u32>,
    /// Applications that no job declared are counted and reported.
    pub counts_undeclared: bool,
    /// Runs that the ledger may hold at once.
    pub max_live_runs: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            waiting_bound: Span::seconds(600),
            aging: Span::seconds(86_400),
            quarantine: Span::seconds(60),
            gathering: Span::seconds(1),
            tombstone: Span::seconds(3600),
            max_tombstones: 1000,
            status_delay: Span::seconds(2),
            detail_interval: Span::seconds(30),
            lingering: Span::seconds(10),
            start_timeout: Span::seconds(600),
            operator_absent: Span::seconds(60),
            held: None,
            locks: BTreeMap::new(),
            counts_undeclared: true,
            max_live_runs: 1000,
        }
    }
}
