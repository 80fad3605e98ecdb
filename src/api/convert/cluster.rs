//! A `ComputeCluster` as deciding needs it, and its status.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use serde_json::Value;

use super::condition::condition;
use super::hold::{HELD, kept_hold, said_held};
use super::job::bounds;
use super::operation::keep_times;
use super::patch::status_patch;
use super::usage::{cluster_account, cluster_usage, warmth};
use super::window::{accept, windows};
use super::{api_time, count, labels, model_time, name, uid, written};
use crate::api::v1alpha1::{
    self as api, ComputeClusterSpec, ComputeClusterStatus, ExecutorCounts, ExecutorUnit, JobCounts, NamespaceLimits,
    NextWindow, OnWindowEnd, OrderingStrategy, SizeSpec, StopPolicy, WarmCapacity,
};
use crate::model::{
    Accept, Account, Cluster, ClusterStatus, Name, Outline, PodSize, PoolRules, PoolWords, Requirement,
    RequirementOperator, Resources, Selector, Share, Size, Span, Strategy, Time, Uid, Window, is_label,
};
use crate::spark::{BuildError, Place, check, check_size, cpu_quantity, memory_quantity, outline, size_outline};

/// The cluster. What makes it unusable is its defect, with the path of the field.
#[must_use]
pub fn cluster(meta: &ObjectMeta, spec: &ComputeClusterSpec, status: Option<&ComputeClusterStatus>) -> Cluster {
    let held = is_cluster_held(spec);
    let conditions = status.map(|status| &status.conditions);
    let bare = Cluster {
        name: name(meta),
        uid: uid(meta),
        generation: meta.generation.unwrap_or(0),
        labels: labels(meta),
        selector: None,
        max_jobs: spec.limits.as_ref().and_then(|limits| limits.max_concurrent_jobs).map(count),
        share: spec.limits.as_ref().and_then(|limits| limits.per_namespace).map(share).unwrap_or_default(),
        locks: BTreeMap::new(),
        admit_below: spec.occupancy.and_then(|occupancy| occupancy.admit_below_percent).map(count),
        max_pending: spec.submission.and_then(|submission| submission.max_pending).map(count),
        strategy: spec.ordering.map(|ordering| strategy(ordering.strategy)).unwrap_or_default(),
        capacity: Resources::UNBOUNDED,
        pool: pool(spec),
        pool_defect: pool_defect(spec).map(Into::into),
        unit: None,
        holds_placeholders: spec.warm_capacity == WarmCapacity::Placeholder,
        windows: Vec::new(),
        accept: Vec::new(),
        cancels_at_window_end: spec.on_window_end == OnWindowEnd::Cancel,
        held,
        hold: kept_hold(meta, "stopPolicy", conditions).filter(|_| held),
        template: spec.template.as_ref().map(outline).unwrap_or_default(),
        sizes: BTreeMap::new(),
        defect: None,
        published: status.and_then(published),
        account: status.map(account).unwrap_or_default(),
        warmth: status.and_then(|status| warmth(status.usage.as_ref()?)),
    };
    match checked(spec) {
        Ok(read) => Cluster {
            selector: read.selector,
            capacity: read.capacity,
            unit: read.unit,
            locks: read.locks,
            windows: read.windows,
            accept: read.accept,
            sizes: read.sizes,
            ..bare
        },
        Err(defect) => Cluster { defect: Some(format!("spec.{defect}").into()), ..bare },
    }
}

/// Whether somebody holds it.
#[must_use]
pub fn is_cluster_held(spec: &ComputeClusterSpec) -> bool {
    spec.stop_policy == StopPolicy::Hold
}

/// What can be wrong.
struct Checked {
    selector: Option<Selector>,
    capacity: Resources,
    unit: Option<PodSize>,
    locks: BTreeMap<Name, u32>,
    windows: Vec<Window>,
    accept: Vec<Accept>,
    sizes: BTreeMap<Name, Size>,
}

fn checked(spec: &ComputeClusterSpec) -> Result<Checked, String> {
    let words = |error: BuildError| error.to_string();
    if let Some(template) = &spec.template {
        check(template, Place::Template).map_err(words)?;
    }
    let windows = windows(spec)?;
    Ok(Checked {
        selector: spec.namespace_selector.as_ref().map(|it| selector("namespaceSelector", it)).transpose()?,
        capacity: capacity(spec).map_err(words)?,
        unit: spec.executor.as_ref().map(unit).transpose().map_err(words)?,
        locks: locks(spec)?,
        accept: accept(spec, &windows)?,
        windows,
        sizes: spec.sizes.iter().map(size).collect::<Result<_, _>>().map_err(words)?,
    })
}

