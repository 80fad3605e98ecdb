//! What is wanted of each run: its job's word, what was decided before, and how long it may take.

use super::{Engine, Wake};
use crate::index::{JobEntry, Stage};
use crate::lifecycle::{Ending, Intent, Run, View};
use crate::model::{
    ApplicationSeen, ApplicationState, EndReason, Interruption, Name, Outcome, Published, RunId, RunStatus, Span,
    TimeLimits, Usage,
};

use crate::admission::JobNumber;

impl Engine {
    /// What is wanted of a run now; `entry` is its job.
    pub(super) fn intent(&self, run: &Run, view: &View<'_>, entry: Option<&JobEntry>) -> Intent {
        let entry = match entry {
            None if self.unreadable_jobs.contains(&run.holder.job) => return Intent::Run,
            Some(entry) if is_wanted(entry) => entry,
            _ => return Intent::End(Ending::Cancelled),
        };
        match run.outcome.as_ref().map(Intent::behind) {
            Some(Some(decided)) => decided,
            _ if view.application.is_some_and(|it| it.edited && !it.state.is_terminal()) => {
                Intent::End(Ending::Failed(EndReason::ApplicationEdited, EDITED.into()))
            }
            _ if entry.job.suspend => Intent::Suspend(Interruption::JobSuspended),
            _ if self.is_turned_out(entry, run) => Intent::Suspend(Interruption::WindowEnded),
            Some(None) => Intent::Run,
            None => self.late(run, entry, view).map_or(Intent::Run, Intent::End),
        }
    }

