//! What holds a waiting job, in words. Short: the first blocker's message stands in a column of `kubectl get`.

use std::sync::Arc;

use super::entry::{ClusterEntry, OperationEntry, windows_of};
use super::gate::Gate;
use super::lane::{Candidate, Fit, LaneKey};
use super::queue::{Queue, QueueKey, Rank};
use crate::model::{
    Accept, Answer, Blocker, Cluster, ClusterChoice, ExecutorChoice, Hold, Name, Resources, Share, Strategy, Time,
    WaitReason,
};

const NAMED_HOLDERS: usize = 10;

impl Gate {
    /// Everything that holds one of the jobs of a queue, in order of precedence. Names of other namespaces' jobs are not told,
    /// only their number.
    #[must_use]
    pub fn blockers(&self, queue: &Queue, rank: Rank, now: Time) -> Vec<Arc<Blocker>> {
        let Some(operation) = self.operation_of(queue) else { return Vec::new() };
        match queue.reason {
            WaitReason::UnknownOperation
            | WaitReason::InvalidParameters
            | WaitReason::NoMatchingCluster
            | WaitReason::ExceedsClusterMaximum
            | WaitReason::PendingEvaluation => vec![self.unqueueable(queue, operation).into()],
            WaitReason::Held
            | WaitReason::OperationHeld
            | WaitReason::ClusterHeld
            | WaitReason::OutsideWindow
            | WaitReason::OperationLimitReached
            | WaitReason::NamespaceLimitReached
            | WaitReason::ClusterLimitReached
            | WaitReason::LockTaken
            | WaitReason::ClusterOccupied
            | WaitReason::SubmissionPaced
            | WaitReason::HigherPriorityFirst => self.queued((queue, rank), operation, now),
        }
    }

    /// The first of [`blockers`](Self::blockers): most who wait are told no more.
    #[must_use]
    pub fn first_blocker(&self, queue: &Queue, rank: Rank, now: Time) -> Option<Arc<Blocker>> {
        self.nearest_blocker(queue, rank, now).or_else(|| self.blockers(queue, rank, now).into_iter().next())
    }

