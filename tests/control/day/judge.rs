//! Judges a pool at every change, by what stands on the API server: pods, applications, the cluster, jobs. It shares nothing with
//! the keeper: no type, no rule, no word of its status but how large the pool is to be.
//!
//! What it sees of different kinds comes by different watches, one now before and now behind the other, and the keeper too needs a
//! moment until it has seen what somebody edited. Within a kind the order is right. So it is lenient in [`LATE`], and there alone.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::time::{Duration, Instant};

use kube::ResourceExt;
use kube::api::DynamicObject;
use kube::runtime::watcher::Event;
use serde_json::Value;

use super::spark::Released;
use crate::judge::Size;
use crate::observer::{Judging, Sight};

/// For so long after an edit the old `max` may still be gone by, two statuses may be seen so much closer to each other than they were
/// decided, and so long may placeholders be there that have to go.
const LATE: Duration = Duration::from_secs(1);

/// What was declared of the pool; a unit is a core and two GiB.
#[derive(Debug, Default)]
pub(crate) struct Declared {
    pub(crate) namespace: String,
    pub(crate) cluster: String,
    pub(crate) stabilization: Duration,
}

/// The bounds of a generation of the cluster, and when it came.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    since: Instant,
    min: u64,
    max: u64,
}

/// How large the pool was to be from then on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Change {
    at: Instant,
    generation: i64,
    desired: u64,
}

/// What was found so far.
#[derive(Debug, Default)]
pub(crate) struct Judge {
    declared: Declared,
    released: Released,
    /// By generation.
    bounds: BTreeMap<i64, Bounds>,
    changes: Vec<Change>,
    /// What is granted to applications that have not ended, by UID.
    alive: BTreeMap<String, [u64; 3]>,
    /// UIDs of all applications, of all placeholders, and of those that are there.
    applications: BTreeSet<String>,
    placeholders: BTreeSet<String>,
    held: BTreeSet<String>,
    displaced: BTreeSet<String>,
    executors: BTreeSet<String>,
    succeeded: BTreeSet<String>,
    /// The most units that were granted at once.
    peak: u64,
    /// Since when there have been more placeholders than there may be.
    crowded: Option<Instant>,
    /// When the keeper died, and when the next one showed itself.
    died: Option<Instant>,
    taken_over: Option<Instant>,
    looks: usize,
    violations: Vec<String>,
}

impl Judge {
    pub(crate) fn new(declared: Declared, released: Released) -> Self {
        Self { declared, released, ..Self::default() }
    }

    /// Units that are granted: of executors, cores and memory what takes the most.
    pub(crate) fn granted(&self) -> u64 {
        let sum = |part: usize| self.alive.values().map(|it| it[part]).sum::<u64>();
        sum(0).max(sum(1).div_ceil(1000)).max(sum(2).div_ceil(2048))
    }

    /// How large the pool is to be.
    pub(crate) fn desired(&self) -> Option<u64> {
        self.changes.last().map(|change| change.desired)
    }

    /// The least and the most that it ever was to be.
    pub(crate) fn extremes(&self) -> Option<(u64, u64)> {
        let all = || self.changes.iter().map(|change| change.desired);
        all().min().zip(all().max())
    }

    /// How many placeholders there are.
    pub(crate) fn held(&self) -> u64 {
        self.held.len() as u64
    }

    /// How many placeholders had to make room.
    pub(crate) fn displaced(&self) -> usize {
        self.displaced.len()
    }

    /// How many jobs have succeeded.
    pub(crate) fn succeeded(&self) -> usize {
        self.succeeded.len()
    }

    /// The keeper was killed.
    pub(crate) fn keeper_died(&mut self, at: Instant) {
        self.died = Some(at);
    }

    // ---- what happens -------------------------------------------------------------------------------------------------

