//! The bill: what was taken over time, in core-seconds and GiB-seconds. See `docs/decisions/0014-the-pool.md`, section 3.

use super::name::{Name, ObjectKey};
use super::resources::PodSize;
use super::{Holder, Ledger, Span, Time};

/// Cores and memory over time, exactly: thousandths of a core and MiB, each times milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Spent {
    milli_cores: u128,
    memory_mib: u128,
}

const CORE_SECOND: u128 = 1000 * 1000;
const GIB_SECOND: u128 = 1024 * 1000;

impl Spent {
    /// So much for so long; a span below zero, which only a clock that was set back gives, is nothing.
    #[must_use]
    pub fn of(size: PodSize, span: Span) -> Self {
        let span = u128::try_from(span.0).unwrap_or(0);
        let over = |amount: u64| u128::from(amount).saturating_mul(span);
        Self { milli_cores: over(size.milli_cores), memory_mib: over(size.memory_mib) }
    }

    /// The sum.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            milli_cores: self.milli_cores.saturating_add(other.milli_cores),
            memory_mib: self.memory_mib.saturating_add(other.memory_mib),
        }
    }

    /// In whole units, rounded up: each run is billed so, and sums of bills are exact.
    #[must_use]
    pub fn billed(self) -> Amount {
        Amount {
            core_seconds: whole(self.milli_cores.div_ceil(CORE_SECOND)),
            gib_seconds: whole(self.memory_mib.div_ceil(GIB_SECOND)),
        }
    }

    /// In whole units that have been reached: what goes on is counted so.
    #[must_use]
    pub fn reached(self) -> Amount {
        Amount { core_seconds: whole(self.milli_cores / CORE_SECOND), gib_seconds: whole(self.memory_mib / GIB_SECOND) }
    }
}

impl From<Amount> for Spent {
    fn from(amount: Amount) -> Self {
        Self {
            milli_cores: u128::from(amount.core_seconds) * CORE_SECOND,
            memory_mib: u128::from(amount.gib_seconds) * GIB_SECOND,
        }
    }
}

fn whole(number: u128) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX).min(Amount::MOST)
}

/// Whole core-seconds and GiB-seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Amount {
    /// Cores times seconds.
    pub core_seconds: u64,
    /// GiB of memory times seconds.
    pub gib_seconds: u64,
}

impl Amount {
    /// The most that is written: as much as every reader of JSON takes for a whole number, and far more than there is.
    pub const MOST: u64 = (1 << 53) - 1;

    /// The sum.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let sum = |one: u64, other: u64| one.saturating_add(other).min(Self::MOST);
        Self {
            core_seconds: sum(self.core_seconds, other.core_seconds),
            gib_seconds: sum(self.gib_seconds, other.gib_seconds),
        }
    }

    /// What is left without `other`, never below zero.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self {
            core_seconds: self.core_seconds.saturating_sub(other.core_seconds),
            gib_seconds: self.gib_seconds.saturating_sub(other.gib_seconds),
        }
    }

    /// The larger of each.
    #[must_use]
    pub fn at_least(self, other: Self) -> Self {
        Self {
            core_seconds: self.core_seconds.max(other.core_seconds),
            gib_seconds: self.gib_seconds.max(other.gib_seconds),
        }
    }
}

/// What runs took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Usage {
    /// Reserved for them, from their grants until they were closed.
    pub granted: Amount,
    /// Requested by their pods, from their starts to their ends.
    pub used: Amount,
}

impl Usage {
    /// The bill of a run that was closed then, whose pods were seen to take so much.
    #[must_use]
    pub fn of(holder: &Holder, closed: Time, used: Spent) -> Self {
        let granted = Spent::of(holder.resources().requested(), closed - holder.granted);
        Self { granted: granted.billed(), used: used.billed() }
    }

    /// The sum.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self { granted: self.granted.plus(other.granted), used: self.used.plus(other.used) }
    }

    /// What is left without `other`, never below zero.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self { granted: self.granted.minus(other.granted), used: self.used.minus(other.used) }
    }
}

/// Which runs a bill in the ledger is for: those of an operation on a cluster that left it with one write.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BillKey {
    /// Number of that write: later bills sort behind earlier ones.
    pub sequence: i64,
    /// The operation.
    pub operation: ObjectKey,
    /// The cluster.
    pub cluster: Name,
}

