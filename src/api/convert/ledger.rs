//! The ledger as the API server holds it. Holders are short texts, because objects would cost ten times as much to
//! write; a run stands under its operation with all that was granted, and under its cluster by its name alone, so that
//! the API server can count both.

mod bill;
mod holder;

use std::collections::BTreeMap;
use std::sync::Arc;

use self::bill::{bill_key, bill_of, bill_text, bill_usage};
use self::holder::{escaped, parse, text, unescaped};
use crate::api::v1alpha1::{LedgerCluster, LedgerLimit, LedgerLock, LedgerShare, RunLedgerSpec};
use crate::model::{Holder, Ledger, Name, ObjectKey, Resources, RunId, Share};

/// A ledger that says something we do not understand. It is never taken for an empty one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MalformedLedger {
    /// A key of `spec.limits` is neither an operation nor a cluster.
    #[error("spec.limits[{0}]: not op/NAMESPACE/NAME or cluster/NAME")]
    Key(String),
    /// A key of `spec.locks` is neither a lock nor a cluster's lock.
    #[error("spec.locks[{0}]: not LOCK or CLUSTER/LOCK")]
    Lock(String),
    /// A key of `spec.shares` is no cluster with a namespace.
    #[error("spec.shares[{0}]: not CLUSTER/NAMESPACE")]
    Share(String),
    /// A bill is not what a keeper writes.
    #[error("spec.bills[{0}]: not WRITE/NAMESPACE/OPERATION/CLUSTER, or its text is not what a keeper writes")]
    Bill(String),
    /// A holder's name is no run.
    #[error("spec.limits[{key}].holders[{run}]: not UID.NUMBER")]
    Run {
        /** The limit. */
        key: String,
        /** What stands there. */
        run: String,
    },
    /// A holder's text cannot be read.
    #[error("spec.limits[{key}].holders[{run}]: {text:?} is not what a keeper writes")]
    Holder {
        /** The limit. */
        key: String,
        /** The run. */
        run: String,
        /** What stands there. */
        text: String,
    },
    /// A run has an operation and no cluster, or the other way round.
    #[error("run {0} stands under its operation or under its cluster, but not under both")]
    Halved(RunId),
}

/// The ledger for the API server.
#[must_use]
pub fn write_ledger(ledger: &Ledger) -> RunLedgerSpec {
    let mut limits: BTreeMap<String, LedgerLimit> = BTreeMap::new();
    let mut used: BTreeMap<&Name, Resources> = BTreeMap::new();
    for (run, holder) in &ledger.holders {
        let operation = holder.operation_key();
        let limit = ledger.operation_limits.get(&operation).copied();
        let key = format!("op/{}/{}", escaped(&operation.namespace), escaped(&operation.name));
        hold(&mut limits, key, limit, run, text(holder));
        let limit = ledger.cluster_limits.get(&holder.cluster).copied();
        hold(&mut limits, format!("cluster/{}", escaped(&holder.cluster)), limit, run, String::new());
        let sum = used.entry(&holder.cluster).or_default();
        *sum = sum.plus(holder.resources());
    }
    let clusters = ledger.cluster_capacity.iter();
    let clusters = clusters
        .map(|(name, capacity)| (escaped(name), reserved(used.get(name).copied().unwrap_or_default(), *capacity)));
    RunLedgerSpec {
        epoch: ledger.epoch,
        sequence: ledger.sequence,
        leader: ledger.leader.to_string(),
        bills: ledger.bills.iter().map(|(key, usage)| (bill_key(key), bill_text(*usage))).collect(),
        limits,
        clusters: clusters.collect(),
        locks: locks(ledger),
        shares: shares(ledger),
    }
}

fn locks(ledger: &Ledger) -> BTreeMap<String, LedgerLock> {
    let mut everywhere: BTreeMap<&Name, i64> = BTreeMap::new();
    let mut at_cluster: BTreeMap<(&Name, &Name), i64> = BTreeMap::new();
    for holder in ledger.holders.values() {
        for (lock, permits) in holder.locks.iter() {
            *everywhere.entry(lock).or_default() += i64::from(*permits);
            *at_cluster.entry((&holder.cluster, lock)).or_default() += i64::from(*permits);
        }
    }
    let entry = |permits: Option<&i64>, most: u32| LedgerLock {
        permits: permits.copied().unwrap_or_default(),
        max_permits: Some(most.into()),
    };
    let of_settings =
        ledger.lock_permits.iter().map(|(lock, most)| (escaped(lock), entry(everywhere.get(lock), *most)));
    let of_clusters = ledger
        .cluster_lock_permits
        .iter()
        .map(|((cluster, lock), most)| (pair_key(cluster, lock), entry(at_cluster.get(&(cluster, lock)), *most)));
    of_settings.chain(of_clusters).collect()
}