fn share(limits: NamespaceLimits) -> Share {
    Share {
        max_jobs: limits.max_concurrent_jobs.map(count),
        max_executors: limits.max_executors.map(|most| u64::from(count(most))),
    }
}

fn strategy(strategy: OrderingStrategy) -> Strategy {
    match strategy {
        OrderingStrategy::PriorityFifo => Strategy::PriorityFifo,
        OrderingStrategy::StrictFifo => Strategy::StrictFifo,
        OrderingStrategy::Backfill => Strategy::Backfill,
    }
}

/// Permits by lock. A name that no operation can say (the schema refuses it) is an error.
fn locks(spec: &ComputeClusterSpec) -> Result<BTreeMap<Name, u32>, String> {
    let read = |(name, permits): (&String, &i32)| {
        if is_label(name) {
            return Ok((name.as_str().into(), count(*permits)));
        }
        let name = crate::text::clean(name, 100);
        Err(format!("limits.locks: {name:?} is no name of a lock: letters a to z, digits and -, at most 63"))
    };
    spec.limits.iter().flat_map(|limits| &limits.locks).map(read).collect()
}

fn size((name, size): (&String, &SizeSpec)) -> Result<(Name, Size), BuildError> {
    check_size(name, size)?;
    let Outline { driver, executor, .. } = size_outline(size);
    Ok((name.as_str().into(), Size { bounds: bounds(size.executors.min, size.executors.max), driver, executor }))
}

/// A selector; `field` is where it stands.
pub(super) fn selector(field: &str, selector: &LabelSelector) -> Result<Selector, String> {
    let labels = selector.match_labels.iter().flatten().map(|(key, value)| Requirement {
        key: key.as_str().into(),
        operator: RequirementOperator::In,
        values: vec![value.as_str().into()],
    });
    let mut requirements: Vec<Requirement> = labels.collect();
    for (number, expression) in selector.match_expressions.iter().flatten().enumerate() {
        let operator = match expression.operator.as_str() {
            "In" => RequirementOperator::In,
            "NotIn" => RequirementOperator::NotIn,
            "Exists" => RequirementOperator::Exists,
            "DoesNotExist" => RequirementOperator::DoesNotExist,
            other => {
                let path = format!("{field}.matchExpressions[{number}].operator");
                return Err(format!("{path}: {other:?} is none of In, NotIn, Exists, DoesNotExist"));
            }
        };
        let values = expression.values.iter().flatten().map(|value| value.as_str().into()).collect();
        requirements.push(Requirement { key: expression.key.as_str().into(), operator, values });
    }
    Ok(Selector { requirements })
}

/// The pool's size times its unit. Without a size nothing is bounded; without a unit executors are counted only.
fn capacity(spec: &ComputeClusterSpec) -> Result<Resources, BuildError> {
    let Some(most) = spec.executors.as_ref().and_then(|pool| pool.max) else { return Ok(Resources::UNBOUNDED) };
    let executors = u64::from(count(most));
    let Some(each) = &spec.executor else { return Ok(Resources { executors, ..Resources::UNBOUNDED }) };
    let PodSize { milli_cores, memory_mib } = unit(each)?;
    let times = |each: u64| executors.saturating_mul(each);
    Ok(Resources { executors, milli_cores: times(milli_cores), memory_mib: times(memory_mib) })
}

fn unit(unit: &ExecutorUnit) -> Result<PodSize, BuildError> {
    let milli_cores = cpu_quantity("executor.cores", &unit.cores.0)?;
    // Rounded down: a unit holds no more than it has.
    let memory_mib = memory_quantity("executor.memory", &unit.memory.0)? >> 20;
    Ok(PodSize { milli_cores, memory_mib })
}

/// How it grows and shrinks, with what is left out; the schema's rules hold for whatever comes in.
fn pool(spec: &ComputeClusterSpec) -> Option<PoolRules> {
    let bounds = spec.executors?;
    let occupancy = spec.occupancy.unwrap_or_default();
    let max = u64::from(count(bounds.max?));
    let of = |number: Option<i32>| number.map_or(0, |number| u64::from(count(number))).min(max);
    let seconds = |seconds: Option<i32>, default: u32| Span::seconds(seconds.map_or(default, count).into());
    let grow_above = occupancy.scale_up_above_percent.map_or(GROW_ABOVE, count).clamp(1, 100);
    let shrink_below = occupancy.scale_down_below_percent.map_or(SHRINK_BELOW, count).min(grow_above - 1);
    Some(PoolRules {
        min: of(bounds.min),
        max,
        warm: of(bounds.warm),
        grow_above,
        shrink_below,
        stabilization: seconds(occupancy.stabilization_seconds, STABILIZATION_SECONDS),
        idle: seconds(occupancy.idle_seconds, IDLE_SECONDS),
    })
}