    /// What ends a run that goes on, in words.
    pub(super) fn asked_for(&self, entry: &JobEntry, run: &Run) -> Option<&'static str> {
        match &entry.job {
            job if job.deleting => Some("it is being deleted: its run ends with all its pods"),
            job if job.cancel => Some("it is being cancelled: its run ends with all its pods"),
            job if job.suspend => Some("it is being suspended: its run ends with all its pods"),
            _ if self.is_turned_out(entry, run) => {
                Some("its cluster accepts it no more at this time: its run ends with all its pods, and it queues again")
            }
            _ => None,
        }
    }

    /// Whether its cluster accepts it no more, and ends the runs that it does not accept.
    fn is_turned_out(&self, entry: &JobEntry, run: &Run) -> bool {
        let Some(cluster) = self.gate.cluster(&run.holder.cluster).filter(|cluster| cluster.ends_runs()) else {
            return false;
        };
        let operation = run.holder.operation_key();
        run.class.is_some_and(|class| !cluster.accepts_now(&operation, class, &entry.job.answers))
    }

    /// Clusters that end the runs that they do not accept accept others than before.
    pub(super) fn look_after_turned_out(&mut self) {
        let clusters = self.gate.clusters().filter(|(_, cluster)| cluster.ends_runs());
        let names: Vec<Name> = clusters.map(|(name, _)| name.clone()).collect();
        names.iter().for_each(|name| self.look_after_runs_on(name));
    }

    /// A cluster ends other runs than before, or none any more.
    pub(super) fn look_after_runs_on(&mut self, cluster: &Name) {
        let runs: Vec<RunId> = self.gate.cluster(cluster).iter().flat_map(|it| it.holders.keys().cloned()).collect();
        // Whoever was being ended and is not any more says so, too.
        let jobs: Vec<JobNumber> = runs.iter().filter_map(|run| self.jobs.by_uid(&run.job)).collect();
        jobs.into_iter().for_each(|job| self.job_changed(job));
        self.dirty_runs.extend(runs);
    }

    /// A run is looked at again when its time is up.
    pub(super) fn wake_when_late(&mut self, run: &Run, job: JobNumber) {
        let Some(entry) = self.jobs.get(job) else { return };
        let limits = self.limits_of(run, entry);
        let start = limits.start.map(|limit| run.holder.granted + seconds(limit)).filter(|_| !has_started(run));
        let active = limits.active.map(|limit| run.holder.granted + seconds(limit));
        if let Some(next) = [start, active].into_iter().flatten().filter(|time| *time > self.now).min() {
            self.wakes.set(Wake::Run(run.id.clone()), next);
        }
        let told = run.sighted.map(|sighted| sighted + PATIENCE).filter(|told| *told > self.now);
        if let (Some(told), Some(ApplicationState::New)) = (told, run.last_state) {
            self.wakes.set(Wake::Silence(run.id.clone()), told);
        }
    }

    /// The run's number is used up and the job goes on: the run stays in its status as it ended.
    pub(super) fn keep_ended_run(&mut self, number: JobNumber, run: &Run) {
        let status: RunStatus = self.run_status(run);
        let Some(entry) = self.jobs.get_mut(number) else { return };
        entry.used_up = entry.used_up.max(run.id.number);
        let Published { runs, earlier, .. } = &mut **entry.job.published.get_or_insert_default();
        runs.retain(|past| past.number != run.id.number);
        runs.push(status);
        let beyond = runs.len().saturating_sub(MOST_RUNS);
        *earlier = runs.drain(..beyond).filter_map(|past| past.usage).fold(*earlier, Usage::plus);
    }

    /// The job's own limits, else the operation's, else the settings'.
    fn limits_of(&self, run: &Run, entry: &JobEntry) -> TimeLimits {
        let start = std::num::NonZeroU32::new(u32::try_from(self.settings.start_timeout.0 / 1000).unwrap_or(u32::MAX));
        entry.job.time_limits.over(run.default_limits).over(TimeLimits { start, active: None })
    }

    /// What its operation says as it stands: its limits, and once its class. One that is gone (a tool deletes it and makes it
    /// anew) is remembered.
    pub(super) fn remember_defaults(&self, run: &mut Run, entry: Option<&JobEntry>) {
        let operation = run.holder.operation_key();
        if let Some(declared) = self.gate.operation(&operation).and_then(|operation| operation.declared.as_ref()) {
            run.default_limits = declared.defaults.time_limits;
            let own = entry.map(|entry| entry.job.priority.or(declared.defaults.priority));
            run.class = run.class.or(own.map(Option::unwrap_or_default));
        }
    }

    fn late(&self, run: &Run, entry: &JobEntry, view: &View<'_>) -> Option<Ending> {
        let is_over = view.application.is_some_and(|application| application.state.is_terminal());
        if is_over && !view.has_live_driver() {
            return None;
        }
        let limits = self.limits_of(run, entry);
        let is_over = |limit: &std::num::NonZeroU32| self.now >= run.holder.granted + seconds(*limit);
        if let Some(limit) = limits.active.filter(is_over) {
            let words = format!("it took longer than activeDeadlineSeconds, which is {limit}");
            return Some(Ending::Failed(EndReason::DeadlineExceeded, words.into()));
        }
        let limit = limits.start.filter(is_over).filter(|_| !has_started(run))?;
        let why = self.not_started(run, view).1;
        let words = format!("its driver did not run within startTimeoutSeconds, which is {limit}: {why}");
        Some(Ending::Failed(EndReason::StartTimeout, words.into()))
    }

    /// Why the driver of a run does not run yet: in a word and in a sentence.
    pub(super) fn not_started(&self, run: &Run, view: &View<'_>) -> (&'static str, String) {
        match (view.application, view.driver) {
            (None, _) => match (&run.denied, &run.trouble) {
                (Some((_, words)), _) => ("SubmissionRefused", words.to_string()),
                (None, Some(words)) => ("SubmissionDelayed", words.to_string()),
                (None, None) => (ADMITTED, format!("SparkApplication {} was not created yet", run.key.name)),
            },
            (Some(application), _) if application.state == ApplicationState::New => self.untouched(run, application),
            (Some(_), Some(driver)) => match &driver.waiting {
                Some(words) => ("DriverWaiting", words.to_string()),
                None => (ADMITTED, format!("driver pod {} is still starting", driver.key.name)),
            },
            (Some(application), None) => {
                let words = application.message.as_deref().unwrap_or("its driver pod was not created yet");
                (ADMITTED, words.to_owned())
            }
        }
    }

    fn untouched(&self, run: &Run, application: &ApplicationSeen) -> (&'static str, String) {
        let namespace = &application.key.namespace;
        let since = run.sighted.unwrap_or(self.now);
        let serves_here = self.touched.get(namespace).is_some_and(|touch| touch.at > since);
        // Applications are served in the order in which they came: only one that came later and was served tells.
        let passes_over = self.touched.values().any(|touch| touch.newest > since);
        let is_alive = self.touched.values().any(|touch| touch.at > since);
        let words = if serves_here || (is_alive && !passes_over) {
            "the spark-operator has not come to it: it is behind".to_owned()
        } else if passes_over {
            format!("the spark-operator does not watch namespace {namespace}: it serves others, but has not touched it")
        } else {
            format!("no spark-operator has touched it: none is running, or none watches namespace {namespace}")
        };
        (if self.now < since + PATIENCE { ADMITTED } else { "SparkOperatorSilent" }, words)
    }
}

/// The reason of a run on its way to its driver, as long as nothing stands in that way.
pub(super) const ADMITTED: &str = "Admitted";

/// An edit of its spec, suspending it included, kills the driver.
const EDITED: &str = "its SparkApplication was edited by somebody else, which ends what runs and starts it again";

/// Past runs that are kept of a job: as many as its status holds.
const MOST_RUNS: usize = 64;

/// How long a spark-operator may take before people are told that it does not answer.
const PATIENCE: Span = Span::seconds(10);

fn is_wanted(entry: &JobEntry) -> bool {
    !entry.job.cancel && !entry.job.deleting && entry.stage != Stage::Ended
}

fn seconds(limit: std::num::NonZeroU32) -> Span {
    Span::seconds(i64::from(limit.get()))
}

/// Whether its driver has run: seen so, or known from what only a driver that ran can bring.
fn has_started(run: &Run) -> bool {
    run.running_since.is_some()
        || run.last_state == Some(ApplicationState::Running)
        || run.outcome.as_ref().is_some_and(|outcome| matches!(outcome, Outcome::Succeeded(_)))
}
