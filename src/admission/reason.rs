//! What holds a waiting job, in words. Short: the first blocker's message stands in a column of `kubectl get`.

use super::entry::{ClusterEntry, OperationEntry, windows_of};
use super::gate::Gate;
use super::lane::{Candidate, Fit};
use super::queue::Queue;
use crate::model::{Blocker, ClusterChoice, Hold, Name, Resources, Time, WaitReason};

const NAMED_HOLDERS: usize = 10;

impl Gate {
    /// Everything that holds the jobs of a queue, in order of precedence. Names of other namespaces' jobs are not told,
    /// only their number.
    #[must_use]
    pub fn blockers(&self, queue: &Queue, now: Time) -> Vec<Blocker> {
        let Some(operation) = self.operation(&queue.key.operation) else { return Vec::new() };
        match queue.reason {
            WaitReason::UnknownOperation
            | WaitReason::InvalidParameters
            | WaitReason::NoMatchingCluster
            | WaitReason::ExceedsClusterMaximum
            | WaitReason::PendingEvaluation => vec![self.unqueueable(queue, operation)],
            WaitReason::Held
            | WaitReason::OperationHeld
            | WaitReason::ClusterHeld
            | WaitReason::OutsideWindow
            | WaitReason::OperationLimitReached
            | WaitReason::ClusterLimitReached
            | WaitReason::ClusterOccupied
            | WaitReason::HigherPriorityFirst => self.queued(queue, operation, now),
        }
    }

    fn unqueueable(&self, queue: &Queue, operation: &OperationEntry) -> Blocker {
        let (namespace, name) = (&queue.key.operation.namespace, &queue.key.operation.name);
        let defect = operation.declared.as_ref().and_then(|declared| declared.defect.as_deref());
        let message = match queue.reason {
            WaitReason::UnknownOperation => format!("no Operation {name} in namespace {namespace}"),
            WaitReason::InvalidParameters => match (defect, queue.key.defect.as_deref()) {
                (Some(defect), _) => format!("Operation {name}: {defect}"),
                (None, Some(defect)) => defect.to_owned(),
                (None, None) => self.unbuildable(queue),
            },
            WaitReason::NoMatchingCluster => self.no_cluster(queue),
            WaitReason::ExceedsClusterMaximum => self.never_fits(queue),
            _ => "the keeper is taking over".to_owned(),
        };
        Blocker { reason: queue.reason, message, limit: None, in_use: None, holders: Vec::new() }
    }

    fn no_cluster(&self, queue: &Queue) -> String {
        let namespace = &queue.key.operation.namespace;
        if self.is_terminating(namespace) {
            return format!("namespace {namespace} is being deleted");
        }
        match queue.key.cluster.as_deref() {
            Some(ClusterChoice::Selected(selector)) => {
                format!("no ComputeCluster with labels {selector} admits namespace {namespace}")
            }
            None => format!("no ComputeCluster admits namespace {namespace}"),
            Some(ClusterChoice::Named(name)) => match self.cluster(name).and_then(|entry| entry.declared.as_ref()) {
                None => format!("no ComputeCluster {name}"),
                Some(cluster) => match &cluster.defect {
                    Some(defect) => format!("ComputeCluster {name}: {defect}"),
                    None => format!("ComputeCluster {name} does not admit namespace {namespace}"),
                },
            },
        }
    }

    fn never_fits(&self, queue: &Queue) -> String {
        let large = self.candidates_of(queue).iter().filter(|candidate| candidate.fit == Fit::TooLarge);
        let nearest = large.filter_map(|candidate| {
            let entry = self.clusters.get(candidate.cluster)?;
            Some(short_of(candidate.need, entry.declared.as_ref()?.capacity, &entry.name, "has"))
        });
        nearest.into_iter().next().unwrap_or_default()
    }