    /// The cluster is there, or has changed.
    pub(crate) fn cluster(&mut self, object: &DynamicObject, at: Instant) {
        if object.name_any() != self.declared.cluster {
            return;
        }
        let (spec, status) = (&object.data["spec"]["executors"], &object.data["status"]);
        let generation = object.metadata.generation.unwrap_or_default();
        let number = |value: &Value| value.as_u64().unwrap_or_default();
        let bounds = Bounds { since: at, min: number(&spec["min"]), max: number(&spec["max"]) };
        self.bounds.entry(generation).or_insert(bounds);
        let (desired, generation) = (status["executors"]["desired"].as_u64(), status["observedGeneration"].as_i64());
        let Some((desired, generation)) = desired.zip(generation) else {
            if !self.changes.is_empty() {
                self.violation("it is said no more how many are desired".to_owned());
            }
            return;
        };
        let change = Change { at, generation, desired };
        match self.bounds.get(&generation) {
            Some(Bounds { min, max, .. }) if (*min..=*max).contains(&desired) => {}
            bounds => self.violation(format!("{desired} are desired where {bounds:?} hold")),
        }
        match self.changes.last().copied() {
            Some(last) if last.desired != desired => self.changed(last, change),
            Some(_) => return,
            None => {}
        }
        self.changes.push(change);
        self.look(at);
    }

    /// An application is there, or has changed.
    pub(crate) fn application(&mut self, object: &DynamicObject, at: Instant) {
        let (uid, state) = (object.uid().unwrap_or_default(), &object.data["status"]["applicationState"]["state"]);
        // One that is suspended holds a name, and nothing else.
        if !self.is_ours(object) || object.data["spec"]["suspend"] == true {
            return;
        }
        if self.applications.insert(uid.clone()) {
            let parts = Size::of(&object.data["spec"]).parts();
            self.alive.insert(uid.clone(), parts.map(|part| u64::try_from(part).expect("a size")));
            let (granted, max) = (self.granted(), self.max(at));
            self.peak = self.peak.max(granted);
            if granted > max {
                self.violation(format!("{granted} units are granted with {}, {max} are allowed", object.name_any()));
            }
            if self.died.is_some_and(|died| died < at) {
                self.taken_over.get_or_insert(at);
            }
        }
        if state == "FAILED" {
            self.violation(format!("{} failed", object.name_any()));
        }
        if state == "COMPLETED" || state == "FAILED" {
            self.alive.remove(&uid);
        }
        self.look(at);
    }

    /// An application is gone.
    pub(crate) fn application_gone(&mut self, object: &DynamicObject) {
        if self.alive.remove(&object.uid().unwrap_or_default()).is_some() {
            self.violation(format!("{} went before it had ended", object.name_any()));
        }
    }

    /// A pod is there, or has changed.
    pub(crate) fn pod(&mut self, object: &DynamicObject, at: Instant) {
        if !self.is_ours(object) {
            return;
        }
        let (uid, is_leaving) = (object.uid().unwrap_or_default(), object.metadata.deletion_timestamp.is_some());
        let is_placeholder = object.data["spec"]["priorityClassName"] == "slowlane-placeholder";
        if let Some(reason) = disruption(object) {
            if is_placeholder && reason == "PreemptionByScheduler" {
                self.displaced.insert(uid.clone());
            } else {
                self.violation(format!("{} had to go: {reason}", object.name_any()));
            }
        }
        if is_leaving {
            self.may_go(object);
        }
        if is_placeholder && !is_leaving {
            self.placeholders.insert(uid.clone());
            self.held.insert(uid);
        } else if is_placeholder {
            self.held.remove(&uid);
        } else if role(object) == Some("executor") {
            self.executors.insert(uid);
        }
        self.look(at);
    }

    /// A pod is gone.
    pub(crate) fn pod_gone(&mut self, object: &DynamicObject, at: Instant) {
        if self.is_ours(object) {
            self.held.remove(&object.uid().unwrap_or_default());
            self.may_go(object);
            self.look(at);
        }
    }

    /// A job is there, or has changed.
    pub(crate) fn job(&mut self, object: &DynamicObject) {
        match object.data["status"]["state"].as_str() {
            _ if !self.is_ours(object) => {}
            Some("Succeeded") => _ = self.succeeded.insert(object.name_any()),
            Some(state @ ("Failed" | "Cancelled" | "Refused")) => {
                self.violation(format!("{} is {state}", object.name_any()));
            }
            _ => {}
        }
    }

    // ---- what may be --------------------------------------------------------------------------------------------------

    fn is_ours(&self, object: &DynamicObject) -> bool {
        object.metadata.namespace.as_ref() == Some(&self.declared.namespace)
    }

    /// The `max` in force, or the one before if somebody has just edited it.
    fn max(&self, at: Instant) -> u64 {
        let ends = self.bounds.values().skip(1).map(|next| Some(next.since)).chain([None]);
        let in_force = self.bounds.values().zip(ends).filter(|(_, end)| end.is_none_or(|end| at < end + LATE));
        in_force.map(|(bounds, _)| bounds.max).max().unwrap_or_default()
    }

