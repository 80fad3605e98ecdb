//! What may happen in a case, and how often: drawn from the seed.

use crate::rng::Rng;

/// Frequencies are weights of what is drawn next; `faults` is per mille of the requests.
#[derive(Debug, Clone, Default)]
pub(crate) struct Profile {
    pub(crate) name: &'static str,
    pub(crate) steps: usize,
    /// Nothing goes wrong: statuses have to tell exactly what happened.
    pub(crate) exact: bool,
    /// How eagerly news is carried and requests are sent.
    pub(crate) eager: usize,
    pub(crate) faults: u32,
    pub(crate) crashes: usize,
    pub(crate) overlaps: usize,
    /// The ledger is deleted or put back to an older copy.
    pub(crate) losses: usize,
    /// Limits, capacities, holds and sizes are edited.
    pub(crate) edits: usize,
    /// Somebody deletes children, or strips their finalizers.
    pub(crate) meddling: usize,
    /// Drivers vanish, the operator lies or is down.
    pub(crate) mishaps: usize,
    /// Namespaces are relabelled, deleted and made again.
    pub(crate) namespaces: usize,
    /// Quotas refuse applications.
    pub(crate) quotas: usize,
    /// Watches are cut and list anew.
    pub(crate) cuts: usize,
    /// Time leaps by minutes or hours.
    pub(crate) leaps: usize,
}

impl Profile {
    pub(crate) fn draw(seed: u64, rng: &mut Rng) -> Self {
        let steps = 150 + rng.below(350);
        let eager = [5, 20, 60][rng.below(3)];
        let calm = Self { name: "calm", steps, eager, ..Self::default() };
        match seed % 9 {
            0 => Self { name: "exact", exact: true, eager: 60, ..calm },
            1 => Self { name: "edited", edits: 6, leaps: 1, cuts: 1, ..calm },
            2 => Self { name: "faulty", faults: 250, edits: 2, cuts: 1, ..calm },
            3 => Self { name: "crashing", faults: 120, crashes: 2, overlaps: 2, edits: 2, mishaps: 2, cuts: 1, ..calm },
            4 => Self { name: "losing", faults: 80, losses: 2, crashes: 2, overlaps: 1, edits: 1, leaps: 1, ..calm },
            5 => Self { name: "meddled", faults: 80, meddling: 4, mishaps: 4, crashes: 1, cuts: 2, ..calm },
            6 => Self { name: "leaving", faults: 80, namespaces: 3, quotas: 2, crashes: 1, leaps: 2, cuts: 1, ..calm },
            7 => Self { name: "contended", steps: 2 * steps, eager: 60, overlaps: 4, ..calm },
            _ => Self {
                name: "everything",
                faults: 150,
                crashes: 1,
                overlaps: 1,
                losses: 1,
                edits: 3,
                meddling: 2,
                mishaps: 2,
                namespaces: 1,
                quotas: 1,
                cuts: 1,
                leaps: 1,
                ..calm
            },
        }
    }
}
