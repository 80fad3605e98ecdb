//! The bill: what runs took is put into the ledger with the write that lets go of them, and from there into the accounts of their
//! operations and clusters, each exactly once. See `docs/decisions/0014-the-pool.md`, section 3.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Engine, Wake};
use crate::command::Command;
use crate::model::{
    Account, Amount, BillKey, Cluster, Holder, Ledger, Name, PodSize, RunId, Span, Spent, Time, Uid, Usage, Warmth,
};

/// Bills that a ledger keeps. Where accounts cannot be written for so long, the oldest are given up: no slot waits for a bill.
pub const MOST_BILLS: usize = 1000;
/// How long bills that are booked stay in a ledger that nothing else is written into.
const TIDY: Span = Span::seconds(300);

/// An account as far as it is known to stand in the API.
#[derive(Debug, Default)]
pub(super) struct Book {
    /// The object that it stands in; `None`: that is yet to be seen (again), and nothing is said of it.
    uid: Option<Uid>,
    pub(super) stands: Account,
    /// What is on its way there.
    sent: Option<Account>,
    /// The number of the last of its bills in the ledger; `None`: it was not looked for yet.
    last_bill: Option<i64>,
}

impl Book {
    /// How it stands in the API, by a watch that may be behind; on another object it is another account. Tells whether that is news.
    pub(super) fn see(&mut self, uid: &Uid, account: Account) -> bool {
        if self.uid.as_ref() == Some(uid) {
            let before = self.stands;
            self.stands = before.latest(account);
            return self.stands != before;
        }
        *self = Self { uid: Some(uid.clone()), stands: account, sent: None, last_bill: None };
        true
    }

    /// The account with what the ledger has for it.
    pub(super) fn with_bills(&mut self, ledger: &Ledger, is_its: impl Fn(&BillKey) -> bool) -> Option<Account> {
        self.uid.as_ref()?;
        if self.last_bill.is_some_and(|last| last <= self.stands.through) {
            return Some(self.stands);
        }
        let account = self.stands.with_bills(ledger, is_its);
        self.last_bill = Some(account.through);
        Some(account)
    }

    /// The ledger has another bill for it.
    fn owe(&mut self, sequence: i64) {
        self.last_bill = self.last_bill.map(|last| last.max(sequence));
    }

    pub(super) fn send(&mut self, account: Account) {
        self.sent = Some(account);
    }

    /// A write of it ended.
    pub(super) fn sent(&mut self, is_done: bool) {
        if let Some(sent) = self.sent.take().filter(|_| is_done) {
            self.stands = self.stands.latest(sent);
        }
    }
}

/// What a cluster's placeholders take, by their number as it was seen to change.
#[derive(Debug)]
pub(super) struct Meter {
    uid: Uid,
    spent: Spent,
    /// What they had taken when this keeper came to count them.
    before: Amount,
    since: Time,
    ready: u64,
    each: PodSize,
    /// The cluster's status tells of it, and goes on to.
    is_told: bool,
}

impl Meter {
    /// Goes on from what stands in the cluster's status: it says how many ran, and until when that is counted.
    fn resume(cluster: &Cluster, ready: u64, now: Time) -> Self {
        let stands = cluster.warmth;
        let mut meter = Self {
            uid: cluster.uid.clone(),
            spent: stands.map(|warmth| warmth.amount.into()).unwrap_or_default(),
            before: Amount::default(),
            since: stands.map_or(now, |warmth| warmth.until),
            ready: if stands.is_some() { ready } else { 0 },
            each: cluster.unit.unwrap_or_default(),
            is_told: stands.is_some(),
        };
        meter.count(now);
        meter.before = meter.spent.reached();
        meter
    }

    fn so_far(&self, now: Time) -> Spent {
        let all = |each: u64| each.saturating_mul(self.ready);
        let PodSize { milli_cores, memory_mib } = self.each;
        let taken = PodSize { milli_cores: all(milli_cores), memory_mib: all(memory_mib) };
        self.spent.plus(Spent::of(taken, now - self.since))
    }

    fn count(&mut self, now: Time) {
        (self.spent, self.since) = (self.so_far(now), self.since.max(now));
    }