fn shares(ledger: &Ledger) -> BTreeMap<String, LedgerShare> {
    if ledger.shares.is_empty() {
        return BTreeMap::new();
    }
    let mut used: BTreeMap<(&Name, &Name), (i64, u64)> = BTreeMap::new();
    for holder in ledger.holders.values() {
        let (jobs, executors) = used.entry((&holder.cluster, &holder.job.namespace)).or_default();
        *jobs += 1;
        *executors = executors.saturating_add(holder.max_executors);
    }
    let shares = ledger.shares.iter().map(|((cluster, namespace), share)| {
        let (jobs, executors) = used.get(&(cluster, namespace)).copied().unwrap_or_default();
        let entry = LedgerShare {
            jobs,
            max_jobs: share.max_jobs.map(Into::into),
            executors: number(executors),
            max_executors: share.max_executors.map(number),
        };
        (pair_key(cluster, namespace), entry)
    });
    shares.collect()
}

fn pair_key(cluster: &str, of: &str) -> String {
    format!("{}/{}", escaped(cluster), escaped(of))
}

fn hold(limits: &mut BTreeMap<String, LedgerLimit>, key: String, limit: Option<u32>, run: &RunId, text: String) {
    let entry = limits.entry(key).or_default();
    entry.limit = limit.map(super::written);
    entry.holders.insert(run.to_string(), text);
}

fn reserved(used: Resources, capacity: Resources) -> LedgerCluster {
    let bound = |most: u64| (most != u64::MAX).then(|| number(most));
    LedgerCluster {
        executors: number(used.executors),
        max_executors: bound(capacity.executors),
        milli_cores: number(used.milli_cores),
        max_milli_cores: bound(capacity.milli_cores),
        memory_mib: number(used.memory_mib),
        max_memory_mib: bound(capacity.memory_mib),
    }
}

fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The ledger from the API server.
///
/// # Errors
/// When it says anything that we would not have written.
pub fn read_ledger(spec: &RunLedgerSpec) -> Result<Ledger, MalformedLedger> {
    let leader = spec.leader.as_str().into();
    let mut ledger = Ledger { epoch: spec.epoch, sequence: spec.sequence, leader, ..Ledger::default() };
    let mut placed: BTreeMap<RunId, Name> = BTreeMap::new();
    for (key, entry) in &spec.limits {
        let limit = entry.limit.map(super::count);
        match key.split_once('/') {
            Some(("cluster", name)) => {
                let name = name_of(key, name)?;
                ledger.cluster_limits.extend(limit.map(|limit| (name.clone(), limit)));
                for run in entry.holders.keys() {
                    placed.insert(run_of(key, run)?, name.clone());
                }
            }
            Some(("op", operation)) => {
                let operation = operation_of(key, operation)?;
                ledger.operation_limits.extend(limit.map(|limit| (operation.clone(), limit)));
                for (run, text) in &entry.holders {
                    ledger.holders.insert(run_of(key, run)?, Arc::new(holder(key, &operation, run, text)?));
                }
            }
            _ => return Err(MalformedLedger::Key(key.clone())),
        }
    }
    for (key, text) in &spec.bills {
        let bill = bill_of(key).zip(bill_usage(text)).ok_or_else(|| MalformedLedger::Bill(key.clone()))?;
        ledger.bills.insert(bill.0, bill.1);
    }
    for (name, entry) in &spec.clusters {
        ledger.cluster_capacity.insert(name_of(name, name)?, capacity(entry));
    }
    for (key, entry) in &spec.locks {
        read_lock(&mut ledger, key, entry).ok_or_else(|| MalformedLedger::Lock(key.clone()))?;
    }
    for (key, entry) in &spec.shares {
        let pair = pair_of(key).ok_or_else(|| MalformedLedger::Share(key.clone()))?;
        ledger.shares.insert(pair, share(entry));
    }
    place(&mut ledger, &placed)?;
    Ok(ledger)
}

