//! What the simulated API server stores, and how a watch shows it.

use std::collections::BTreeMap;

use slowlane::command::{Change, Kind};
use slowlane::model::{
    ApplicationSeen, ApplicationState, DriverEnd, EndReason, Footprint, Interruption, Job, JobState, JobStatus, Locks,
    Name, ObjectKey, Outcome, Placeholder, PodPhase, PodRole, PodSeen, PodSize, Published, Report, ReportedResult,
    ResultSource, RunId, RunStatus, Time, Uid, Usage, WaitReason,
};

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NamespaceObject {
    pub(crate) labels: BTreeMap<Box<str>, Box<str>>,
    pub(crate) terminating: bool,
}

/// A `ManagedJob`; `job.published` is always derived from `status`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct JobObject {
    pub(crate) job: Job,
    pub(crate) status: Option<JobStatus>,
    /// Something in it makes no sense to the keeper.
    pub(crate) garbled: bool,
}

/// A `SparkApplication`, and what the spark-operator has in hand for it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct App {
    pub(crate) key: ObjectKey,
    pub(crate) uid: Uid,
    pub(crate) run: RunId,
    pub(crate) job: Name,
    pub(crate) operation: Name,
    pub(crate) cluster: Name,
    pub(crate) footprint: Footprint,
    pub(crate) executors: u64,
    pub(crate) locks: Locks,
    pub(crate) owner: Option<Uid>,
    pub(crate) created: Time,
    pub(crate) placeholder: Option<Placeholder>,
    pub(crate) deleting: Option<Time>,
    pub(crate) foreground: bool,
    pub(crate) held: bool,
    pub(crate) state: ApplicationState,
    pub(crate) driver_pod: Option<Box<str>>,
    pub(crate) message: Option<Box<str>>,
    pub(crate) terminated: Option<Time>,
    /// `spark-submit` runs for it.
    pub(crate) in_hand: bool,
    /// Somebody else made it, under a name that a run derives.
    pub(crate) foreign: bool,
    /// It was deleted or edited meanwhile: it may be submitted once more.
    pub(crate) disturbed: bool,
    /// What is in hand for it settles by then, once it is being deleted.
    pub(crate) settles_by: Option<Time>,
}

impl App {
    pub(crate) fn is_terminal(&self) -> bool {
        self.state.is_terminal()
    }

    pub(crate) fn driver_key(&self) -> ObjectKey {
        ObjectKey::new(self.key.namespace.clone(), format!("{}-driver", self.key.name))
    }

    pub(crate) fn seen(&self) -> ApplicationSeen {
        ApplicationSeen {
            key: self.key.clone(),
            uid: self.uid.clone(),
            run: (!self.foreign).then(|| self.run.clone()),
            job: Some(self.job.clone()),
            operation: Some(self.operation.clone()),
            cluster: Some(self.cluster.clone()),
            grant: Some((self.footprint, self.executors, self.locks.clone())),
            created: self.created,
            placeholder: self.placeholder,
            deleting: self.deleting,
            foreground: self.foreground,
            held: self.held,
            edited: false,
            state: self.state,
            message: self.message.clone(),
            application_id: None,
            driver_pod: self.driver_pod.clone(),
            terminated: self.terminated,
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Pod {
    pub(crate) key: ObjectKey,
    pub(crate) uid: Uid,
    pub(crate) run: RunId,
    pub(crate) role: PodRole,
    pub(crate) phase: PodPhase,
    pub(crate) started: Option<Time>,
    pub(crate) ended: Option<Time>,
    pub(crate) end: Option<DriverEnd>,
    /// UIDs of its owners: the application, and for executors their driver.
    pub(crate) app: Uid,
    pub(crate) driver: Option<Uid>,
    /// Its image never comes: it stays pending.
    pub(crate) stuck: bool,
    /// It was told to stop.
    pub(crate) terminating: bool,
    /// It bears a run's labels in another namespace, and has nothing to do with it.
    pub(crate) foreign: bool,
}

impl Pod {
    pub(crate) fn seen(&self) -> PodSeen {
        PodSeen {
            key: self.key.clone(),
            uid: self.uid.clone(),
            run: self.run.clone(),
            owner: (self.role == PodRole::Driver).then(|| self.app.clone()),
            role: self.role,
            phase: self.phase,
            started: self.started,
            ended: self.ended,
            request: PodSize { milli_cores: 1000, memory_mib: 1408 },
            waiting: self.stuck.then(|| "ImagePullBackOff".into()),
            end: self.end.clone(),
        }
    }
}

impl JobObject {
    pub(crate) fn change(&self) -> Change {
        if self.garbled {
            return Change::Unreadable(Kind::Job, self.job.key.clone());
        }
        let published = self.status.as_ref().map(published).map(Box::new);
        Change::Job(Box::new(Job { published, ..self.job.clone() }))
    }

    pub(crate) fn is_over(&self) -> bool {
        self.status.as_ref().is_some_and(|status| status.state.is_terminal())
    }
}

/// What the keeper reads back of a status that it wrote.
pub(crate) fn published(status: &JobStatus) -> Published {
    let mut runs = status.runs.clone();
    let newest = runs.pop();
    runs.extend(newest.clone().filter(|run| run.outcome.as_deref() == Some("Suspended")));
    Published {
        state: Some(status.state),
        observed_generation: status.observed_generation,
        reason: Some(status.reason.into()),
        details: status.queue.as_ref().map(|_| status.details()),
        since: Some(status.since),
        accepted: status.accepted,
        let_in: let_in(status),
        waiting_since: status.queue.as_ref().map(|queue| queue.waiting_since),
        run: newest.as_ref().map(|run| (run.number, !run.application.is_empty())),
        outcome: newest.as_ref().and_then(outcome),
        // The API has whole seconds.
        closed: newest.as_ref().and_then(|run| Some((Time(run.completion?.0 / 1000 * 1000), run.usage?))),
        peak: status.executors.map_or(0, |executors| executors.peak),
        earlier: Usage::default(),
        runs,
    }
}

fn let_in(status: &JobStatus) -> bool {
    match status.state {
        JobState::Pending => status.reason != WaitReason::PendingEvaluation.as_str(),
        JobState::Suspended => status.accepted.is_some() || status.let_in,
        _ => true,
    }
}

fn outcome(run: &RunStatus) -> Option<Outcome> {
    match run.outcome.as_deref()? {
        "Succeeded" => {
            let source = ResultSource::TerminationMessage;
            let result = run.result_uri.clone().map(|uri| Report::Result(ReportedResult { uri, source }));
            Some(Outcome::Succeeded(result.unwrap_or_default()))
        }
        "Failed" => {
            let reason = EndReason::ALL.into_iter().find(|reason| run.reason.as_deref() == Some(reason.as_str()));
            let words = run.message.clone().unwrap_or_default();
            Some(Outcome::Failed(reason.unwrap_or(EndReason::ApplicationFailed), words))
        }
        "Suspended" => Some(Outcome::Suspended(Interruption::of(run.reason.as_deref()))),
        _ => Some(Outcome::Cancelled),
    }
}
