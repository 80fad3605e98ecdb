//! A shell or a world that is broken on purpose: the simulation has to notice each.
//!
//! Not among them: a ledger write of unknown outcome that is answered as done. The next compare-and-swap conflicts and the
//! read after it puts memory right; harm needs a crash and a second leader in between, and no seed tried has shown it.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mutant {
    /// As it should be.
    None,
    /// The ledger is written whatever version it has.
    IgnoresTheLedgersVersion,
    /// A ledger that is gone is answered as an empty one.
    TakesAMissingLedgerForAnEmptyOne,
    /// Applications get a new name with every attempt.
    CreatesUnderNewNames,
    /// Applications are not held by our finalizer.
    CreatesWithoutFinalizer,
    /// Quorum reads of a run show no pods: released on the application's word alone.
    ConfirmsWithoutLooking,
    /// Applications are deleted in the background only.
    DeletesInTheBackground,
    /// Statuses are written by name, whatever UID stands there.
    WritesStatusesByName,
    /// Some ends are answered as written, and are not.
    LosesEnds,
    /// The pod watch shows drivers only.
    HidesExecutors,
    /// Closed applications go at once, by somebody else's hand.
    RemovesTombstones,
    /// Lists are answered from a cache that is behind.
    ListsFromACache,
}

impl Mutant {
    pub(crate) const ALL: [Self; 11] = [
        Self::IgnoresTheLedgersVersion,
        Self::TakesAMissingLedgerForAnEmptyOne,
        Self::CreatesUnderNewNames,
        Self::CreatesWithoutFinalizer,
        Self::ConfirmsWithoutLooking,
        Self::DeletesInTheBackground,
        Self::WritesStatusesByName,
        Self::LosesEnds,
        Self::HidesExecutors,
        Self::RemovesTombstones,
        Self::ListsFromACache,
    ];
}