fn read_lock(ledger: &mut Ledger, key: &str, entry: &LedgerLock) -> Option<()> {
    let permits = entry.max_permits.map(small);
    if key.contains('/') {
        let pair = pair_of(key)?;
        ledger.cluster_lock_permits.extend(permits.map(|permits| (pair, permits)));
    } else {
        let lock = unescaped(key)?;
        ledger.lock_permits.extend(permits.map(|permits| (lock, permits)));
    }
    Some(())
}

fn pair_of(key: &str) -> Option<(Name, Name)> {
    let (cluster, of) = key.split_once('/')?;
    Some((unescaped(cluster)?, unescaped(of)?))
}

fn share(entry: &LedgerShare) -> Share {
    Share {
        max_jobs: entry.max_jobs.map(small),
        max_executors: entry.max_executors.map(|most| u64::try_from(most).unwrap_or(0)),
    }
}

/// A bound as we count it; what is below zero (the schema refuses it) is zero.
fn small(most: i64) -> u32 {
    u32::try_from(most.max(0)).unwrap_or(u32::MAX)
}

fn operation_of(key: &str, operation: &str) -> Result<ObjectKey, MalformedLedger> {
    let (namespace, name) = operation.split_once('/').ok_or_else(|| MalformedLedger::Key(key.into()))?;
    Ok(ObjectKey { namespace: name_of(key, namespace)?, name: name_of(key, name)? })
}

fn name_of(key: &str, text: &str) -> Result<Name, MalformedLedger> {
    unescaped(text).ok_or_else(|| MalformedLedger::Key(key.into()))
}

fn run_of(key: &str, run: &str) -> Result<RunId, MalformedLedger> {
    RunId::parse(run).ok_or_else(|| MalformedLedger::Run { key: key.into(), run: run.into() })
}

/// Puts every holder into its cluster; each must be in exactly one.
fn place(ledger: &mut Ledger, placed: &BTreeMap<RunId, Name>) -> Result<(), MalformedLedger> {
    if let Some(stray) = placed.keys().find(|run| !ledger.holders.contains_key(*run)) {
        return Err(MalformedLedger::Halved(stray.clone()));
    }
    for (run, holder) in &mut ledger.holders {
        Arc::make_mut(holder).cluster = placed.get(run).cloned().ok_or_else(|| MalformedLedger::Halved(run.clone()))?;
    }
    Ok(())
}

fn capacity(entry: &LedgerCluster) -> Resources {
    let bound = |most: Option<i64>| most.map_or(u64::MAX, |most| u64::try_from(most).unwrap_or(0));
    Resources {
        executors: bound(entry.max_executors),
        milli_cores: bound(entry.max_milli_cores),
        memory_mib: bound(entry.max_memory_mib),
    }
}

