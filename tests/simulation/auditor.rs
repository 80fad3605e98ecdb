//! Judges the world only: applications, pods, specs; statuses for what they claim. Never the ledger.

use std::collections::{BTreeMap, BTreeSet};

use slowlane::model::{
    ApplicationState, Cluster, ClusterStatus, Job, JobState, JobStatus, Ledger, Name, ObjectKey, PodPhase, PodRole,
    Report, Resources, RunId, Share, Span, Time, Uid,
};

use crate::bill::Bills;
use crate::objects::{App, JobObject, Pod};
use crate::people::{LOCK, PERMITS, locks_of};
use crate::world::LiveRun;

/// Everything a cluster was declared to allow at some revision.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    jobs: u32,
    capacity: Resources,
    share: Share,
    /// Of the one lock.
    permits: u32,
    /// Runs that may wait for the spark-operator.
    pending: u32,
    /// Nothing starts on it.
    held: bool,
}

/// Runs that were granted within so long of each other wait for the spark-operator together.
const RECENT: Span = Span::seconds(30);

/// How the drivers of a run ended.
#[derive(Debug, Default, Clone)]
struct Ends {
    ran: bool,
    succeeded: Vec<Option<Box<str>>>,
    failed: bool,
}

/// The revisions of operations, clusters and jobs that a keeper had been told of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told {
    pub(crate) operations: u64,
    pub(crate) clusters: u64,
    pub(crate) jobs: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Auditor {
    /// Nothing goes wrong in this case, so statuses have to tell exactly what happened.
    pub(crate) exact: bool,
    /// Two leaders may act at once. Then one may say that a waiting job is cancelled while the other starts it: both want
    /// its end, and nothing but the ledger is fenced.
    pub(crate) overlapping: bool,
    /// The settings hold everything.
    pub(crate) held: bool,
    violation: Option<String>,
    operation_limits: BTreeMap<ObjectKey, Vec<(u64, u32)>>,
    cluster_bounds: BTreeMap<Name, Vec<(u64, Bounds)>>,
    /// What the keeper that granted a run had been told, by revisions.
    granted_knowing: BTreeMap<RunId, Told>,
    /// With which write, and when, runs came into the ledger. Not for limits: for the order in which they were granted.
    granted: BTreeMap<RunId, (u64, Time)>,
    /// No ledger was lost or restored: the order in which runs came into it is that of their grants.
    pub(crate) paced: bool,
    started: BTreeMap<RunId, (Uid, LiveRun)>,
    /// Jobs that were suspended at some time, or whose status says that a window ended a run: only they may have a second one.
    pub(crate) suspended: BTreeSet<Uid>,
    /// Jobs that are suspended, and since which revision.
    suspended_since: BTreeMap<Uid, u64>,
    /// Another keeper has led before the one that leads.
    pub(crate) succeeded: bool,
    /// Operations that could refuse a job at some time.
    refusing: BTreeSet<ObjectKey>,
    /// Jobs that a keeper refused while another had granted them a run.
    refused_late: BTreeSet<Uid>,
    /// The shortest start timeout that was ever set.
    pub(crate) start_timeout: Option<Span>,
    ends: BTreeMap<RunId, Ends>,
    ended: BTreeMap<Uid, JobState>,
    status_writes: BTreeMap<Uid, u32>,
    pub(crate) bills: Bills,
    /// What happens now is asked for by a request that was late.
    pub(crate) is_late: bool,
    /// A cluster's status landed late: whoever led by then may not have known of it.
    told_late: bool,
    /// How often what happened, to see that cases reach it.
    pub(crate) seen: BTreeMap<String, u64>,
}

impl Auditor {
    pub(crate) fn violated(&mut self, words: String) {
        self.violation.get_or_insert(words);
    }

    pub(crate) fn saw(&mut self, what: impl Into<String>) {
        *self.seen.entry(what.into()).or_default() += 1;
    }

    pub(crate) fn violation(&self) -> Option<&String> {
        self.violation.as_ref()
    }

    // ---- limits -----------------------------------------------------------------------------------------------

    pub(crate) fn may_refuse(&mut self, key: &ObjectKey) {
        self.refusing.insert(key.clone());
    }