    /// So much stands, whoever wrote it.
    fn see(&mut self, amount: Amount) {
        if amount.at_least(self.spent.reached()) != self.spent.reached() {
            self.spent = amount.at_least(self.spent.reached()).into();
        }
    }
}

impl Engine {
    // ---- the ledger -------------------------------------------------------------------------------------------

    /// Lets go of bills that both accounts contain, and puts in those of the runs that this write lets go of.
    pub(super) fn settle_bills(&mut self, ledger: &mut Ledger, releases: &BTreeMap<RunId, Arc<Holder>>) {
        self.booked.iter().for_each(|key| _ = ledger.bills.remove(key));
        for (run, holder) in releases {
            let Some(usage) = self.runs.get(run).and_then(|run| run.bill()) else { continue };
            let operation = holder.operation_key();
            let key = BillKey { sequence: ledger.sequence, operation, cluster: holder.cluster.clone() };
            let bill = ledger.bills.entry(key).or_default();
            *bill = bill.plus(usage);
        }
        while ledger.bills.len() > MOST_BILLS {
            ledger.bills.pop_first();
        }
    }

    /// Counters begin with nothing before a run is billed: how much they rise with the first bill is seen by nobody else.
    pub(super) fn open_account(&mut self, holder: &Holder) {
        let (cluster, namespace) = (holder.cluster.clone(), holder.job.namespace.clone());
        self.out.push(Command::CountUsage { cluster, namespace, usage: Usage::default() });
    }

    /// The ledger has other bills than before: those of this keeper that it had not are counted.
    pub(super) fn bills_changed(&mut self, before: i64) {
        self.tidying = false;
        let ledger = self.acknowledged.clone();
        self.booked.retain(|key| ledger.bills.contains_key(key));
        for (key, usage) in ledger.bills.iter().rev().take_while(|(key, _)| key.sequence > before) {
            self.operations.get_mut(&key.operation).into_iter().for_each(|it| it.book.owe(key.sequence));
            self.clusters.get_mut(&key.cluster).into_iter().for_each(|it| it.book.owe(key.sequence));
            let (cluster, namespace) = (key.cluster.clone(), key.operation.namespace.clone());
            self.out.push(Command::CountUsage { cluster, namespace, usage: *usage });
            self.look_whether_booked(key);
        }
        self.tidy_later();
    }

    /// Some of these bills may stand in both accounts now. They go with the next write of the ledger, and if there is none for a
    /// while, with one of their own.
    pub(super) fn look_for_booked(&mut self, are_these: impl Fn(&BillKey) -> bool) {
        let ledger = self.acknowledged.clone();
        ledger.bills.keys().filter(|key| are_these(key)).for_each(|key| self.look_whether_booked(key));
        self.tidy_later();
    }

    fn look_whether_booked(&mut self, key: &BillKey) {
        // Before all is listed, what is not known may be declared.
        if self.synced && self.is_booked(key) {
            self.booked.insert(key.clone());
        }
    }

    fn tidy_later(&mut self) {
        if !self.booked.is_empty() {
            self.wakes.set(Wake::Bills, self.now + TIDY);
        }
    }

    /// Whether both accounts are known to contain a bill. One of something that is not declared is none.
    fn is_booked(&self, key: &BillKey) -> bool {
        let contains = |book: &Book| book.stands.through >= key.sequence;
        self.operations.get(&key.operation).is_none_or(|it| contains(&it.book))
            && self.clusters.get(&key.cluster).is_none_or(|it| contains(&it.book))
    }

    /// The number of the next write: above every one that an account has heard of, also where the ledger was lost.
    pub(super) fn next_sequence(&self, ledger: &Ledger) -> i64 {
        let operations = self.operations.values().map(|it| it.book.stands.through);
        let clusters = self.clusters.values().map(|it| it.book.stands.through);
        // Each of them is some write's; only a ledger that was made anew can be behind.
        let heard = if self.rebuilding { operations.chain(clusters).max() } else { None };
        ledger.sequence.max(heard.unwrap_or(0)).saturating_add(1)
    }

    pub(super) fn tidy_bills(&mut self) {
        self.tidying = !self.booked.is_empty();
        self.ledger_dirty |= self.tidying;
    }