fn holder(key: &str, operation: &ObjectKey, run: &str, text: &str) -> Result<Holder, MalformedLedger> {
    parse(operation, text).ok_or_else(|| MalformedLedger::Holder {
        key: key.into(),
        run: run.into(),
        text: crate::text::clean(text, 100),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::api::v1alpha1::bounds;
    use crate::model::Span;
    use crate::model::{Amount, BillKey, Footprint, Locks, PodSize, Time, Usage};

    fn pod() -> impl Strategy<Value = PodSize> {
        (0..1_000_000_u64, 0..100_000_000_u64).prop_map(|(milli_cores, memory_mib)| PodSize { milli_cores, memory_mib })
    }

    fn names() -> impl Strategy<Value = String> {
        prop_oneof!["[a-z0-9]([a-z0-9.-]{0,20}[a-z0-9])?", "\\PC{0,20}", any::<String>(), "[ab %/.=]{0,4}"]
    }

    /// Mostly names that come up again, so that limits have several holders.
    fn few(these: &'static str) -> impl Strategy<Value = String> {
        prop_oneof![3 => these.prop_map(Into::into), 1 => names()]
    }

    fn locks() -> impl Strategy<Value = Locks> {
        let some = prop::collection::btree_map(few("[pq]").prop_map(Name::from), 1..9_u32, 0..3);
        some.prop_map(|locks| locks.into_iter().collect())
    }

    fn a_holder() -> impl Strategy<Value = Holder> {
        (
            names(),
            few("[ab]"),
            few("[xy]"),
            few("[kl]"),
            pod(),
            pod(),
            (0..50_u64, 0..50_u64),
            locks(),
            proptest::option::of(0..i64::MAX),
            any::<i64>(),
            any::<bool>(),
        )
            .prop_map(
                |(
                    job,
                    namespace,
                    operation,
                    cluster,
                    driver,
                    executor,
                    (min, more),
                    locks,
                    expected,
                    granted,
                    seen,
                )| Holder {
                    job: ObjectKey::new(namespace, job),
                    operation: operation.into(),
                    cluster: cluster.into(),
                    footprint: Footprint { driver, executor },
                    min_executors: min,
                    max_executors: min + more,
                    locks,
                    expected: expected.map(Span),
                    granted: Time(granted),
                    seen,
                },
            )
    }

    fn ledgers() -> impl Strategy<Value = Ledger> {
        let runs = prop::collection::btree_map((prop_oneof!["[a-f0-9-]{3,36}", names()], 1..9_u32), a_holder(), 0..12);
        (runs, any::<i64>(), prop::option::of(0..9_u32), prop::option::of(0..99_u64)).prop_map(
            |(runs, epoch, limit, most)| {
                let mut ledger = Ledger { epoch, sequence: epoch / 2, leader: "me".into(), ..Ledger::default() };
                for ((uid, number), holder) in runs {
                    let operation = holder.operation_key();
                    ledger.operation_limits.extend(limit.map(|limit| (operation, limit)));
                    ledger.cluster_limits.extend(limit.map(|limit| (holder.cluster.clone(), limit)));
                    let capacity = Resources { executors: most.unwrap_or(u64::MAX), ..Resources::UNBOUNDED };
                    ledger.cluster_capacity.insert(holder.cluster.clone(), capacity);
                    for (lock, permits) in holder.locks.iter() {
                        ledger.lock_permits.insert(lock.clone(), permits + limit.unwrap_or(0));
                        let at_cluster = limit.map(|limit| ((holder.cluster.clone(), lock.clone()), limit));
                        ledger.cluster_lock_permits.extend(at_cluster);
                    }
                    let share = Share { max_jobs: limit, max_executors: most };
                    ledger.shares.insert((holder.cluster.clone(), holder.job.namespace.clone()), share);
                    let amount = Amount { core_seconds: holder.min_executors, gib_seconds: holder.max_executors };
                    let key =
                        BillKey { sequence: epoch, operation: holder.operation_key(), cluster: holder.cluster.clone() };
                    ledger.bills.insert(key, Usage { granted: amount, used: amount });
                    ledger.holders.insert(RunId { job: uid.into(), number }, Arc::new(holder));
                }
                ledger
            },
        )
    }

    proptest! {
        #[test]
        fn a_ledger_is_read_back_as_it_was_written(ledger in ledgers()) {
            prop_assert_eq!(read_ledger(&write_ledger(&ledger)), Ok(ledger));
        }

        #[test]
        fn no_text_stops_the_reader(key in "(op|cluster)?/?\\PC{0,20}", run in "\\PC{0,20}", text in "\\PC{0,60}") {
            let holders = BTreeMap::from([(run, text)]);
            let limits = BTreeMap::from([(key, LedgerLimit { holders, ..LedgerLimit::default() })]);
            let _ = read_ledger(&RunLedgerSpec { limits, ..RunLedgerSpec::default() });
        }

        #[test]
        fn no_key_stops_the_reader(key in "\\PC{0,20}") {
            let locks = BTreeMap::from([(key.clone(), LedgerLock::default())]);
            let shares = BTreeMap::from([(key, LedgerShare::default())]);
            let _ = read_ledger(&RunLedgerSpec { locks, ..RunLedgerSpec::default() });
            let _ = read_ledger(&RunLedgerSpec { shares, ..RunLedgerSpec::default() });
        }

        #[test]
        fn no_bill_stops_the_reader(key in "[0-9]?/?\\PC{0,20}", text in "(granted=)?\\PC{0,20}") {
            let _ = read_ledger(&RunLedgerSpec { bills: BTreeMap::from([(key, text)]), ..RunLedgerSpec::default() });
        }
    }

    fn some_holder() -> Holder {
        Holder {
            job: ObjectKey::new("jobs", "j".repeat(253)),
            operation: "daily".into(),
            cluster: "business".into(),
            footprint: Footprint {
                driver: PodSize { milli_cores: 10_000_000, memory_mib: 64 << 20 },
                executor: PodSize { milli_cores: 10_000_000, memory_mib: 64 << 20 },
            },
            min_executors: 100_000,
            max_executors: 100_000,
            locks: (0..8).map(|n| (format!("{n:l<63}").into(), 1_000_000)).collect(),
            expected: None,
            granted: Time(1_800_000_000_000),
            seen: false,
        }
    }

    #[test]
    fn as_many_bills_fit_into_the_schema_as_the_engine_keeps_and_the_longest_of_them() {
        assert_eq!(bounds::LEDGER_BILLS as usize, crate::engine::MOST_BILLS);
        assert_eq!(bounds::USAGE.unsigned_abs(), Amount::MOST);
        let most = Amount { core_seconds: u64::MAX, gib_seconds: u64::MAX };
        assert!(bill_text(Usage { granted: most, used: most }).len() <= bounds::LEDGER_BILL as usize);
    }

    #[test]
    fn the_longest_holder_fits_into_its_schema() {
        assert!(text(&some_holder()).len() <= bounds::LEDGER_TEXT as usize);
    }

    #[test]
    fn a_holder_of_before_there_were_locks_is_read() {
        let text = "a driver=1m/2Mi executor=3m/4Mi executors=1..2 granted=5 seen=true";
        let holder = parse(&ObjectKey::new("jobs", "daily"), text).unwrap();
        assert!(holder.locks.is_empty() && holder.seen);
        assert_eq!(super::text(&holder), text);
        let locked = text.replace(" granted", " locks=lake:2,mail:1 granted");
        let holder = parse(&ObjectKey::new("jobs", "daily"), &locked).unwrap();
        assert_eq!(*holder.locks, [("lake".into(), 2), ("mail".into(), 1)]);
        assert_eq!(super::text(&holder), locked);
    }

    #[test]
    fn locks_that_no_keeper_writes_are_refused() {
        for locks in ["", "lake", "lake:", "lake:0", "lake:-1", "mail:1,lake:1", "lake:1,lake:1", "lake:1,", "%:1"] {
            let text = format!("a driver=1m/2Mi executor=3m/4Mi executors=1..2 locks={locks} granted=5 seen=true");
            assert_eq!(parse(&ObjectKey::new("jobs", "daily"), &text), None, "{locks}");
        }
    }

    #[test]
    fn what_is_reserved_stands_beside_what_there_is() {
        let run = RunId { job: "u".into(), number: 1 };
        let mut ledger = Ledger::default();
        ledger.holders.insert(run, Arc::new(some_holder()));
        ledger.cluster_capacity.insert("business".into(), Resources { executors: 7, ..Resources::UNBOUNDED });
        let cluster = write_ledger(&ledger).clusters["business"];
        assert_eq!((cluster.executors, cluster.max_executors), (100_000, Some(7)));
        assert_eq!(cluster.max_milli_cores, None);
    }

    #[test]
    fn locks_and_shares_are_summed_over_their_holders() {
        let mut ledger = Ledger::default();
        for (number, cluster) in [(1, "business"), (2, "business"), (3, "night")] {
            let locks = Locks::from([("lake".into(), 2)]);
            let holder = Holder { cluster: cluster.into(), max_executors: 3, locks, ..some_holder() };
            ledger.holders.insert(RunId { job: "u".into(), number }, Arc::new(holder));
        }
        ledger.lock_permits.insert("lake".into(), 9);
        ledger.cluster_lock_permits.insert(("business".into(), "lake".into()), 5);
        let share = Share { max_jobs: Some(4), max_executors: None };
        ledger.shares.insert(("business".into(), "jobs".into()), share);
        let spec = write_ledger(&ledger);
        let lock = |permits, most| LedgerLock { permits, max_permits: Some(most) };
        let locks = [("business/lake".to_owned(), lock(4, 5)), ("lake".to_owned(), lock(6, 9))];
        assert_eq!(spec.locks, BTreeMap::from(locks));
        let share = LedgerShare { jobs: 2, max_jobs: Some(4), executors: 6, max_executors: None };
        assert_eq!(spec.shares, BTreeMap::from([("business/jobs".to_owned(), share)]));
    }

    #[test]
    fn a_run_without_its_cluster_is_an_error() {
        let run = RunId { job: "u".into(), number: 1 };
        let mut ledger = Ledger::default();
        ledger.holders.insert(run.clone(), Arc::new(some_holder()));
        let mut spec = write_ledger(&ledger);
        spec.limits.remove("cluster/business");
        assert_eq!(read_ledger(&spec), Err(MalformedLedger::Halved(run)));
    }
}