    /// Why nothing can be built on any of the clusters; the first one's reason stands for all.
    fn unbuildable(&self, queue: &Queue) -> String {
        let problems = self.candidates_of(queue).iter().filter_map(|candidate| match candidate.fit {
            Fit::Unbuildable(problem) => Some((&self.clusters.get(candidate.cluster)?.name, problem)),
            Fit::Fits | Fit::TooLarge => None,
        });
        let Some((cluster, problem)) = problems.into_iter().next() else { return String::new() };
        let operation = &queue.key.operation.name;
        format!("Operation {operation} on {cluster}: spec.application.{} {}", problem.field, problem.words)
    }

    /// All that hold, first the one that is the reason.
    fn queued(&self, queue: &Queue, operation: &OperationEntry, now: Time) -> Vec<Blocker> {
        let mut blockers = Vec::new();
        blockers.extend(operation_blockers(queue, operation));
        let fitting = self.candidates_of(queue).iter().filter(|candidate| candidate.fit == Fit::Fits);
        let mut fitting: Vec<_> = fitting.map(|candidate| (self.opens_at(candidate, now), candidate)).collect();
        // Of clusters that are closed, the one that opens first is what people want to know of.
        fitting.sort_by_key(|(opens, _)| opens.unwrap_or(Time(i64::MAX)));
        blockers.extend(fitting.into_iter().filter_map(|(opens, it)| self.cluster_blocker(queue, it, opens)));
        blockers.sort_by_key(|blocker| blocker.reason);
        if let Some(first) = blockers.iter().position(|blocker| blocker.reason == queue.reason) {
            blockers[..=first].rotate_right(1);
        }
        blockers
    }

    /// When a cluster accepts these jobs again; now, where it is not closed to them.
    fn opens_at(&self, candidate: &Candidate, now: Time) -> Option<Time> {
        let entry = self.clusters.get(candidate.cluster)?;
        if candidate.entries & entry.open != 0 { Some(now) } else { entry.opens_at(candidate.entries, now) }
    }

    fn cluster_blocker(&self, queue: &Queue, candidate: &Candidate, opens: Option<Time>) -> Option<Blocker> {
        let entry = self.clusters.get(candidate.cluster)?;
        let declared = entry.declared.as_ref()?;
        let name = &entry.name;
        let reader = &queue.key.operation.namespace;
        let blocker = |reason, message, limit, in_use, holders| Blocker { reason, message, limit, in_use, holders };
        if !self.operator_available() {
            let message = "the spark-operator is not installed (no SparkApplication kind)".to_owned();
            return Some(blocker(WaitReason::ClusterHeld, message, None, None, Vec::new()));
        }
        if declared.held {
            let message = format!("ComputeCluster {name} is held{} (stopPolicy Hold)", by(declared.hold.as_ref()));
            return Some(blocker(WaitReason::ClusterHeld, message, None, None, Vec::new()));
        }
        if candidate.entries & entry.open == 0 {
            let message = outside_window(entry, candidate, opens);
            return Some(blocker(WaitReason::OutsideWindow, message, None, None, Vec::new()));
        }
        let holders = || visible_holders(entry, reader);
        if self.is_ledger_full() {
            let message = "the keeper's ledger is full".to_owned();
            return Some(blocker(WaitReason::ClusterLimitReached, message, None, None, Vec::new()));
        }
        if let Some(limit) = declared.max_jobs.filter(|limit| entry.alive() >= *limit) {
            let alive = entry.alive();
            let message = format!("{name} runs {alive} of {limit} jobs{}", behind(&holders(), alive as usize));
            return Some(blocker(
                WaitReason::ClusterLimitReached,
                message,
                Some(limit.into()),
                Some(alive.into()),
                holders(),
            ));
        }
        if candidate.need.fits(entry.room()) {
            let message = format!("room on {name} is kept for a job ranked above");
            let reserved = entry.vacancy.reserved_for.is_some();
            return reserved.then(|| blocker(WaitReason::HigherPriorityFirst, message, None, None, Vec::new()));
        }
        let message = short_of(candidate.need, entry.room(), name, "has free:");
        let (limit, used) = scarcest(candidate.need, entry.room(), declared.capacity, entry.used);
        Some(blocker(WaitReason::ClusterOccupied, message, Some(limit), Some(used), holders()))
    }
}

