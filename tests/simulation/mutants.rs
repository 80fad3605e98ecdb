//! A shell or a world that is broken on purpose: the simulation has to notice each.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mutant {
    /// As it should be.
    None,
    /// The ledger is written whatever version it has.
    IgnoresTheLedgersVersion,
    /// A ledger write of which nobody knows the outcome is answered as done.
    TakesUnknownWritesForDone,
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
    /// Lists of applications are answered from a cache that is behind.
    ListsFromACache,
    /// Neither the ledger nor the applications say which permits a run holds.
    ForgetsLocks,
    /// The ledger keeps no bills.
    ForgetsBills,
    /// Accounts are written once more, late, and the API server lets them go back by that.
    LetsAccountsGoBack,
    /// An account does not say which bills it contains.
    HidesWhatIsBooked,
}

impl Mutant {
    pub(crate) const ALL: [Self; 16] = [
        Self::IgnoresTheLedgersVersion,
        Self::TakesUnknownWritesForDone,
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
        Self::ForgetsLocks,
        Self::ForgetsBills,
        Self::LetsAccountsGoBack,
        Self::HidesWhatIsBooked,
    ];

    /// The profile in which it can do harm most easily.
    pub(crate) fn home(self) -> &'static str {
        match self {
            Self::None => "everything",
            Self::TakesAMissingLedgerForAnEmptyOne | Self::ListsFromACache => "losing",
            Self::TakesUnknownWritesForDone | Self::CreatesWithoutFinalizer | Self::ConfirmsWithoutLooking => "meddled",
            Self::ForgetsBills | Self::HidesWhatIsBooked => "crashing",
            Self::LetsAccountsGoBack => "contended",
            Self::ForgetsLocks
            | Self::IgnoresTheLedgersVersion
            | Self::CreatesUnderNewNames
            | Self::DeletesInTheBackground
            | Self::WritesStatusesByName
            | Self::LosesEnds
            | Self::HidesExecutors
            | Self::RemovesTombstones => "contended",
        }
    }
}