/// What of the pool cannot be had.
fn pool_defect(spec: &ComputeClusterSpec) -> Option<String> {
    let pool = spec.executors?;
    let max = pool.max?;
    let above = |(_, number): &(&str, i32)| *number > max;
    let bounds = [("min", pool.min), ("warm", pool.warm)].map(|(field, number)| (field, number.unwrap_or(0)));
    let (field, number) = bounds.into_iter().find(above)?;
    Some(format!(
        "spec.executors.{field} is {number}, above max, which is {max}: {max} holds; raise max or lower {field}"
    ))
}

// What the definitions say of fields that are left out.
const GROW_ABOVE: u32 = 80;
const SHRINK_BELOW: u32 = 40;
const STABILIZATION_SECONDS: u32 = 300;
const IDLE_SECONDS: u32 = 600;

const READY: &str = "Ready";
const SATURATED: &str = "Saturated";
const WITHIN: &str = "WithinWindow";
const OPERATOR: &str = "SparkOperatorAvailable";
const UNDECLARED: &str = "UndeclaredApplication";
/// Its pool is as large as it is to be.
const SCALED: &str = "Scaled";
const INVALID: &str = "InvalidSpec";

fn published(status: &ComputeClusterStatus) -> Option<ClusterStatus> {
    let find = |type_: &str| status.conditions.iter().find(|condition| condition.type_ == type_);
    let holds = |type_: &str| find(type_).map(|condition| condition.status == "True");
    let (jobs, executors) = (status.jobs?, status.executors?);
    let ready = find(READY)?;
    Some(ClusterStatus {
        observed_generation: status.observed_generation?,
        running: count(jobs.running),
        queued: count(jobs.queued),
        executors_in_use: u64::from(count(executors.in_use)),
        executors_max: executors.max.map(|most| u64::from(count(most))),
        executors_desired: executors.desired.map(|desired| u64::from(count(desired))),
        executors_ready: u64::from(count(executors.ready)),
        executors_warm: executors.warm.map(|warm| u64::from(count(warm))),
        sized: find(SCALED).map(|condition| PoolWords {
            is_changing: condition.status != "True",
            reason: condition.reason.as_str().into(),
            message: condition.message.as_str().into(),
        }),
        strangers: executors.strangers.map(|executors| u64::from(count(executors))),
        undeclared: find(UNDECLARED)
            .filter(|condition| condition.status == "True")
            .map(|condition| condition.message.as_str().into()),
        occupancy_percent: status.occupancy_percent.map(count),
        saturated: holds(SATURATED)?,
        held: said_held(find(HELD)?),
        within_window: holds(WITHIN)?,
        next_window: status.next_window.as_ref().map(|next| (next.name.as_str().into(), model_time(&next.opens))),
        spark_operator_available: holds(OPERATOR)?,
        defect: (ready.reason == INVALID).then(|| ready.message.as_str().into()),
        account: account(status),
        warmth: status.usage.as_ref().and_then(warmth),
    })
}

/// Its account: whatever else its status says, that is read.
fn account(status: &ComputeClusterStatus) -> Account {
    status.usage.as_ref().map(cluster_account).unwrap_or_default()
}

