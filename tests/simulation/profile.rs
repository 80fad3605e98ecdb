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
    /// Something bad waits for its moment.
    pub(crate) ambushes: usize,
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
    /// In this order, one seed after the other.
    const NAMES: [&str; 10] =
        ["exact", "edited", "faulty", "crashing", "losing", "meddled", "leaving", "contended", "lagging", "everything"];

    /// The seeds that draw a profile.
    pub(crate) fn seeds(name: &str) -> impl Iterator<Item = u64> {
        let first = Self::NAMES.iter().position(|it| *it == name).expect("one of the names");
        (first as u64..).step_by(Self::NAMES.len())
    }

    pub(crate) fn draw(seed: u64, rng: &mut Rng) -> Self {
        let steps = 150 + rng.below(350);
        let eager = [5, 20, 60][rng.below(3)];
        let name = Self::NAMES[usize::try_from(seed % Self::NAMES.len() as u64).expect("an index")];
        let calm = Self { name, steps, eager, ..Self::default() };
        match name {
            "exact" => Self { exact: true, eager: 60, ..calm },
            "edited" => Self { edits: 6, leaps: 1, cuts: 1, ..calm },
            "faulty" => Self { faults: 250, edits: 2, cuts: 1, ..calm },
            "crashing" => {
                Self { faults: 120, crashes: 2, ambushes: 10, overlaps: 2, edits: 2, mishaps: 2, cuts: 1, ..calm }
            }
            "losing" => Self {
                steps: 2 * steps,
                faults: 80,
                losses: 2,
                crashes: 2,
                ambushes: 40,
                overlaps: 1,
                edits: 1,
                leaps: 1,
                ..calm
            },
            "meddled" => Self { faults: 80, meddling: 4, mishaps: 4, crashes: 1, ambushes: 5, cuts: 2, ..calm },
            "leaving" => {
                Self { faults: 80, namespaces: 3, quotas: 2, crashes: 1, ambushes: 5, leaps: 2, cuts: 1, ..calm }
            }
            "contended" => Self { steps: 2 * steps, eager: 60, overlaps: 4, ambushes: 10, ..calm },
            "lagging" => Self { faults: 60, cuts: 8, mishaps: 4, meddling: 1, crashes: 1, ambushes: 5, ..calm },
            _ => Self {
                faults: 150,
                crashes: 1,
                ambushes: 5,
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
