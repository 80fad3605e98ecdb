//! A world in which nothing is drawn: it does what a test says, and all goes well.

use std::collections::BTreeMap;

use slowlane::command::{Command, Failure, Input, Kind, Receipt};
use slowlane::model::{
    Answers, ApplicationState, Cluster, ClusterStatus, DriverEnd, ExecutorBounds, ExecutorChoice, ExecutorShare,
    Holder, Job, JobState, JobStatus, Locks, Name, ObjectKey, Operation, Outline, PodPhase, PodSizing, Priority,
    Report, Resources, Selector, Settings, Span, Time, TimeLimits, Usage,
};

use crate::keeper::Keeper;
use crate::mutants::Mutant;
use crate::objects::{App, JobObject, NamespaceObject};
use crate::people::COMPLETE;
use crate::world::World;

const TEAM: &str = "red";
const CLUSTER: &str = "business";

pub(crate) struct Story {
    pub(crate) world: World,
    settings: Settings,
    pub(crate) keeper: Keeper,
    /// Job statuses that were written, by job.
    pub(crate) writes: BTreeMap<ObjectKey, u32>,
    /// Answers come before what the watches have seen.
    pub(crate) answers_first: bool,
    /// The API server takes no refusal.
    pub(crate) denies_refusals: bool,
    /// No write of the ledger arrives.
    pub(crate) loses_ledger_writes: bool,
}

pub(crate) fn key(name: &str) -> ObjectKey {
    ObjectKey::new(TEAM, name)
}

pub(crate) fn operation(name: &str, limit: Option<u32>, locks: &[(&str, u32)]) -> Operation {
    let pod = PodSizing { cores: Some(1), memory_mib: Some(512), ..PodSizing::default() };
    let outline = Outline { essentials: COMPLETE, driver: pod, executor: pod, ..Outline::default() };
    let locks: Locks = locks.iter().map(|(lock, permits)| ((*lock).into(), *permits)).collect();
    Operation { key: key(name), generation: 1, limit, locks, outline, ..Operation::default() }
}

impl Story {
    /// A keeper, a cluster with room for ten executors, and these operations; there is one permit of each lock.
    pub(crate) fn new(operations: Vec<Operation>) -> Self {
        let settings = Settings { locks: [("orders".into(), 1)].into(), ..Settings::default() };
        let mut world =
            World { now: Time(1_700_000_000_000), operator_up: true, operator_installed: true, ..World::default() };
        world.put_namespace(&TEAM.into(), NamespaceObject { labels: BTreeMap::new(), terminating: false });
        world.put_cluster(Cluster {
            name: CLUSTER.into(),
            generation: 1,
            selector: Some(Selector::default()),
            capacity: Resources { executors: 10, milli_cores: u64::MAX, memory_mib: u64::MAX },
            ..Cluster::default()
        });
        operations.into_iter().for_each(|it| world.put_operation(it));
        let keeper = Keeper::new("first".into(), settings.clone(), false);
        let mut story = Self {
            world,
            settings,
            keeper,
            writes: BTreeMap::new(),
            answers_first: false,
            denies_refusals: false,
            loses_ledger_writes: false,
        };
        story.lead(true);
        story
    }

    pub(crate) fn lead(&mut self, first: bool) {
        let identity = self.keeper.identity.clone().into();
        self.keeper.step(Input::Leading { identity, first }, &mut self.world);
        self.settles();
    }

    /// The keeper is gone, and what it was about to say with it.
    pub(crate) fn is_down(&mut self) {
        self.keeper = Keeper::new("next".into(), self.settings.clone(), false);
    }

    /// A job of one executor comes.
    pub(crate) fn comes(&mut self, name: &str, operation: &str) {
        self.comes_for(name, operation, ExecutorBounds { min: 1, max: 1 });
    }

    /// A job of so many executors comes.
    pub(crate) fn comes_for(&mut self, name: &str, operation: &str, executors: ExecutorBounds) {
        self.comes_as(name, operation, executors, None);
    }

    /// A job of so many executors and a class comes.
    pub(crate) fn comes_as(
        &mut self,
        name: &str,
        operation: &str,
        executors: ExecutorBounds,
        priority: Option<Priority>,
    ) {
        let job = Job {
            key: key(name),
            uid: self.world.new_uid("job"),
            generation: 1,
            created: Time(self.world.now.0 / 1000 * 1000),
            operation: operation.into(),
            priority,
            own_limit: None,
            cluster: None,
            executors: Some(ExecutorChoice::Bounds(executors)),
            parameters: [].into(),
            declares_result: false,
            answers: Answers::default(),
            defect: None,
            time_limits: TimeLimits::default(),
            cancel: false,
            suspend: false,
            hold: None,
            deleting: false,
            published: None,
        };
        self.world.put_job(JobObject { job, status: None, garbled: false });
        self.settles();
    }

    /// All is told and carried out that is there to be; the spark-operator and the drivers start what they are given.
    fn settles(&mut self) {
        loop {
            for event in std::mem::take(&mut self.world.events) {
                self.keeper.hear(&event, Time(0), Mutant::None);
            }
            let answer = self.keeper.receipts.pop_if(|_| self.answers_first);
            let news = self.keeper.news(self.world.now).next();
            if let Some(receipt) = answer {
                self.keeper.step(Input::Written(receipt), &mut self.world);
            } else if let Some(kind) = news {
                self.tells(kind);
            } else if let Some(receipt) = self.keeper.receipts.pop() {
                self.keeper.step(Input::Written(receipt), &mut self.world);
            } else if !self.keeper.commands.is_empty() {
                self.carries_out();
            } else if self.keeper.engine.next_wake().is_some_and(|wake| wake <= self.world.now) {
                self.keeper.step(Input::Tick, &mut self.world);
            } else if !self.starts_drivers() {
                break;
            }
        }
        assert_eq!(self.world.auditor.violation(), None);
    }