/// The JSON patch that says this of the cluster with this UID; `now` is when it became so.
#[must_use]
pub fn cluster_status(status: &ClusterStatus, uid: &Uid, before: Option<&ComputeClusterStatus>, now: Time) -> Value {
    let generation = status.observed_generation;
    let (ready, reason, words) = readiness(status);
    let say = |type_, truth: bool, reason, message| condition(type_, truth, reason, message, now, generation);
    let mut conditions = vec![say(READY, ready, reason, words)];
    conditions.push(if status.saturated {
        say(SATURATED, true, "Full", "jobs wait because it is full")
    } else {
        say(SATURATED, false, "HasRoom", "no job waits for room in it")
    });
    conditions.push(if status.within_window {
        say(WITHIN, true, "Accepting", "it accepts jobs at this time")
    } else {
        say(WITHIN, false, "OutsideWindow", "no entry of spec.accept applies at this time")
    });
    conditions.push(match &status.held {
        Some(words) => say(HELD, true, "StopPolicy", words),
        None => say(HELD, false, "NotHeld", "spec.stopPolicy is None"),
    });
    conditions.push(if status.spark_operator_available {
        say(OPERATOR, true, "Served", "SparkApplications are served")
    } else {
        say(OPERATOR, false, NO_OPERATOR, NO_OPERATOR_WORDS)
    });
    conditions.extend(match (status.strangers, &status.undeclared) {
        (None, _) => None,
        (Some(_), Some(words)) => Some(say(UNDECLARED, true, "Undeclared", words)),
        (Some(_), None) => Some(say(UNDECLARED, false, "AllDeclared", ALL_DECLARED)),
    });
    conditions.extend(status.sized.as_ref().map(|it| say(SCALED, !it.is_changing, &it.reason, &it.message)));
    if status.defect.is_some() {
        conditions.push(say("Stalled", true, reason, words));
    }
    let said = api::ComputeClusterStatus {
        observed_generation: Some(generation),
        executors: Some(ExecutorCounts {
            desired: status.executors_desired.map(written),
            ready: written(status.executors_ready),
            in_use: written(status.executors_in_use),
            warm: status.executors_warm.map(written),
            strangers: status.strangers.map(written),
            max: status.executors_max.map(written),
        }),
        jobs: Some(JobCounts { running: written(status.running), queued: written(status.queued) }),
        occupancy_percent: status.occupancy_percent.map(written),
        usage: Some(cluster_usage(status.account, status.warmth)),
        next_window: status
            .next_window
            .as_ref()
            .map(|(name, opens)| NextWindow { name: name.to_string(), opens: api_time(*opens) }),
        conditions: keep_times(conditions, before.map(|before| before.conditions.as_slice()).unwrap_or_default()),
    };
    status_patch(&said, &uid.to_string())
}

const ALL_DECLARED: &str = "every SparkApplication in its namespaces is of a ManagedJob";
const NO_OPERATOR: &str = "NoSparkApplications";
const NO_OPERATOR_WORDS: &str = "the API server does not know SparkApplications: install the kubeflow spark-operator";