/// The account of an operation or of a cluster: what it came to, and which bills that contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Account {
    /// The sum of its bills.
    pub usage: Usage,
    /// Every bill of its own up to the write with this number is contained, and none behind it.
    pub through: i64,
}

impl Account {
    /// This account with all of its bills that the ledger has and that it does not contain yet. What comes out follows from
    /// `through` alone: whoever computes it, and however often, from whichever of the accounts before.
    #[must_use]
    pub fn with_bills<'a>(self, ledger: &'a Ledger, is_its: impl Fn(&'a BillKey) -> bool) -> Self {
        let behind = BillKey {
            sequence: self.through.saturating_add(1),
            operation: ObjectKey::default(),
            cluster: Name::default(),
        };
        let own = ledger.bills.range(behind..).filter(|(key, _)| is_its(key));
        own.fold(self, |sum, (key, usage)| Self { usage: sum.usage.plus(*usage), through: key.sequence })
    }

    /// The one of two words of the same account that contains more.
    #[must_use]
    pub fn latest(self, other: Self) -> Self {
        if other.through >= self.through { other } else { self }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::model::{Footprint, Locks};

    const POD: PodSize = PodSize { milli_cores: 1500, memory_mib: 3 * 1024 };

    #[test]
    fn a_bill_is_rounded_up_and_what_goes_on_is_not() {
        let spent = Spent::of(POD, Span(1001));
        assert_eq!(spent.billed(), Amount { core_seconds: 2, gib_seconds: 4 });
        assert_eq!(spent.reached(), Amount { core_seconds: 1, gib_seconds: 3 });
        assert_eq!(Spent::of(POD, Span(-5)).billed(), Amount::default());
        assert_eq!(Spent::from(spent.reached()).reached(), spent.reached());
    }

    #[test]
    fn a_run_is_billed_for_its_driver_and_all_that_was_granted() {
        let holder = Holder {
            job: ObjectKey::new("jobs", "a"),
            operation: "daily".into(),
            cluster: "business".into(),
            footprint: Footprint { driver: PodSize { milli_cores: 1000, memory_mib: 1024 }, executor: POD },
            min_executors: 1,
            max_executors: 4,
            locks: Locks::default(),
            expected: None,
            granted: Time(5_000),
            seen: true,
        };
        let usage = Usage::of(&holder, Time(15_000), Spent::of(POD, Span(2000)));
        assert_eq!(usage.granted, Amount { core_seconds: 70, gib_seconds: 130 });
        assert_eq!(usage.used, Amount { core_seconds: 3, gib_seconds: 6 });
        assert_eq!(Usage::of(&holder, Time(0), Spent::default()), Usage::default(), "a clock was set back");
    }

    #[test]
    fn nothing_is_too_much() {
        let most = PodSize { milli_cores: u64::MAX, memory_mib: u64::MAX };
        let spent = Spent::of(most, Span(i64::MAX)).plus(Spent::of(most, Span(i64::MAX)));
        let amount = spent.billed().plus(spent.billed());
        assert_eq!(amount, Amount { core_seconds: Amount::MOST, gib_seconds: Amount::MOST });
    }

    fn of(name: &'static str) -> impl Fn(&BillKey) -> bool {
        move |key| &*key.operation.name == name
    }

    fn usage(number: u64) -> Usage {
        let amount = Amount { core_seconds: number, gib_seconds: 2 * number };
        Usage { granted: amount, used: amount }
    }

    /// What a keeper does, or what becomes of it.
    #[derive(Debug, Clone)]
    enum Act {
        /// A ledger write books runs of these two operations.
        Close(u64, u64),
        /// A keeper sends the status of one of them, from what it knows; it may land at any later time, twice, or never.
        Send(usize, usize),
        /// A status that was sent lands.
        Land(usize),
        /// A keeper sees how the account stands.
        See(usize, usize),
        /// A ledger write lets go of what its keeper knows to be contained.
        Tidy,
        /// A keeper takes over: it reads all anew, and from now on the ledger is its own to write.
        TakeOver(usize),
    }

    fn act() -> impl Strategy<Value = Act> {
        prop_oneof![
            3 => (0..9_u64, 0..9_u64).prop_map(|(a, b)| Act::Close(a, b)),
            4 => (0..2_usize, 0..2_usize).prop_map(|(keeper, of)| Act::Send(keeper, of)),
            4 => any::<prop::sample::Index>().prop_map(|it| Act::Land(it.index(1000))),
            3 => (0..2_usize, 0..2_usize).prop_map(|(keeper, of)| Act::See(keeper, of)),
            2 => Just(Act::Tidy),
            1 => (0..2_usize).prop_map(Act::TakeOver),
        ]
    }

    const NAMES: [&str; 2] = ["a", "b"];

    /// The world of one ledger, two accounts and two keepers, of which each may act on what it knew once.
    #[derive(Default)]
    struct World {
        ledger: Ledger,
        stand: [Account; 2],
        /// What each keeper knows of the ledger and of the accounts.
        keepers: [(Arc<Ledger>, [Account; 2]); 2],
        leader: usize,
        sent: Vec<(usize, Account)>,
        closed: [Usage; 2],
    }

    impl World {
        fn act(&mut self, act: &Act) {
            match *act {
                Act::Close(a, b) => {
                    self.ledger.sequence += 1;
                    for (at, number) in [a, b].into_iter().enumerate().filter(|(_, number)| *number > 0) {
                        let sequence = self.ledger.sequence;
                        let operation = ObjectKey::new("jobs", NAMES[at]);
                        self.ledger.bills.insert(BillKey { sequence, operation, cluster: "c".into() }, usage(number));
                        self.closed[at] = self.closed[at].plus(usage(number));
                    }
                    // Only one keeper writes the ledger, and knows it then; the other is left with what it knew.
                    self.keepers[self.leader].0 = Arc::new(self.ledger.clone());
                }
                Act::Send(keeper, at) => {
                    let (ledger, known) = &self.keepers[keeper];
                    self.sent.push((at, known[at].with_bills(ledger, of(NAMES[at]))));
                }
                Act::Land(number) => {
                    if let Some((at, account)) = self.sent.get(number % self.sent.len().max(1)).copied() {
                        // The rule of the definitions: `through` never goes back.
                        if account.through >= self.stand[at].through {
                            self.stand[at] = account;
                        }
                    }
                }
                Act::See(keeper, at) => {
                    let known = &mut self.keepers[keeper].1[at];
                    *known = known.latest(self.stand[at]);
                }
                Act::Tidy => {
                    let (own, known) = &mut self.keepers[self.leader];
                    let is_open =
                        |key: &BillKey| (0..2).any(|at| of(NAMES[at])(key) && known[at].through < key.sequence);
                    self.ledger.sequence += 1;
                    self.ledger.bills.retain(|key, _| is_open(key));
                    *own = Arc::new(self.ledger.clone());
                }
                Act::TakeOver(keeper) => {
                    self.leader = keeper;
                    self.keepers[keeper] = (Arc::new(self.ledger.clone()), self.stand);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn every_bill_is_booked_exactly_once(acts in prop::collection::vec(act(), 0..80)) {
            let mut world = World::default();
            for act in &acts {
                world.act(act);
                for (at, name) in NAMES.into_iter().enumerate() {
                    let whole = world.stand[at].with_bills(&world.ledger, of(name));
                    prop_assert_eq!(whole.usage, world.closed[at], "{:?}", act);
                }
            }
        }

        #[test]
        fn what_an_account_comes_to_follows_from_the_last_of_its_bills(numbers in prop::collection::vec(0..9_u64, 1..20)) {
            let mut ledger = Ledger::default();
            let mut known = vec![Account::default()];
            for (at, number) in (1_i64..).zip(numbers) {
                let operation = ObjectKey::new("jobs", "a");
                ledger.bills.insert(BillKey { sequence: at, operation, cluster: "c".into() }, usage(number));
                let sums: BTreeMap<i64, Usage> = known
                    .iter()
                    .map(|account| account.with_bills(&ledger, of("a")))
                    .map(|account| (account.through, account.usage))
                    .collect();
                prop_assert_eq!(sums.len(), 1);
                known.extend(sums.into_iter().map(|(through, usage)| Account { usage, through }));
            }
        }
    }
}
