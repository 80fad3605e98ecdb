//! An `Operation` as deciding needs it, and its status.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta};
use serde_json::Value;

use super::condition::condition;
use super::hold::{HELD, kept_hold, said_held};
use super::job::{choice, executors, priority, time_limits};
use super::patch::status_patch;
use super::usage::{operation_account, operation_usage};
use super::{count, key, uid, written};
use crate::api::v1alpha1::{self as api, OperationSpec, RunCounts, RunSeconds, WhenAtLimit};
use crate::model::{
    Account, ClusterChoice, Defaults, Locks, Name, Operation, OperationStatus, RunTimes, Span, Time, Uid,
};
use crate::spark::{Place, check, outline, referenced_parameters, refers_to_result};

/// The operation. What cannot be built of it is its defect, with the path of the field.
#[must_use]
pub fn operation(meta: &ObjectMeta, spec: &OperationSpec, status: Option<&api::OperationStatus>) -> Operation {
    let result = spec.defaults.as_ref().and_then(|defaults| Some(defaults.result.as_ref()?.uri.as_str()));
    let parameters = referenced_parameters(&spec.application, None);
    let result_parameters = referenced_parameters(&api::ApplicationSpec::default(), result);
    let needs_result = result.is_none() && refers_to_result(&spec.application);
    let defect = check(&spec.application, Place::Operation).err();
    let named = spec.defaults.as_ref();
    let chosen = choice(
        "spec.defaults",
        named.and_then(|it| it.cluster_name.as_deref()),
        named.and_then(|it| it.cluster_selector.as_ref()),
    );
    let cluster = chosen.clone().ok().flatten();
    let conditions = status.map(|status| &status.conditions);
    Operation {
        key: key(meta),
        uid: uid(meta),
        generation: meta.generation.unwrap_or(0),
        limit: spec.max_concurrent_runs.map(count),
        hold: kept_hold(meta, "maxConcurrentRuns", conditions).filter(|_| is_operation_held(spec)),
        refuses_at_limit: spec.when_at_limit == Some(WhenAtLimit::Refuse),
        max_queued: spec.max_queued.map(count),
        expected: spec.expected_run_seconds.map(|seconds| Span::seconds(seconds.into())),
        locks: locks(&spec.locks),
        defaults: spec.defaults.as_ref().map(|it| defaults(it, cluster)).unwrap_or_default(),
        outline: outline(&spec.application),
        parameters: parameters.into_iter().map(Into::into).collect(),
        result_parameters: result_parameters.into_iter().map(Into::into).collect(),
        needs_result,
        defect: defect.map(|error| format!("spec.{error}")).or(chosen.err()).map(Into::into),
        published: status.and_then(published),
        account: status.map(account).unwrap_or_default(),
    }
}

/// Whether somebody holds it.
#[must_use]
pub fn is_operation_held(spec: &OperationSpec) -> bool {
    spec.max_concurrent_runs == Some(0)
}

/// By their names, in order; the schema lets each name stand once.
fn locks(locks: &[api::LockSpec]) -> Locks {
    let named: BTreeMap<Name, u32> =
        locks.iter().map(|lock| (lock.name.as_str().into(), count(lock.permits).max(1))).collect();
    named.into_iter().collect()
}

fn defaults(defaults: &api::JobDefaults, cluster: Option<Arc<ClusterChoice>>) -> Defaults {
    Defaults {
        priority: defaults.priority.map(priority),
        own_limit: defaults.max_concurrent_runs.map(count),
        cluster,
        executors: defaults.executors.as_ref().map(executors),
        time_limits: time_limits(defaults.start_timeout_seconds, defaults.active_deadline_seconds),
    }
}

/// What stands in the API; `None` when it is not what the keeper would have written.
fn published(status: &api::OperationStatus) -> Option<OperationStatus> {
    let find = |type_: &str| status.conditions.iter().find(|condition| condition.type_ == type_);
    let ready = find(READY)?;
    let runs = status.runs?;
    Some(OperationStatus {
        observed_generation: status.observed_generation?,
        alive: count(runs.alive),
        queued: count(runs.queued),
        times: status.run_seconds.map(|times| RunTimes { p50: count(times.p50), p95: count(times.p95) }),
        held: said_held(find(HELD)?),
        defect: (ready.reason == INVALID).then(|| ready.message.as_str().into()),
        account: account(status),
    })
}

/// Its account: whatever else its status says, that is read.
fn account(status: &api::OperationStatus) -> Account {
    status.usage.as_ref().map(operation_account).unwrap_or_default()
}

const READY: &str = "Ready";
const INVALID: &str = "InvalidSpec";

/// The JSON patch that says this of the operation with this UID; `now` is when it became so.
#[must_use]
pub fn operation_status(
    status: &OperationStatus,
    uid: &Uid,
    before: Option<&api::OperationStatus>,
    now: Time,
) -> Value {
    let generation = status.observed_generation;
    let say = |type_, truth: bool, reason, message| condition(type_, truth, reason, message, now, generation);
    let mut conditions = vec![match (&status.defect, &status.held) {
        (Some(defect), _) => say(READY, false, INVALID, defect),
        (None, Some(words)) => say(READY, false, HELD, words),
        (None, None) => say(READY, true, "Ready", "its jobs can run"),
    }];
    conditions.push(match &status.held {
        Some(words) => say(HELD, true, "MaxConcurrentRuns", words),
        None => say(HELD, false, "NotHeld", "spec.maxConcurrentRuns is not 0"),
    });
    if let Some(defect) = &status.defect {
        conditions.push(say("Stalled", true, INVALID, defect));
    }
    let said = api::OperationStatus {
        observed_generation: Some(generation),
        run_seconds: status.times.map(|times| RunSeconds { p50: written(times.p50), p95: written(times.p95) }),
        usage: Some(operation_usage(status.account)),
        runs: Some(RunCounts { alive: written(status.alive), queued: written(status.queued) }),
        conditions: keep_times(conditions, before.map(|before| before.conditions.as_slice()).unwrap_or_default()),
    };
    status_patch(&said, &uid.to_string())
}