    fn tells(&mut self, kind: Kind) {
        if self.keeper.watches[&kind].unlisted {
            self.keeper.step(Input::SparkOperator(true), &mut self.world);
            self.keeper.list(kind, self.world.list(kind), self.world.revision);
        }
        self.keeper.deliver(kind, &mut self.world);
    }

    fn carries_out(&mut self) {
        let command = self.keeper.commands.remove(0);
        if let Command::WriteJobStatus { key, uid, status } = &command {
            *self.writes.entry(key.clone()).or_default() += 1;
            if self.denies_refusals && status.state == JobState::Refused {
                let result = Err(Failure::Denied("it was accepted".into()));
                return self.keeper.receipts.push(Receipt::JobStatusWritten { uid: uid.clone(), result });
            }
        }
        if self.loses_ledger_writes && matches!(command, Command::WriteLedger { .. }) {
            return self.keeper.receipts.push(Receipt::LedgerWritten(Err(Failure::NotSent("no connection".into()))));
        }
        self.keeper.receipts.extend(self.world.carry_out(&command, Mutant::None));
    }

    fn starts_drivers(&mut self) -> bool {
        let new =
            |app: &&App| app.state == ApplicationState::New && app.placeholder.is_none() && app.deleting.is_none();
        let found = self.world.apps.values().find(new).filter(|_| self.world.operator_up);
        let Some(app) = found.cloned() else { return false };
        self.world.start_driver(&app, false);
        self.world.edit_pod(&app.driver_key(), |pod| pod.phase = PodPhase::Running);
        let driver = app.driver_key().name.to_string().into();
        self.world.edit_app(&app.key, |app| {
            (app.state, app.driver_pod) = (ApplicationState::Running, Some(driver));
        });
        true
    }

    /// The driver of a job ends well.
    pub(crate) fn ends(&mut self, job: &str) {
        let app = self.world.apps.values().find(|app| *app.job == *job).cloned().expect("it has an application");
        self.world.edit_pod(&app.driver_key(), |pod| {
            pod.phase = PodPhase::Succeeded;
            pod.end = Some(DriverEnd { report: Report::None, failure: None, out_of_memory: false, lost: false });
        });
        self.world.end_app(&app.key, ApplicationState::Completed, None);
        self.settles();
    }

    pub(crate) fn seconds_pass(&mut self, seconds: i64) {
        for _ in 0..seconds {
            self.world.now = self.world.now + Span::seconds(1);
            self.settles();
        }
    }

    pub(crate) fn runs(&self, job: &str) -> bool {
        let app = self.world.apps.values().find(|app| *app.job == *job);
        app.is_some_and(|app| !app.is_terminal() && app.deleting.is_none())
    }

    /// State and reason of a job.
    pub(crate) fn told(&self, job: &str) -> (JobState, &str) {
        let status = self.status(job);
        (status.state, status.reason)
    }

    pub(crate) fn message(&self, job: &str) -> String {
        self.status(job).message.clone()
    }

    /// Who holds first what a job waits for, as it was told.
    pub(crate) fn holders(&self, job: &str) -> Vec<Name> {
        let blockers = self.status(job).queue.iter().filter_map(|queue| queue.blockers.first());
        blockers.flat_map(|blocker| blocker.holders.clone()).collect()
    }

    /// The place that a job was told.
    pub(crate) fn position(&self, job: &str) -> Option<u32> {
        self.status(job).queue.as_ref()?.position
    }

    /// What the runs of a job took.
    pub(crate) fn usage(&self, job: &str) -> Option<Usage> {
        self.status(job).usage
    }

    pub(crate) fn executors(&self, job: &str) -> Option<ExecutorShare> {
        self.status(job).executors
    }

    /// What an operation says that its runs took, and the cluster.
    pub(crate) fn accounts(&self, operation: &str) -> [Usage; 2] {
        [self.world.operations[&key(operation)].account, self.world.clusters[CLUSTER].account].map(|it| it.usage)
    }

    fn status(&self, job: &str) -> &JobStatus {
        self.world.jobs[&key(job)].status.as_ref().expect("it was told something")
    }

    /// What the cluster's status says.
    pub(crate) fn cluster(&self) -> &ClusterStatus {
        self.world.clusters[CLUSTER].published.as_ref().expect("it was told something")
    }

    /// How long the run of a job was expected to take when it was granted.
    pub(crate) fn expected(&self, job: &str) -> Option<Span> {
        self.holder(job).expect("it holds its slots").expected
    }

    /// How many executors the run of a job was granted.
    pub(crate) fn granted(&self, job: &str) -> Option<u64> {
        self.holder(job).map(|holder| holder.max_executors)
    }

    fn holder(&self, job: &str) -> Option<&Holder> {
        let (_, ledger) = self.world.ledger.as_ref().expect("there is a ledger");
        ledger.holders.values().find(|holder| *holder.job.name == *job).map(|holder| &**holder)
    }

    /// Somebody edits the cluster.
    pub(crate) fn edits(&mut self, edit: impl FnOnce(&mut Cluster)) {
        let mut cluster = self.world.clusters[CLUSTER].clone();
        cluster.generation += 1;
        edit(&mut cluster);
        self.world.put_cluster(cluster);
        self.settles();
    }
}