fn readiness(status: &ClusterStatus) -> (bool, &'static str, &str) {
    match status {
        ClusterStatus { defect: Some(defect), .. } => (false, INVALID, defect),
        ClusterStatus { spark_operator_available: false, .. } => (false, NO_OPERATOR, NO_OPERATOR_WORDS),
        ClusterStatus { held: Some(words), .. } => (false, HELD, words),
        ClusterStatus { within_window: false, .. } => {
            (true, "OutsideWindow", "it is ready; no entry of spec.accept applies at this time")
        }
        ClusterStatus { .. } => (true, "Ready", "jobs can start in it"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::{Amount, Usage, Warmth};
    use crate::model::{ExecutorBounds, PodSizing};

    fn read(spec: Value) -> Cluster {
        let meta = ObjectMeta { name: Some("business".into()), ..ObjectMeta::default() };
        cluster(&meta, &serde_json::from_value(spec).unwrap(), None)
    }

    #[test]
    fn capacity_is_the_pool_times_its_unit() {
        let cluster = read(json!({"executors": {"max": 3}, "executor": {"cores": "1500m", "memory": "2Gi"}}));
        assert_eq!(cluster.capacity, Resources { executors: 3, milli_cores: 4500, memory_mib: 6144 });
        assert_eq!(read(json!({})).capacity, Resources::UNBOUNDED);
        let counted = Resources { executors: 3, ..Resources::UNBOUNDED };
        assert_eq!(read(json!({"executors": {"max": 3}})).capacity, counted);
    }

    #[test]
    fn an_absent_selector_admits_nobody_and_an_empty_one_everybody() {
        let labels = std::collections::BTreeMap::new();
        assert!(!read(json!({})).admits(&labels));
        assert!(read(json!({"namespaceSelector": {}})).admits(&labels));
        let selector = json!({"matchLabels": {"team": "data"},
            "matchExpressions": [{"key": "env", "operator": "NotIn", "values": ["test"]}]});
        let cluster = read(json!({"namespaceSelector": selector}));
        assert!(!cluster.admits(&labels));
        assert!(cluster.admits(&std::collections::BTreeMap::from([("team".into(), "data".into())])));
    }

    #[test]
    fn shares_locks_occupancy_and_order_are_taken_over() {
        let cluster = read(json!({
            "limits": {"perNamespace": {"maxConcurrentJobs": 2, "maxExecutors": 8}, "locks": {"lake": 4, "mail": 0}},
            "executors": {"max": 9}, "occupancy": {"admitBelowPercent": 80}, "ordering": {"strategy": "StrictFifo"},
            "submission": {"maxPending": 20},
        }));
        assert_eq!(cluster.defect, None);
        assert_eq!(cluster.share, Share { max_jobs: Some(2), max_executors: Some(8) });
        assert_eq!(cluster.locks, BTreeMap::from([("lake".into(), 4), ("mail".into(), 0)]));
        assert_eq!((cluster.admit_below, cluster.strategy), (Some(80), Strategy::StrictFifo));
        assert_eq!(cluster.max_pending, Some(20));
        let plain = read(json!({"limits": {"maxConcurrentJobs": 1}}));
        assert_eq!((plain.share, plain.admit_below, plain.strategy), (Share::default(), None, Strategy::PriorityFifo));
        assert_eq!(plain.max_pending, None);
    }

    #[test]
    fn a_lock_that_no_operation_can_name_is_a_defect() {
        for name in ["", "Lake", "a.b", "a/b", "-a", &"a".repeat(64)] {
            let defect = read(json!({"limits": {"locks": {name: 1}}})).defect.unwrap();
            assert!(defect.starts_with("spec.limits.locks: "), "{name}: {defect}");
        }
    }

    #[test]
    fn a_template_that_is_refused_is_a_defect_with_its_path() {
        let cluster = read(json!({"template": {"driver": {"memory": "lots"}}}));
        let defect = cluster.defect.unwrap();
        assert!(defect.starts_with("spec.template.driver.memory"), "{defect}");
    }

    #[test]
    fn sizes_are_taken_over_and_one_that_cannot_be_read_is_a_defect() {
        let sizes = |memory: &str| {
            let executor = json!({"cores": 4, "memory": memory});
            read(
                json!({"sizes": {"M": {"executors": {"max": 4}, "executor": executor}, "s": {"executors": {"min": 2}}}}),
            )
        };
        let cluster = sizes("8g");
        let executor = PodSizing { cores: Some(4), memory_mib: Some(8192), ..PodSizing::default() };
        let (large, small) = (ExecutorBounds { min: 1, max: 4 }, ExecutorBounds { min: 2, max: 2 });
        let expected = [("M", large, executor), ("s", small, PodSizing::default())];
        let expected =
            expected.map(|(name, bounds, executor)| (name.into(), Size { bounds, executor, ..Size::default() }));
        assert_eq!((cluster.sizes, cluster.defect), (BTreeMap::from(expected), None));
        let defect = sizes("lots").defect.unwrap();
        assert!(defect.starts_with("spec.sizes.M.executor.memory is \"lots\", which is not a size in"), "{defect}");
    }

    #[test]
    fn a_status_is_read_back_as_it_was_written() {
        let amount = Amount { core_seconds: 1, gib_seconds: 2 };
        let plain = ClusterStatus {
            observed_generation: 3,
            executors_max: Some(4),
            executors_in_use: 2,
            spark_operator_available: true,
            ..ClusterStatus::default()
        };
        let all = [
            plain.clone(),
            ClusterStatus {
                held: Some("by Ann".into()),
                saturated: true,
                occupancy_percent: Some(120),
                ..plain.clone()
            },
            ClusterStatus { strangers: Some(0), ..plain.clone() },
            ClusterStatus {
                executors_desired: Some(6),
                executors_ready: 5,
                executors_warm: Some(2),
                sized: Some(PoolWords { is_changing: true, reason: "PoolFull".into(), message: "from 4 to 6".into() }),
                ..plain.clone()
            },
            ClusterStatus {
                strangers: Some(4),
                undeclared: Some("2 that no ManagedJob declared".into()),
                ..plain.clone()
            },
            ClusterStatus { spark_operator_available: false, executors_max: None, ..plain.clone() },
            ClusterStatus {
                within_window: true,
                next_window: Some(("office".into(), Time(1_700_000_000_000))),
                ..plain.clone()
            },
            ClusterStatus {
                account: Account { usage: Usage { granted: amount, used: amount }, through: 7 },
                warmth: Some(Warmth { amount, until: Time(1_700_000_000_000) }),
                ..plain.clone()
            },
            ClusterStatus { defect: Some("spec.template: odd".into()), ..plain },
        ];
        for status in all {
            let patch = cluster_status(&status, &"u".into(), None, Time(5));
            let stored: ComputeClusterStatus = serde_json::from_value(patch[1]["value"].clone()).unwrap();
            assert_eq!(published(&stored), Some(status));
        }
    }
}