    pub(crate) fn operation_declared(&mut self, revision: u64, key: &ObjectKey, limit: Option<u32>) {
        self.operation_limits.entry(key.clone()).or_default().push((revision, limit.unwrap_or(u32::MAX)));
    }

    pub(crate) fn cluster_declared(&mut self, revision: u64, cluster: &Cluster) {
        let bounds = Bounds {
            jobs: cluster.max_jobs.unwrap_or(u32::MAX),
            capacity: cluster.capacity,
            share: cluster.share,
            permits: cluster.locks.get(LOCK).copied().unwrap_or(u32::MAX),
            pending: cluster.max_pending.unwrap_or(u32::MAX),
            held: cluster.held,
        };
        self.cluster_bounds.entry(cluster.name.clone()).or_default().push((revision, bounds));
    }

    /// What a cluster's status says of a generation keeps to that generation's bounds; nor is it forgotten how large its pool is to be.
    pub(crate) fn cluster_told(&mut self, cluster: &Cluster, status: &ClusterStatus) {
        self.told_late |= self.is_late;
        let is_of_now = status.observed_generation == cluster.generation && cluster.defect.is_none();
        let Some(rules) = cluster.pool.filter(|_| is_of_now) else { return };
        let before = cluster.published.as_ref().and_then(|said| said.executors_desired);
        let fault = match status.executors_desired {
            Some(desired) => rules.bounded(desired) != desired,
            None => before.is_some() && !self.overlapping && !self.told_late,
        };
        if fault {
            let desired = status.executors_desired;
            self.violated(format!("the pool of {} is to be {desired:?} after {before:?}: {rules:?}", cluster.name));
        }
    }

    /// A keeper asks for a run's grant, having been told so much.
    pub(crate) fn grant_asked(&mut self, run: &RunId, told: Told) {
        if self.held && !self.granted_knowing.contains_key(run) {
            self.violated(format!("{run} is granted while the settings hold everything"));
        }
        self.granted_knowing.entry(run.clone()).or_insert(told);
    }

    pub(crate) fn granted(&mut self, revision: u64, now: Time, run: &RunId) {
        self.granted.insert(run.clone(), (revision, now));
    }