/// When the cluster accepts these jobs again: `business accepts it from 2026-11-30 08:00 Europe/Berlin`.
fn outside_window(entry: &ClusterEntry, candidate: &Candidate, opens: Option<Time>) -> String {
    let name = &entry.name;
    let Some(declared) = entry.declared.as_ref().filter(|_| candidate.entries != 0) else {
        return format!("{name} accepts no job of this operation and priority");
    };
    match opens {
        None => format!("{name} does not accept it, and no window changes that"),
        Some(time) => {
            let window = windows_of(declared, candidate.entries).next();
            let shown = window.map(|window| window.zone.show(time)).unwrap_or_default();
            format!("{name} accepts it from {shown}")
        }
    }
}

fn operation_blockers(queue: &Queue, operation: &OperationEntry) -> Option<Blocker> {
    let name = &queue.key.operation.name;
    let declared = operation.declared.as_ref()?;
    let alive = operation.alive();
    if declared.limit == Some(0) {
        let message = format!("Operation {name} is held{} (maxConcurrentRuns 0)", by(declared.hold.as_ref()));
        let reason = WaitReason::OperationHeld;
        return Some(Blocker { reason, message, limit: Some(0), in_use: Some(alive.into()), holders: Vec::new() });
    }
    let limit = [declared.limit, queue.key.own_limit].into_iter().flatten().min().filter(|limit| alive >= *limit)?;
    let holders: Vec<_> = operation.holders.values().take(NAMED_HOLDERS).cloned().collect();
    let message = format!("{alive} of {limit} running{}", behind(&holders, alive as usize));
    let reason = WaitReason::OperationLimitReached;
    Some(Blocker { reason, message, limit: Some(limit.into()), in_use: Some(alive.into()), holders })
}

/// ` by kubectl-edit since 2026-11-26 14:02 UTC`; nothing where nobody knows.
fn by(hold: Option<&Hold>) -> String {
    hold.map(|hold| format!(" by {hold}")).unwrap_or_default()
}

/// What holds everything: `held by the settings: maintenance until Monday`.
#[must_use]
pub fn held_words(hold: &Hold) -> String {
    format!("held by {hold}")
}

fn visible_holders(entry: &ClusterEntry, reader: &str) -> Vec<Name> {
    let visible = entry.holders.values().filter(|job| &*job.namespace == reader);
    visible.take(NAMED_HOLDERS).map(|job| job.name.clone()).collect()
}

/// `: behind a, b and 3 more`.
fn behind(holders: &[Name], all: usize) -> String {
    const SHOWN: usize = 2;
    let shown: Vec<_> = holders.iter().take(SHOWN).map(AsRef::as_ref).collect();
    if shown.is_empty() {
        return String::new();
    }
    match all.saturating_sub(shown.len()) {
        0 => format!(": {}", shown.join(", ")),
        more => format!(": {} and {more} more", shown.join(", ")),
    }
}

/// Names the dimension that is short: `needs 3 executors, business has 2`.
fn short_of(need: Resources, room: Resources, cluster: &str, has: &str) -> String {
    if need.executors > room.executors {
        format!("needs {} executors, {cluster} {has} {}", need.executors, room.executors)
    } else if need.milli_cores > room.milli_cores {
        format!("needs {} cores, {cluster} {has} {}", cores(need.milli_cores), cores(room.milli_cores))
    } else {
        format!("needs {} MiB, {cluster} {has} {}", need.memory_mib, room.memory_mib)
    }
}

/// Capacity and use of the dimension that is short.
fn scarcest(need: Resources, room: Resources, capacity: Resources, used: Resources) -> (u64, u64) {
    if need.executors > room.executors {
        (capacity.executors, used.executors)
    } else if need.milli_cores > room.milli_cores {
        (capacity.milli_cores, used.milli_cores)
    } else {
        (capacity.memory_mib, used.memory_mib)
    }
}

fn cores(milli: u64) -> String {
    match milli % 1000 {
        0 => (milli / 1000).to_string(),
        _ => format!("{milli}m"),
    }
}
