//! The ledger as the API server holds it. Holders are short texts, because objects would cost ten times as much to
//! write; a run stands under its operation with all that was granted, and under its cluster by its name alone, so that
//! the API server can count both.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::api::v1alpha1::{LedgerCluster, LedgerLimit, RunLedgerSpec};
use crate::model::{Footprint, Holder, Ledger, Locks, Name, ObjectKey, PodSize, Resources, RunId, Time};

/// A ledger that says something we do not understand. It is never taken for an empty one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MalformedLedger {
    /// A key of `spec.limits` is neither an operation nor a cluster.
    #[error("spec.limits[{0}]: not op/NAMESPACE/NAME or cluster/NAME")]
    Key(String),
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
        limits,
        clusters: clusters.collect(),
    }
}

fn hold(limits: &mut BTreeMap<String, LedgerLimit>, key: String, limit: Option<u32>, run: &RunId, text: String) {
    let entry = limits.entry(key).or_default();
    entry.limit = limit.map(super::written);
    entry.holders.insert(run.to_string(), text);
}

fn reserved(used: Resources, capacity: Resources) -> LedgerCluster {
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
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

fn text(holder: &Holder) -> String {
    let Footprint { driver, executor } = holder.footprint;
    format!(
        "{} driver={}m/{}Mi executor={}m/{}Mi executors={}..{} granted={} seen={}",
        escaped(&holder.job.name),
        driver.milli_cores,
        driver.memory_mib,
        executor.milli_cores,
        executor.memory_mib,
        holder.min_executors,
        holder.max_executors,
        holder.granted.0,
        holder.seen,
    )
}

/// A name as it stands in keys and texts: what no object is called by is percent-encoded, so that nothing that is written
/// can be read as something else, or not at all.
fn escaped(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    name.bytes().fold(String::with_capacity(name.len()), |mut text, byte| {
        if plain(byte) {
            text.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
        text
    })
}

/// The name that was [`escaped`].
fn unescaped(text: &str) -> Option<Name> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((plain, code)) = rest.split_once('%') {
        bytes.extend_from_slice(plain.as_bytes());
        let digits = code.get(..2).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &code[2..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8(bytes).ok().map(Into::into)
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
                    ledger.holders.insert(run_of(key, run)?, holder(key, &operation, run, text)?);
                }
            }
            _ => return Err(MalformedLedger::Key(key.clone())),
        }
    }
    for (name, entry) in &spec.clusters {
        ledger.cluster_capacity.insert(name_of(name, name)?, capacity(entry));
    }
    place(&mut ledger, &placed)?;
    Ok(ledger)
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
        holder.cluster = placed.get(run).cloned().ok_or_else(|| MalformedLedger::Halved(run.clone()))?;
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

fn parse(operation: &ObjectKey, text: &str) -> Option<Holder> {
    let mut words = text.split(' ');
    let job = ObjectKey { namespace: operation.namespace.clone(), name: unescaped(words.next()?)? };
    let mut field = |name: &str| words.next()?.strip_prefix(name)?.strip_prefix('=');
    let driver = pod_size(field("driver")?)?;
    let executor = pod_size(field("executor")?)?;
    let (min, max) = field("executors")?.split_once("..")?;
    let granted = Time(field("granted")?.parse().ok()?);
    let seen = field("seen")?.parse().ok()?;
    Some(Holder {
        job,
        operation: operation.name.clone(),
        cluster: "".into(),
        footprint: Footprint { driver, executor },
        min_executors: min.parse().ok()?,
        max_executors: max.parse().ok()?,
        locks: Locks::default(),
        granted,
        seen,
    })
}

fn pod_size(text: &str) -> Option<PodSize> {
    let (cores, memory) = text.split_once("m/")?;
    Some(PodSize { milli_cores: cores.parse().ok()?, memory_mib: memory.strip_suffix("Mi")?.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::api::v1alpha1::bounds;

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

    fn a_holder() -> impl Strategy<Value = Holder> {
        (
            names(),
            few("[ab]"),
            few("[xy]"),
            few("[kl]"),
            pod(),
            pod(),
            0..50_u64,
            0..50_u64,
            any::<i64>(),
            any::<bool>(),
        )
            .prop_map(|(job, namespace, operation, cluster, driver, executor, min, more, granted, seen)| {
                Holder {
                    job: ObjectKey::new(namespace, job),
                    operation: operation.into(),
                    cluster: cluster.into(),
                    footprint: Footprint { driver, executor },
                    min_executors: min,
                    max_executors: min + more,
                    locks: Locks::default(),
                    granted: Time(granted),
                    seen,
                }
            })
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
                    ledger.holders.insert(RunId { job: uid.into(), number }, holder);
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
            locks: Locks::default(),
            granted: Time(1_800_000_000_000),
            seen: false,
        }
    }

    #[test]
    fn the_longest_holder_fits_into_its_schema() {
        assert!(text(&some_holder()).len() <= bounds::LEDGER_TEXT as usize);
    }

    #[test]
    fn what_is_reserved_stands_beside_what_there_is() {
        let run = RunId { job: "u".into(), number: 1 };
        let mut ledger = Ledger::default();
        ledger.holders.insert(run, some_holder());
        ledger.cluster_capacity.insert("business".into(), Resources { executors: 7, ..Resources::UNBOUNDED });
        let cluster = write_ledger(&ledger).clusters["business"];
        assert_eq!((cluster.executors, cluster.max_executors), (100_000, Some(7)));
        assert_eq!(cluster.max_milli_cores, None);
    }

    #[test]
    fn a_run_without_its_cluster_is_an_error() {
        let run = RunId { job: "u".into(), number: 1 };
        let mut ledger = Ledger::default();
        ledger.holders.insert(run.clone(), some_holder());
        let mut spec = write_ledger(&ledger);
        spec.limits.remove("cluster/business");
        assert_eq!(read_ledger(&spec), Err(MalformedLedger::Halved(run)));
    }
}