    fn changed(&mut self, last: Change, next: Change) {
        let (window, passed) = (self.declared.stabilization, next.at - last.at);
        let had_grown = self.changes.iter().rev().nth(1).is_some_and(|before| before.desired < last.desired);
        let wait = if had_grown { 2 * window } else { window };
        let is_edited = last.generation != next.generation;
        if next.desired < last.desired && !is_edited && passed + LATE < wait {
            let (from, to) = (last.desired, next.desired);
            self.violation(format!("it shrank from {from} to {to} {passed:.1?} after its last change"));
        }
        // Until it has had a window of its own.
        let is_new = |at: Instant| self.taken_over.is_none_or(|since| at < since + window);
        let since = |died: Instant| self.changes.iter().any(|change| change.at > died && is_new(change.at));
        if self.died.is_some_and(since) && is_new(next.at) {
            self.violation(format!("it changed twice while one keeper took over from another, to {}", next.desired));
        }
    }

    /// Drivers go when they have ended, executors when they were released.
    fn may_go(&mut self, object: &DynamicObject) {
        let may_go = match role(object) {
            Some("executor") => self.released.has(&object.uid().unwrap_or_default()),
            Some("driver") => object.data["status"]["phase"] == "Succeeded",
            _ => true,
        };
        if !may_go {
            self.violation(format!("{} was lost: nobody had released it", object.name_any()));
        }
    }

    /// What is warm stands beside what is granted: both together are no more than `max`.
    fn look(&mut self, at: Instant) {
        self.looks += 1;
        let (room, held) = (self.max(at).saturating_sub(self.granted()), self.held());
        if held <= room {
            self.crowded = None;
        } else if at > *self.crowded.get_or_insert(at) + LATE {
            self.violation(format!("{held} placeholders are there where {room} have room beside what is granted"));
        }
    }
}

fn role(object: &DynamicObject) -> Option<&str> {
    object.labels().get("spark-role").map(String::as_str)
}

/// Why somebody other than its owner ends a pod.
fn disruption(object: &DynamicObject) -> Option<&str> {
    let mut conditions = object.data["status"]["conditions"].as_array().into_iter().flatten();
    let found = conditions.find(|it| it["type"] == "DisruptionTarget" && it["status"] == "True")?;
    found["reason"].as_str()
}

impl Judging for Judge {
    fn sights() -> Vec<Sight<Self>> {
        vec![
            (["slowlane.dev", "v1alpha1", "ComputeCluster"], |judge, event| {
                if let Event::Apply(object) | Event::InitApply(object) = event {
                    judge.cluster(object, Instant::now());
                }
            }),
            (["sparkoperator.k8s.io", "v1beta2", "SparkApplication"], |judge, event| match event {
                Event::Apply(object) | Event::InitApply(object) => judge.application(object, Instant::now()),
                Event::Delete(object) => judge.application_gone(object),
                Event::Init | Event::InitDone => {}
            }),
            (["", "v1", "Pod"], |judge, event| match event {
                Event::Apply(object) | Event::InitApply(object) => judge.pod(object, Instant::now()),
                Event::Delete(object) => judge.pod_gone(object, Instant::now()),
                Event::Init | Event::InitDone => {}
            }),
            (["slowlane.dev", "v1alpha1", "ManagedJob"], |judge, event| {
                if let Event::Apply(object) | Event::InitApply(object) = event {
                    judge.job(object);
                }
            }),
        ]
    }

    fn violation(&mut self, words: String) {
        self.violations.push(words);
    }

    fn has_found_nothing(&self) {
        assert!(self.violations.is_empty(), "{}\n{}", self.violations.join("\n"), self.summary());
    }

    fn summary(&self) -> String {
        let Self { succeeded, executors, peak, placeholders, displaced, changes, looks, .. } = self;
        let mut words = format!(
            "{} jobs succeeded, {} executors; {peak} units granted at once at most; {} placeholders came, {} of them were displaced, {} are there; {looks} changes judged; desired",
            succeeded.len(),
            executors.len(),
            placeholders.len(),
            displaced.len(),
            self.held()
        );
        let mut last = None;
        for Change { at, desired, .. } in changes {
            let passed = last.replace(*at).map(|last| format!(" +{:.1?}", *at - last)).unwrap_or_default();
            let _ = write!(words, "{passed} {desired}");
        }
        words
    }
}

#[cfg(test)]
mod tests;
