//! Judges the bill: what a run took follows from its place in the ledger and from the end that its job's status tells; it is put
//! into the ledger with the write that lets go of it, and ends up in the accounts of its operation and its cluster, once.

use std::collections::{BTreeMap, BTreeSet};

use slowlane::model::{
    Amount, BillKey, Footprint, Holder, JobStatus, Ledger, Name, ObjectKey, RunId, Time, Uid, Usage,
};

use crate::auditor::Auditor;
use crate::world::World;

#[derive(Debug, Default)]
pub(crate) struct Bills {
    /// When runs were closed and what they took, as their jobs' statuses say.
    told: BTreeMap<RunId, (Time, Usage)>,
    told_late: BTreeSet<RunId>,
    /// Everything that was ever put on a bill.
    operations: BTreeMap<ObjectKey, Usage>,
    clusters: BTreeMap<Name, Usage>,
    /// Operations that were deleted at some time: what stands in another object of that name is another account.
    removed: BTreeSet<ObjectKey>,
}

/// Cores and GiB over a span, each rounded up; reckoned apart from the product.
fn granted(holder: &Holder, until: Time) -> Amount {
    let span = u64::try_from((until.0 - holder.granted.0).max(0)).expect("no less than nothing");
    let footprint = holder.footprint;
    let all = |driver: u64, executor: u64| driver + executor * holder.max_executors;
    let milli_cores = all(footprint.driver.milli_cores, footprint.executor.milli_cores);
    let memory_mib = all(footprint.driver.memory_mib, footprint.executor.memory_mib);
    Amount {
        core_seconds: (milli_cores * span).div_ceil(1_000_000),
        gib_seconds: (memory_mib * span).div_ceil(1_024_000),
    }
}

impl Auditor {
    pub(crate) fn operation_removed(&mut self, key: &ObjectKey) {
        self.bills.removed.insert(key.clone());
    }

    /// A job's status says what its runs took.
    pub(crate) fn usage_told(&mut self, uid: &Uid, status: &JobStatus) {
        let closed = status.runs.iter().filter_map(|run| Some((run.number, run.completion?, run.usage?)));
        let mut sum = Usage::default();
        for (number, completion, usage) in closed {
            sum = sum.plus(usage);
            let run = RunId { job: uid.clone(), number };
            // The word of a keeper that is dead may land when the next one has closed the run at another time.
            if self.is_late {
                self.bills.told_late.insert(run.clone());
            }
            self.bills.told.insert(run, (completion, usage));
        }
        if status.usage.unwrap_or_default() != sum {
            self.violated(format!("bill: a job took {:?}, its runs {sum:?}", status.usage));
        }
        if let Some(executors) = status.executors.filter(|it| it.ready > it.peak) {
            self.violated(format!("I11: more executors run than ever did at once: {executors:?}"));
        }
    }

    /// A ledger write lets go of runs: what they took has to be on its bills.
    pub(crate) fn billed(&mut self, old: &Ledger, new: &Ledger, now: Time, is_there: impl Fn(&Uid) -> bool) {
        let mut due: BTreeMap<(ObjectKey, Name), (Usage, Amount)> = BTreeMap::new();
        let mut whole: BTreeMap<(ObjectKey, Name), Amount> = BTreeMap::new();
        for (run, holder) in old.holders.iter().filter(|(run, _)| !new.holders.contains_key(*run)) {
            let key = (holder.operation_key(), holder.cluster.clone());
            let sum = whole.entry(key.clone()).or_default();
            *sum = sum.plus(granted(holder, now));
            let (known, unknown) = due.entry(key).or_default();
            let told = self.bills.told.get(run).copied().filter(|_| is_there(&run.job));
            let told = told.filter(|_| !self.bills.told_late.contains(run));
            let is_first =
                |closed: Time| holder.footprint != Footprint::default() && closed.0 / 1000 >= holder.granted.0 / 1000;
            let Some((closed, usage)) = told.filter(|(closed, _)| is_first(*closed)) else {
                // Its job is gone, or it never started, or it is brought to its end once more.
                *unknown = unknown.plus(granted(holder, now));
                continue;
            };
            *known = known.plus(usage);
            // What a keeper reads back of its time has whole seconds.
            let (expected, most) = (granted(holder, closed), granted(holder, Time(closed.0 + 999)));
            let fits = usage.granted >= expected && usage.granted.at_least(most) == most;
            // Of two leaders, each may tell of a run that is suspended when it was closed.
            if !fits && !self.overlapping && self.paced {
                self.violated(format!("bill: {run} was granted {expected:?}, its job says {:?}", usage.granted));
            }
            self.saw("a bill that a job tells");
        }
        let fresh: BTreeMap<&BillKey, &Usage> =
            new.bills.iter().filter(|(key, _)| !old.bills.contains_key(key)).collect();
        for (key, usage) in &fresh {
            // A ledger that is made anew has the bills that its keeper knew.
            if key.sequence != new.sequence && self.paced {
                self.violated(format!("bill: {key:?} comes with write {}", new.sequence));
            }
            let operation = self.bills.operations.entry(key.operation.clone()).or_default();
            *operation = operation.plus(**usage);
            let cluster = self.bills.clusters.entry(key.cluster.clone()).or_default();
            *cluster = cluster.plus(**usage);
        }
        for (place, (known, unknown)) in due {
            let beyond = whole.remove(&place).unwrap_or_default();
            let (operation, cluster) = place;
            let key = BillKey { sequence: new.sequence, operation, cluster };
            let billed = fresh.get(&key).copied().copied().unwrap_or_default();
            let most = known.granted.plus(unknown);
            let fits =
                billed.granted >= known.granted && billed.granted.at_least(most) == most && billed.used >= known.used;
            // Where the ledger was lost, it knows of grants at second hand.
            let is_exact = !self.overlapping && self.paced;
            let is_beyond = billed.granted.at_least(beyond) != beyond;
            if (is_exact && !fits) || (self.paced && is_beyond) {
                self.violated(format!("bill: {key:?} is {billed:?}, due are {known:?} and at most {unknown:?}"));
            }
        }
    }
}

impl World {
    /// At the end every account contains each of its bills, and the ledger none.
    pub(crate) fn check_accounts(&self) -> Result<(), String> {
        let bills = &self.auditor.bills;
        if let Some((_, ledger)) = self.ledger.as_ref().filter(|(_, ledger)| !ledger.bills.is_empty()) {
            return Err(format!("bills stay in the ledger for ever: {:?}", ledger.bills));
        }
        // What a lost ledger knew is lost, and what was put back is booked again.
        if !self.auditor.paced {
            return Ok(());
        }
        let operations = self.operations.values().filter(|it| !bills.removed.contains(&it.key));
        let operations = operations.map(|it| (it.key.to_string(), it.account.usage, bills.operations.get(&it.key)));
        let clusters = self.clusters.values();
        let clusters = clusters.map(|it| (it.name.to_string(), it.account.usage, bills.clusters.get(&it.name)));
        let mut wrong = operations.chain(clusters).filter(|(_, told, due)| *told != due.copied().unwrap_or_default());
        wrong.next().map_or(Ok(()), |(name, told, due)| Err(format!("bill: {name} says {told:?}, due are {due:?}")))
    }
}