    /// The first that holds the jobs of a queue, where it is the operation or a cluster.
    fn nearest_blocker(&self, queue: &Queue, rank: Rank, now: Time) -> Option<Arc<Blocker>> {
        match queue.reason {
            WaitReason::OperationHeld | WaitReason::OperationLimitReached => {
                let blocker = operation_blockers(queue, self.operation_of(queue)?);
                blocker.filter(|blocker| blocker.reason == queue.reason).map(Arc::new)
            }
            WaitReason::ClusterHeld
            | WaitReason::NamespaceLimitReached
            | WaitReason::ClusterLimitReached
            | WaitReason::LockTaken
            | WaitReason::ClusterOccupied
            | WaitReason::SubmissionPaced => {
                let lane = &self.lanes.get(queue.lane)?.key;
                let holds = |it: &&Candidate| {
                    it.fit == Fit::Fits && self.paced(it.cluster, self.standing(lane, it)) == queue.reason
                };
                let holding = lane.candidates.iter().filter(holds).map(|it| (self.opens_at(it, now), it));
                let (opens, first) = holding.min_by_key(|(opens, _)| opens.unwrap_or(Time(i64::MAX)))?;
                self.cluster_blocker((queue, rank), first, opens)
            }
            WaitReason::UnknownOperation
            | WaitReason::InvalidParameters
            | WaitReason::NoMatchingCluster
            | WaitReason::ExceedsClusterMaximum
            | WaitReason::Held
            | WaitReason::OutsideWindow
            | WaitReason::HigherPriorityFirst
            | WaitReason::PendingEvaluation => None,
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
        if let ExecutorChoice::Size(size) = &queue.key.executors
            && let clusters = self.without_size(&queue.key)
            && !clusters.is_empty()
        {
            let sizes: Vec<String> = clusters.into_iter().map(declared_sizes).collect();
            return format!("no cluster that it may use declares the size {size}: {}", sizes.join("; "));
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

    /// Why none of the clusters could ever take it; the first one's reason stands for all.
    fn never_fits(&self, queue: &Queue) -> String {
        let why = |candidate: &Candidate| {
            let entry = self.clusters.get(candidate.cluster)?;
            let (name, declared) = (&entry.name, entry.declared.as_ref()?);
            match candidate.fit {
                Fit::TooLarge => Some(short_of(candidate.need, declared.capacity, name, "has")),
                Fit::ExceedsShare => Some(exceeds_share(declared.share, candidate.need.executors, name)),
                Fit::ExceedsLock(number) => {
                    let (lock, needed) = self.lock_of(queue, number)?;
                    let permits = self.permits(lock, declared)?;
                    Some(format!("needs {needed} permits of lock {lock}, which has {permits}"))
                }
                Fit::Fits | Fit::Unbuildable(_) | Fit::UnknownLock(_) => None,
            }
        };
        self.candidates_of(queue).iter().find_map(why).unwrap_or_default()
    }

    fn lock_of(&self, queue: &Queue, number: usize) -> Option<&(Name, u32)> {
        self.lanes.get(queue.lane)?.key.locks.get(number)
    }

    /// Why nothing can be built on any of the clusters; the first one's reason stands for all.
    fn unbuildable(&self, queue: &Queue) -> String {
        let operation = &queue.key.operation.name;
        let why = |candidate: &Candidate| {
            let cluster = &self.clusters.get(candidate.cluster)?.name;
            match candidate.fit {
                Fit::Unbuildable(problem) => Some(format!(
                    "Operation {operation} on {cluster}: spec.application.{} {}",
                    problem.field, problem.words
                )),
                Fit::UnknownLock(number) => {
                    let (lock, _) = self.lock_of(queue, number)?;
                    Some(format!(
                        "Operation {operation} needs lock {lock}: neither the settings nor {cluster} declare it"
                    ))
                }
                Fit::Fits | Fit::TooLarge | Fit::ExceedsShare | Fit::ExceedsLock(_) => None,
            }
        };
        self.candidates_of(queue).iter().find_map(why).unwrap_or_default()
    }

    /// All that hold, first the one that is the reason.
    fn queued(&self, (queue, rank): (&Queue, Rank), operation: &OperationEntry, now: Time) -> Vec<Arc<Blocker>> {
        let candidates = self.candidates_of(queue);
        // Room for all at once: this is asked for with most statuses that are written.
        let mut blockers = Vec::with_capacity(candidates.len() + 2);
        let held = self.held.as_ref().map(|hold| Blocker {
            reason: WaitReason::Held,
            message: held_words(hold),
            limit: None,
            in_use: None,
            holders: Vec::new(),
        });
        blockers.extend(held.into_iter().chain(operation_blockers(queue, operation)).map(Arc::new));
        let mut fitting = Vec::with_capacity(candidates.len());
        let fits = candidates.iter().filter(|candidate| candidate.fit == Fit::Fits);
        fitting.extend(fits.map(|candidate| (self.opens_at(candidate, now), candidate)));
        // Of clusters that are closed, the one that opens first is what people want to know of.
        fitting.sort_by_key(|(opens, _)| opens.unwrap_or(Time(i64::MAX)));
        blockers.extend(fitting.into_iter().filter_map(|(opens, it)| self.cluster_blocker((queue, rank), it, opens)));
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

    fn cluster_blocker(
        &self,
        (queue, rank): (&Queue, Rank),
        candidate: &Candidate,
        opens: Option<Time>,
    ) -> Option<Arc<Blocker>> {
        let entry = self.clusters.get(candidate.cluster)?;
        let declared = entry.declared.as_ref()?;
        let lane = &self.lanes.get(queue.lane)?.key;
        let (name, reader) = (&entry.name, &queue.key.operation.namespace);
        let reason = self.paced(candidate.cluster, self.standing(lane, candidate));
        let plain = |reason, message| Blocker { reason, message, limit: None, in_use: None, holders: Vec::new() };
        let counted = |message, limit: u64, in_use: u64, holders| Blocker {
            reason,
            message,
            limit: Some(limit),
            in_use: Some(in_use),
            holders,
        };
        let blocker = match reason {
            WaitReason::ClusterHeld if !self.operator_available() => {
                plain(reason, "the spark-operator is not installed (no SparkApplication kind)".to_owned())
            }
            WaitReason::ClusterHeld => plain(reason, cluster_held(declared)),
            WaitReason::OutsideWindow => plain(reason, outside_window(declared, &queue.key, candidate, opens)),
            WaitReason::NamespaceLimitReached => {
                let (message, limit, in_use) = share_taken(entry, declared.share, candidate.need.executors, reader);
                counted(message, limit, in_use, visible_holders(entry, reader))
            }
            WaitReason::ClusterLimitReached if self.is_ledger_full() => {
                plain(reason, "the keeper's ledger is full".to_owned())
            }
            WaitReason::ClusterLimitReached => {
                let compose = || {
                    let (alive, limit) = (entry.alive(), declared.max_jobs.unwrap_or_default());
                    let holders = visible_holders(entry, reader);
                    let message = behind(format!("{name} runs {alive} of {limit} jobs"), &holders, alive as usize);
                    counted(message, limit.into(), alive.into(), holders)
                };
                return Some(entry.told.to(reader, compose));
            }
            WaitReason::LockTaken => {
                let taken = |(lock, needed): &&(Name, u32)| !self.is_lock_free(lock, *needed, candidate.cluster, None);
                let (lock, needed) = lane.locks.iter().find(taken)?;
                let (permits, used, holders, all) = self.lock_use(lock, *needed, candidate, reader)?;
                let message = format!("lock {lock}: {used} of {permits} permits taken, needs {needed}");
                let message = behind(message, &holders, all);
                counted(message, permits.into(), used.into(), holders)
            }
            WaitReason::ClusterOccupied if entry.is_full() => {
                let percent = declared.admit_below.unwrap_or_default();
                let (limit, used) = fullest(entry.occupied(), declared.capacity);
                let theirs = Some(entry.strangers.executors).filter(|executors| *executors > 0);
                let theirs = theirs.map(|executors| by_strangers(&format!("{executors} executors")));
                let message = format!("{name} admits below {percent} % occupancy{}", theirs.unwrap_or_default());
                counted(message, limit, used, visible_holders(entry, reader))
            }
            WaitReason::ClusterOccupied => {
                let short = candidate.need.minus(entry.room());
                let (limit, used) = scarcest(short, entry.occupied(), declared.capacity);
                let theirs = taken_by_strangers(short, entry.strangers);
                let mut message = short_of(candidate.need, entry.room(), name, "has free:") + &theirs;
                message.extend(reserved_words(entry, rank, self.now));
                counted(message, limit, used, visible_holders(entry, reader))
            }
            WaitReason::SubmissionPaced => {
                let (message, limit) = self.line(declared.max_pending);
                counted(message, limit, self.pace.in_line() as u64, Vec::new())
            }
            _ => plain(WaitReason::HigherPriorityFirst, self.kept_at(queue, lane, candidate)?),
        };
        Some(blocker.into())
    }

    /// How long the line before the spark-operator is, and may be.
    fn line(&self, max_pending: Option<u32>) -> (String, u64) {
        let (window, rate) = (self.pace.window() as u64, self.pace.rate());
        let bound = max_pending.map(u64::from);
        let limit = bound.map_or(window, |bound| bound.min(window));
        let adapted = (limit == window).then(|| format!("adapted to {}.{} a second", rate / 1000, rate % 1000 / 100));
        let declared = bound.map(|bound| format!("submission.maxPending {bound}"));
        let why: Vec<String> = declared.into_iter().chain(adapted).collect();
        let message = format!(
            "the spark-operator has {} SparkApplications to submit; {limit} at most ({})",
            self.pace.in_line(),
            why.join(", ")
        );
        (message, limit)
    }

    /// What of a cluster is kept for somebody who ranks above.
    fn kept_at(&self, queue: &Queue, lane: &LaneKey, candidate: &Candidate) -> Option<String> {
        let entry = self.clusters.get(candidate.cluster)?;
        let (name, rank) = (&entry.name, queue.head()?);
        let for_whom = "for a job ranked above";
        match self.shortage(lane, candidate, Some(rank), None) {
            Some(WaitReason::LockTaken) => {
                let kept =
                    |(lock, needed): &&(Name, u32)| !self.is_lock_free(lock, *needed, candidate.cluster, Some(rank));
                let (lock, _) = lane.locks.iter().find(kept)?;
                Some(format!("permits of lock {lock} are kept {for_whom}"))
            }
            Some(WaitReason::NamespaceLimitReached) => {
                Some(format!("the namespace's share of {name} is kept {for_whom}"))
            }
            Some(_) => Some(format!("a place on {name} is kept {for_whom}")),
            None if entry.claim_above(rank).is_some() && entry.vacancy.kept != Resources::default() => {
                Some(format!("room on {name} is kept {for_whom}"))
            }
            None if entry.strategy() == Strategy::StrictFifo => {
                Some(format!("a job ranked above waits for room on {name} (StrictFifo)"))
            }
            None if entry.vacancy.reservation.is_some() => {
                Some(format!("it would delay a job ranked above that has a reservation on {name}"))
            }
            None => None,
        }
    }

    /// Permits of a lock, how many are taken, by whom as far as the reader may know, and by how many.
    fn lock_use(
        &self,
        name: &Name,
        needed: u32,
        candidate: &Candidate,
        reader: &str,
    ) -> Option<(u32, u32, Vec<Name>, usize)> {
        let lock = self.locks.get(name)?;
        let (cluster, declared) = (candidate.cluster, self.clusters.get(candidate.cluster)?.declared.as_ref()?);
        let there = lock.used_on(cluster);
        let at_cluster = declared.locks.get(name).copied().filter(|permits| there + needed > *permits);
        let mine = lock.holders.values().filter(|holder| at_cluster.is_none() || holder.cluster == cluster);
        let all = mine.clone().count();
        let visible = mine.filter(|holder| &*holder.job.namespace == reader).take(NAMED_HOLDERS);
        let holders = visible.map(|holder| holder.job.name.clone()).collect();
        let (permits, used) = match at_cluster {
            Some(permits) => (permits, there),
            None => (lock.permits?, lock.used),
        };
        Some((permits, used, holders, all))
    }
}

/// `business has L, M, S`.
fn declared_sizes(cluster: &Cluster) -> String {
    let sizes: Vec<&str> = cluster.sizes.keys().map(AsRef::as_ref).collect();
    let sizes = if sizes.is_empty() { "none".to_owned() } else { sizes.join(", ") };
    format!("{} has {sizes}", cluster.name)
}

fn cluster_held(cluster: &Cluster) -> String {
    let name = &cluster.name;
    if cluster.held {
        format!("ComputeCluster {name} is held{} (stopPolicy Hold)", by(cluster.hold.as_ref()))
    } else {
        format!("ComputeCluster {name} is held (limits.maxConcurrentJobs 0)")
    }
}

/// When the first that lacks room is expected to have it, and whether that is later than it was told first.
fn reserved_words(entry: &ClusterEntry, head: Rank, now: Time) -> Option<String> {
    let (_, promised) = entry.promised.filter(|(rank, _)| *rank == head)?;
    let reservation = entry.vacancy.reservation?;
    if reservation.time <= now {
        return Some(format!("; expected at {promised}, but runs take longer than expected"));
    }
    let before = if reservation.time > promised { format!(" (first said: {promised})") } else { String::new() };
    Some(format!("; expected at {}{before}", reservation.time))
}

fn exceeds_share(share: Share, executors: u64, cluster: &str) -> String {
    match share.max_executors {
        Some(most) if executors > most => {
            format!("needs {executors} executors, {cluster} gives a namespace {most}")
        }
        _ => format!("{cluster} gives a namespace no jobs (limits.perNamespace.maxConcurrentJobs 0)"),
    }
}

/// What a namespace's share lacks, its limit and its use.
fn share_taken(entry: &ClusterEntry, share: Share, executors: u64, namespace: &Name) -> (String, u64, u64) {
    let (name, used) = (&entry.name, entry.shares.get(namespace).copied().unwrap_or_default());
    match share.max_jobs {
        Some(most) if used.jobs >= most => {
            let jobs = used.jobs;
            (format!("{namespace} runs {jobs} of its {most} jobs on {name}"), most.into(), jobs.into())
        }
        _ => {
            let most = share.max_executors.unwrap_or_default();
            let message =
                format!("needs {executors} executors, {namespace} has {} of its {most} on {name}", used.executors);
            (message, most, used.executors)
        }
    }
}

/// When the cluster accepts these jobs again: `business accepts it from 2026-11-30 08:00 Europe/Berlin`.
fn outside_window(declared: &Cluster, key: &QueueKey, candidate: &Candidate, opens: Option<Time>) -> String {
    let name = &declared.name;
    if candidate.entries == 0 {
        return never_accepted(declared, key);
    }
    match opens {
        None => format!("{name} does not accept it, and no window changes that"),
        Some(time) => {
            let window = windows_of(declared, candidate.entries).next();
            let shown = window.map(|window| window.zone.show(time)).unwrap_or_default();
            format!("{name} accepts it from {shown}")
        }
    }
}

/// Why no entry may ever apply to these jobs: the first expression that stands in their way, where one does.
fn never_accepted(cluster: &Cluster, key: &QueueKey) -> String {
    let name = &cluster.name;
    let all_but_expression = |(_, entry): &(usize, &Accept)| entry.may_apply(&key.operation, key.class, |_| true);
    let found = cluster.accept.iter().enumerate().find(all_but_expression);
    let Some((number, when)) = found.and_then(|(number, entry)| Some((number, entry.when.as_deref()?))) else {
        return format!("{name} accepts no job of this operation and priority");
    };
    let why = match key.answers.to(when) {
        Some(Answer::Failed(why)) => format!(" cannot be said of it: {why}"),
        Some(_) => " does not hold for it".to_owned(),
        None => " was not evaluated for it yet".to_owned(),
    };
    format!("{name} does not accept it: spec.accept[{number}].when{why}")
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
    let limit = [declared.limit, queue.key.own_limit].into_iter().flatten().min().filter(|limit| alive >= *limit);
    let Some(limit) = limit else {
        let is_kept = queue.head().is_some_and(|head| operation.is_kept_from(head));
        let message = || format!("a run of Operation {name} is kept for a job ranked above");
        let reason = WaitReason::HigherPriorityFirst;
        return is_kept.then(|| Blocker { reason, message: message(), limit: None, in_use: None, holders: Vec::new() });
    };
    let holders: Vec<_> = operation.holders.values().take(NAMED_HOLDERS).cloned().collect();
    let message = behind(format!("{alive} of {limit} running"), &holders, alive as usize);
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
    let mut names = Vec::with_capacity(entry.holders.len().min(NAMED_HOLDERS));
    names.extend(visible.take(NAMED_HOLDERS).map(|job| job.name.clone()));
    names
}

/// Says `: a, b and 3 more` behind what is held.
fn behind(mut held: String, holders: &[Name], all: usize) -> String {
    const SHOWN: usize = 2;
    let shown = &holders[..holders.len().min(SHOWN)];
    for (holder, before) in shown.iter().zip([": ", ", "]) {
        held.extend([before, holder]);
    }
    match all.saturating_sub(shown.len()) {
        more if more > 0 && !shown.is_empty() => held + &format!(" and {more} more"),
        _ => held,
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

/// How much strangers take of the dimension that is short: ` (4 taken by ...)`.
fn taken_by_strangers(lacking: Resources, strangers: Resources) -> String {
    let (theirs, words) = if lacking.executors > 0 {
        (strangers.executors, strangers.executors.to_string())
    } else if lacking.milli_cores > 0 {
        (strangers.milli_cores, cores(strangers.milli_cores))
    } else {
        (strangers.memory_mib, strangers.memory_mib.to_string())
    };
    if theirs > 0 { by_strangers(&words) } else { String::new() }
}

fn by_strangers(taken: &str) -> String {
    format!(" ({taken} taken by SparkApplications that no ManagedJob declared)")
}

/// Capacity and use of the dimension that is the fullest.
fn fullest(used: Resources, capacity: Resources) -> (u64, u64) {
    let all = [
        (capacity.executors, used.executors),
        (capacity.milli_cores, used.milli_cores),
        (capacity.memory_mib, used.memory_mib),
    ];
    let is_fuller = |(most, used): &(u64, u64), (other_most, other_used): &(u64, u64)| {
        (u128::from(*used) * u128::from(*other_most)).cmp(&(u128::from(*other_used) * u128::from(*most)))
    };
    all.into_iter().max_by(is_fuller).unwrap_or_default()
}

/// Capacity and use of the dimension that is short.
fn scarcest(lacking: Resources, used: Resources, capacity: Resources) -> (u64, u64) {
    if lacking.executors > 0 && capacity.executors != u64::MAX {
        (capacity.executors, used.executors)
    } else if lacking.milli_cores > 0 && capacity.milli_cores != u64::MAX {
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