    /// What is known of accounts may be less than the ledger takes for known, or of another time: nothing is said of them before they
    /// are seen again.
    pub(super) fn forget_books(&mut self) {
        self.booked.clear();
        self.operations.values_mut().for_each(|it| it.book = Book::default());
        self.clusters.values_mut().for_each(|it| it.book = Book::default());
    }

    // ---- what is warm -----------------------------------------------------------------------------------------

    /// A cluster is there, as large or otherwise than before; `ready` is how many placeholders its status says.
    pub(super) fn meter_cluster(&mut self, cluster: &Cluster, ready: u64) {
        let (now, name) = (self.now, &cluster.name);
        if self.meters.get(name).is_none_or(|meter| meter.uid != cluster.uid) {
            self.meters.insert(name.clone(), Meter::resume(cluster, ready, now));
        }
        let Some(meter) = self.meters.get_mut(name) else { return };
        meter.count(now);
        // Where nothing can be made of what is declared, the placeholders that are there stay as they are.
        meter.each = cluster.unit.unwrap_or(meter.each);
        meter.is_told |= cluster.warmth.is_some();
        meter.see(cluster.warmth.map(|warmth| warmth.amount).unwrap_or_default());
    }

    /// So many of a cluster's placeholders run now.
    pub(super) fn meter_warm(&mut self, name: &Name, ready: u64) {
        if let Some(meter) = self.meters.get_mut(name) {
            meter.count(self.now);
            meter.ready = ready;
        }
    }

    /// What a cluster's placeholders took: as it was said, where nothing has changed since but that time went by.
    pub(super) fn warmth(&self, name: &Name) -> Option<Warmth> {
        let meter = self.meters.get(name)?;
        let amount = meter.so_far(self.now).reached();
        (meter.is_told || meter.ready > 0 || amount != Amount::default()).then_some(Warmth { amount, until: self.now })
    }

    /// What placeholders took since this keeper leads, by cluster.
    pub(super) fn warm_since(&self) -> BTreeMap<Name, Amount> {
        let of = |meter: &Meter| meter.so_far(self.now).reached().minus(meter.before);
        self.meters.iter().map(|(name, meter)| (name.clone(), of(meter))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A cluster of units of two cores and 4 GiB, whose status says this much of what was warm.
    fn cluster(warmth: Option<(u64, i64)>) -> Cluster {
        let amount = |core_seconds| Amount { core_seconds, gib_seconds: 2 * core_seconds };
        Cluster {
            unit: Some(PodSize { milli_cores: 2000, memory_mib: 4096 }),
            warmth: warmth.map(|(warm, until)| Warmth { amount: amount(warm), until: Time(until) }),
            ..Cluster::default()
        }
    }

    fn cores(meter: &Meter, at: i64) -> u64 {
        meter.so_far(Time(at)).reached().core_seconds
    }

    #[test]
    fn what_stands_warm_is_counted_by_how_much_of_it_ran() {
        let mut meter = Meter::resume(&cluster(None), 9, Time(0));
        assert_eq!(cores(&meter, 60_000), 0, "nothing was ever said of it");
        meter.count(Time(60_000));
        meter.ready = 3;
        assert_eq!(cores(&meter, 70_000), 60);
        meter.count(Time(70_500));
        meter.ready = 0;
        assert_eq!((cores(&meter, 90_000), meter.so_far(Time(90_000)).reached().gib_seconds), (63, 126));
    }

    #[test]
    fn a_take_over_goes_on_from_what_was_said_and_counts_for_itself_what_comes() {
        let meter = Meter::resume(&cluster(Some((100, 10_000))), 2, Time(40_000));
        assert_eq!(cores(&meter, 40_000), 220, "two ran on while nobody led");
        assert_eq!(meter.before.core_seconds, 220);
        assert_eq!(cores(&meter, 41_000), 224);
    }

    #[test]
    fn what_stands_is_never_turned_back() {
        let mut meter = Meter::resume(&cluster(Some((100, 0))), 0, Time(0));
        for (stands, expected) in [(90, 100), (100, 100), (130, 130), (0, 130)] {
            meter.see(Amount { core_seconds: stands, gib_seconds: 2 * stands });
            assert_eq!(cores(&meter, 5_000), expected);
        }
    }
}