/// A condition whose status stays as it was keeps the time of its last transition.
pub(super) fn keep_times(mut conditions: Vec<Condition>, before: &[Condition]) -> Vec<Condition> {
    for condition in &mut conditions {
        let old = before.iter().find(|old| old.type_ == condition.type_ && old.status == condition.status);
        if let Some(old) = old {
            condition.last_transition_time = old.last_transition_time.clone();
        }
    }
    conditions
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::{Amount, Usage};

    fn a_usage() -> Usage {
        let amount = |core_seconds, gib_seconds| Amount { core_seconds, gib_seconds };
        Usage { granted: amount(1, 2), used: amount(3, 4) }
    }

    fn meta() -> ObjectMeta {
        ObjectMeta { name: Some("daily".into()), namespace: Some("jobs".into()), ..ObjectMeta::default() }
    }

    fn read(spec: Value) -> Operation {
        operation(&meta(), &serde_json::from_value(spec).unwrap(), None)
    }

    #[test]
    fn takes_over_limit_defaults_and_parameters() {
        let operation = read(json!({
            "maxConcurrentRuns": 0, "defaults": {"priority": "Low", "result": {"uri": "s3a://x/$(params.z)"}},
            "application": {"type": "Python", "mainApplicationFile": "local:///a.py", "arguments": ["$(params.day)"]},
        }));
        assert_eq!((operation.limit, operation.defect), (Some(0), None));
        assert_eq!((operation.parameters, operation.result_parameters), (vec!["day".into()], vec!["z".into()]));
        assert_eq!(operation.defaults.priority, Some(crate::model::Priority::Low));
    }

    #[test]
    fn locks_are_in_order_and_one_permit_is_the_least() {
        let operation = read(json!({
            "locks": [{"name": "mail"}, {"name": "lake", "permits": 3}],
            "application": {"type": "Python", "mainApplicationFile": "local:///a.py"},
        }));
        assert_eq!(*operation.locks, [("lake".into(), 3), ("mail".into(), 1)]);
    }

    #[test]
    fn takes_over_whom_it_refuses() {
        let application = json!({"type": "Python", "mainApplicationFile": "local:///a.py"});
        let of = |operation: Operation| (operation.refuses_at_limit, operation.max_queued, operation.may_refuse());
        let plain = read(json!({"maxConcurrentRuns": 1, "whenAtLimit": "Queue", "application": application}));
        assert_eq!(of(plain), (false, None, false));
        let refusing = read(json!({"maxConcurrentRuns": 1, "whenAtLimit": "Refuse", "application": application}));
        assert_eq!(of(refusing), (true, None, true));
        assert_eq!(of(read(json!({"maxQueued": 0, "application": application}))), (false, Some(0), true));
    }

    #[test]
    fn what_cannot_be_built_is_a_defect_with_its_path() {
        let operation = read(json!({"application": {"type": "Python", "mainApplicationFile": "local:///a.py",
            "sparkConf": {"spark.master": "local"}}}));
        let defect = operation.defect.unwrap();
        assert!(defect.starts_with("spec.application.sparkConf[spark.master]"), "{defect}");
    }

    #[test]
    fn a_status_is_read_back_as_it_was_written() {
        let defect = || Some("spec.application.image: odd".into());
        let held = || Some("held by Ann".into());
        for (held, defect) in [(None, None), (None, defect()), (held(), None), (held(), defect())] {
            let times = defect.is_some().then_some(RunTimes { p50: 60, p95: 600 });
            let account = Account { usage: a_usage(), through: 9 };
            let status = OperationStatus { observed_generation: 3, alive: 1, queued: 2, times, held, defect, account };
            let patch = operation_status(&status, &"u".into(), None, Time(5));
            assert_eq!(patch[0], json!({"op": "test", "path": "/metadata/uid", "value": "u"}));
            let stored: api::OperationStatus = serde_json::from_value(patch[1]["value"].clone()).unwrap();
            assert_eq!(published(&stored), Some(status));
            let bare = api::OperationStatus { conditions: Vec::new(), ..stored };
            assert_eq!(
                (published(&bare), super::account(&bare)),
                (None, account),
                "the bill outlives what is forged beside it"
            );
        }
    }

    #[test]
    fn a_condition_that_stays_keeps_its_time() {
        let status = OperationStatus { observed_generation: 1, ..OperationStatus::default() };
        let first = operation_status(&status, &"u".into(), None, Time(1000));
        let stored: api::OperationStatus = serde_json::from_value(first[1]["value"].clone()).unwrap();
        let second = operation_status(&OperationStatus { queued: 9, ..status }, &"u".into(), Some(&stored), Time(9000));
        assert_eq!(second[1]["value"]["conditions"], first[1]["value"]["conditions"]);
    }
}