    /// An application is created: of those that were granted before it, or with it at its cluster, no more wait for the
    /// spark-operator than its cluster allows. Who was granted long before may not be waited for any more.
    pub(crate) fn created<'a>(&mut self, app: &App, apps: impl Iterator<Item = &'a App>, ledger: Option<&Ledger>) {
        let (Some(ledger), Some((revision, time))) = (ledger, self.granted.get(&app.run).copied()) else { return };
        let Some(told) = self.granted_knowing.get(&app.run).filter(|_| self.paced && app.placeholder.is_none()) else {
            return;
        };
        let waits = |other: &&App| {
            let is_open = other.placeholder.is_none() && !other.foreign && other.deleting.is_none();
            let before = self.granted.get(&other.run).is_some_and(|(with, at)| {
                let is_before = *with < revision || (*with == revision && other.cluster == app.cluster);
                is_before && time - *at < RECENT
            });
            is_open && before && other.state == ApplicationState::New && ledger.holders.contains_key(&other.run)
        };
        let waiting = apps.filter(waits).count();
        let bounds = largest(self.cluster_bounds.get(&app.cluster), told.clusters);
        let most = bounds.map(|it| it.pending).max().unwrap_or(u32::MAX);
        if waiting > most as usize {
            let (run, cluster) = (&app.run, &app.cluster);
            self.violated(format!("{run} is number {waiting} to wait for the spark-operator; {cluster} allows {most}"));
        }
        if waiting == most as usize {
            self.saw("as many wait for the spark-operator as may");
        }
    }

    pub(crate) fn job_declared(&mut self, revision: u64, job: &Job) {
        if job.suspend {
            self.suspended.insert(job.uid.clone());
            self.suspended_since.entry(job.uid.clone()).or_insert(revision);
        } else {
            self.suspended_since.remove(&job.uid);
        }
    }

    /// I1, I2, I6 and "nothing starts after the end".
    pub(crate) fn started<'a>(
        &mut self,
        app: &App,
        live: &BTreeMap<RunId, LiveRun>,
        mut jobs: impl Iterator<Item = &'a JobObject>,
    ) {
        self.saw(if self.seen.contains_key("cases") { "starts in peace" } else { "starts under faults" });
        let run = &app.run;
        if app.placeholder.is_some() {
            self.violated(format!("a placeholder of {run} started"));
        }
        let is_over = |object: &JobObject| object.job.uid == run.job && object.is_over();
        let is_late = self.refused_late.contains(&run.job);
        if jobs.any(|object| is_over(object) && !(self.overlapping && object.job.cancel) && !is_late) {
            self.violated(format!("I3: {run} starts after its job's end stands in the status"));
        }
        if self.started.get(run).is_some_and(|(uid, _)| *uid != app.uid) {
            self.violated(format!("I2: {run} starts in a second application {}", app.uid));
        }
        let mut earlier = self.started.keys().filter(|other| other.job == run.job && other.number != run.number);
        if let Some(other) = earlier.next() {
            let was_suspended = self.suspended.contains(&run.job);
            if !was_suspended || live.contains_key(other) || earlier.any(|other| live.contains_key(other)) {
                self.violated(format!("I2: {run} starts as a second run of its job (suspended: {was_suspended})"));
            }
        }
        if self.started.keys().any(|other| other.job == run.job && other.number > run.number) {
            self.violated(format!("I2: {run} starts, but a later run of its job has started before"));
        }
        self.started.entry(run.clone()).or_insert_with(|| (app.uid.clone(), LiveRun::of(app)));
        let Some(Told { operations, clusters, jobs }) = self.granted_knowing.get(run).copied() else {
            return self.violated(format!("{run} starts, but no keeper ever asked for its grant"));
        };
        if self.suspended_since.get(&run.job).is_some_and(|since| *since <= jobs) {
            self.violated(format!("{run} starts, but whoever granted it knew that its job is suspended"));
        }
        let me = LiveRun::of(app);
        let of_operation = live.values().filter(|it| it.operation == me.operation).count();
        let limit = largest(self.operation_limits.get(&me.operation), operations).max().unwrap_or(u32::MAX);
        if of_operation > limit as usize {
            self.violated(format!(
                "I1: {run} starts as number {of_operation} of {}, whose limit is {limit}",
                me.operation
            ));
        }
        let beside: Vec<&LiveRun> = live.values().filter(|it| it.cluster == me.cluster).collect();
        let bounds: Vec<Bounds> = largest(self.cluster_bounds.get(&me.cluster), clusters).collect();
        let jobs = bounds.iter().map(|it| it.jobs).max().unwrap_or(u32::MAX);
        if beside.len() > jobs as usize {
            self.violated(format!("I1: {run} starts as number {} on {}, which takes {jobs}", beside.len(), me.cluster));
        }
        if !bounds.is_empty() && bounds.iter().all(|it| it.held) {
            self.violated(format!("{run} starts, but whoever granted it knew that {} is held", me.cluster));
        }
        self.share_and_locks(run, &me, live, &beside, &bounds);
        let sum = beside.iter().fold(Resources::default(), |sum, it| sum.plus(it.resources));
        let capacity = bounds.iter().fold(Resources::default(), |most, it| most.at_least(it.capacity));
        if !bounds.is_empty() && !sum.fits(capacity) {
            self.violated(format!("I6: with {run}, {sum} are live on {}, which has {capacity}", me.cluster));
        }
    }

    /// I1 of what spans operations.
    fn share_and_locks(
        &mut self,
        run: &RunId,
        me: &LiveRun,
        live: &BTreeMap<RunId, LiveRun>,
        beside: &[&LiveRun],
        bounds: &[Bounds],
    ) {
        let most = |of: &dyn Fn(&Bounds) -> u64| bounds.iter().map(of).max().unwrap_or(u64::MAX);
        let permits = |it: &LiveRun| -> u32 { locks_of(&it.operation.name).iter().map(|(_, permits)| permits).sum() };
        let everywhere: u32 = live.values().map(permits).sum();
        let there: u32 = beside.iter().copied().map(permits).sum();
        let sharing = beside.iter().filter(|it| it.operation.namespace == me.operation.namespace);
        let (jobs, executors) = sharing.fold((0, 0), |(jobs, sum), it| (jobs + 1, sum + it.resources.executors));
        for (what, used, most) in [
            ("permits of the lock", u64::from(everywhere), u64::from(PERMITS)),
            ("permits of the cluster's lock", there.into(), most(&|it| it.permits.into())),
            ("runs of its namespace's share", jobs, most(&|it| it.share.max_jobs.map_or(u64::MAX, u64::from))),
            ("executors of its namespace's share", executors, most(&|it| it.share.max_executors.unwrap_or(u64::MAX))),
        ] {
            if used > most {
                self.violated(format!("I1: with {run}, {used} {what} are taken on {}, of {most}", me.cluster));
            }
        }
        if everywhere == PERMITS {
            self.saw("all permits of the lock are taken");
        }
    }

    pub(crate) fn started_as(&self, run: &RunId) -> Option<&LiveRun> {
        self.started.get(run).map(|(_, live)| live)
    }

    pub(crate) fn has_started(&self, job: &Uid) -> bool {
        self.started.keys().any(|run| run.job == *job)
    }

    // ---- what happened, and what statuses claim ---------------------------------------------------------------

    pub(crate) fn pod_changed(&mut self, pod: &Pod) {
        if pod.role != PodRole::Driver {
            return;
        }
        let ends = self.ends.entry(pod.run.clone()).or_default();
        match pod.phase {
            PodPhase::Pending => {}
            PodPhase::Running => ends.ran = true,
            PodPhase::Failed => ends.failed = true,
            PodPhase::Succeeded => {
                let uri = pod.end.as_ref().and_then(|end| match &end.report {
                    Report::Result(result) => Some(result.uri.clone()),
                    Report::None | Report::Refused(_) => None,
                });
                ends.succeeded.push(uri);
            }
        }
    }

    /// A status was accepted.
    pub(crate) fn status_written(&mut self, job: &JobObject, new: &JobStatus, live: &BTreeSet<RunId>) {
        let uid = &job.job.uid;
        *self.status_writes.entry(uid.clone()).or_default() += 1;
        self.usage_told(uid, new);
        if new.runs.iter().any(|run| run.reason.as_deref() == Some("WindowEnded")) {
            self.saw("a window ended a run");
            self.suspended.insert(uid.clone());
        }
        let mine: Vec<Ends> =
            self.ends.iter().filter(|(run, _)| run.job == *uid).map(|(_, ends)| ends.clone()).collect();
        self.saw(format!("status {} {}", new.state.as_str(), new.reason));
        if new.message.contains("; expected at ") {
            self.saw("a reservation was told");
        }
        if new.message.contains("has a reservation on ") {
            self.saw("a reservation kept somebody from starting");
        }
        if let Some(queue) = &new.queue {
            let first = queue.blockers.first().map(|blocker| (blocker.reason.as_str(), &*blocker.message));
            if first != Some((new.reason, &*new.message)) {
                self.violated(format!("I11: {} waits because of {}, and is told {first:?}", job.job.key, new.reason));
            }
        }
        let fits = match new.reason {
            "Admitted" | "SubmissionRefused" | "SubmissionDelayed" | "DriverWaiting" | "SparkOperatorSilent" => {
                new.state == JobState::Starting
            }
            "Ending" => matches!(new.state, JobState::Starting | JobState::Running),
            "Suspended" => new.state == JobState::Suspended,
            "DriverRunning" => new.state == JobState::Running,
            "Finishing" => new.state == JobState::Finishing,
            _ => new.state.is_terminal() || matches!(new.state, JobState::Pending | JobState::Queued),
        };
        if !fits {
            self.violated(format!("I11: {} is said to be {:?} because of {}", job.job.key, new.state, new.reason));
        }
        if new.state == JobState::Running && !mine.iter().any(|ends| ends.ran) {
            self.violated(format!("I11: {} is said to run, but no driver of it ever ran", job.job.key));
        }
        if !new.state.is_terminal() {
            return;
        }
        if self.ended.insert(uid.clone(), new.state).is_some_and(|before| before != new.state) {
            self.violated(format!("I3: {} ends a second time, differently", job.job.key));
        }
        if new.state == JobState::Refused {
            self.judge_refusal(job);
        }
        let by_another =
            self.overlapping && job.job.cancel && new.state == JobState::Cancelled || self.refused_late.contains(uid);
        if live.iter().any(|run| run.job == *uid) && !by_another {
            self.violated(format!("R3: {} is said to be {:?} while a pod of it lives", job.job.key, new.state));
        }
        self.judge_end(job, new, &mine);
        self.judge_lateness(job, new);
    }

    /// Only an operation that says so refuses, and no job that has a run: but for the word of a keeper that leads no more, which
    /// lands before its successor has told the job anything.
    fn judge_refusal(&mut self, job: &JobObject) {
        let key = &job.job.key;
        if !self.refusing.contains(&job.job.operation_key()) {
            self.violated(format!("{key} is refused by an operation that never refused any"));
        }
        if !self.granted_knowing.keys().any(|run| run.job == job.job.uid) {
            return;
        }
        if self.succeeded {
            self.refused_late.insert(job.job.uid.clone());
        } else {
            self.violated(format!("{key} is refused, but a run of it was granted"));
        }
    }

    /// A keeper wants to refuse a job whose status says that it was accepted.
    pub(crate) fn refuses_accepted(&mut self, key: &ObjectKey) {
        self.saw("a refusal of an accepted job");
        if !self.succeeded {
            self.violated(format!("{key} was accepted, and is refused by the same keeper"));
        }
    }

    /// Nothing is called late before its time.
    fn judge_lateness(&mut self, job: &JobObject, new: &JobStatus) {
        let limit = match new.reason {
            "DeadlineExceeded" => job.job.time_limits.active,
            "StartTimeout" => job.job.time_limits.start,
            _ => return,
        };
        let seconds = limit.map(|limit| Span::seconds(i64::from(limit.get())));
        let limit = seconds.or(self.start_timeout.filter(|_| new.reason == "StartTimeout"));
        let took = new.took.unwrap_or_default();
        if limit.is_none_or(|limit| took < limit) {
            self.violated(format!("{} ends as {} after {took:?}; its limit is {limit:?}", job.job.key, new.reason));
        }
    }

    /// I5, and in exact cases that the end is what the driver said.
    fn judge_end(&mut self, job: &JobObject, new: &JobStatus, drivers: &[Ends]) {
        let key = &job.job.key;
        let reported = || drivers.iter().flat_map(|ends| ends.succeeded.iter());
        if new.state == JobState::Succeeded && reported().next().is_none() {
            self.violated(format!("I5: {key} is said to have succeeded, but no driver of it did"));
        }
        if let Some((uri, _)) = &new.result
            && !reported().any(|known| known.as_ref() == Some(uri))
        {
            self.violated(format!("I5: {key} carries the result {uri}, which no driver of it reported"));
        }
        if !self.exact {
            return;
        }
        let succeeded = reported().next();
        let told = new.result.as_ref().map(|(uri, _)| uri);
        let as_it_was = match (succeeded, drivers.iter().any(|ends| ends.failed)) {
            (Some(reported), _) => new.state == JobState::Succeeded && told == reported.as_ref(),
            (None, true) => new.state == JobState::Failed,
            (None, false) => matches!(new.state, JobState::Cancelled | JobState::Failed | JobState::Refused),
        };
        // A driver may end while its cancellation is on the way.
        let cancelled = (job.job.cancel || job.job.deleting) && new.state == JobState::Cancelled;
        if !as_it_was && !cancelled {
            self.violated(format!("I5: {key} is said to be {:?} {told:?}, but its drivers: {drivers:?}", new.state));
        }
    }

    /// I12.
    pub(crate) fn status_repeated(&mut self, key: &ObjectKey, status: &JobStatus) {
        self.violated(format!("I12: {key} is told again what stands there: {:?} {}", status.state, status.reason));
    }

    pub(crate) fn most_status_writes(&self) -> u32 {
        self.status_writes.values().copied().max().unwrap_or(0)
    }
}

/// Every value in force since a revision.
fn largest<T: Copy>(history: Option<&Vec<(u64, T)>>, since: u64) -> impl Iterator<Item = T> {
    let history = history.map(Vec::as_slice).unwrap_or_default();
    let first = history.iter().rposition(|(revision, _)| *revision <= since).unwrap_or(0);
    history[first..].iter().map(|(_, value)| *value)
}
