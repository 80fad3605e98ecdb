//! What went wrong elsewhere when a keeper was restarted, or wrote too much, as stories here: each by the repository and the
//! number under which it was told. Nothing is drawn in them: the world does what the story says.

use std::collections::BTreeMap;

use slowlane::command::{Command, Input, Kind};
use slowlane::model::{
    Answers, ApplicationState, Cluster, DriverEnd, ExecutorBounds, Job, JobState, Locks, ObjectKey, Operation, Outline,
    PodPhase, PodSizing, Report, Resources, Selector, Settings, Span, Time, TimeLimits,
};

use crate::keeper::Keeper;
use crate::mutants::Mutant;
use crate::objects::{App, JobObject, NamespaceObject};
use crate::people::COMPLETE;
use crate::world::World;

const TEAM: &str = "red";
const CLUSTER: &str = "business";

struct Story {
    world: World,
    settings: Settings,
    keeper: Keeper,
    /// Job statuses that were written, by job.
    told: BTreeMap<ObjectKey, u32>,
}

fn key(name: &str) -> ObjectKey {
    ObjectKey::new(TEAM, name)
}

fn operation(name: &str, limit: Option<u32>, locks: &[(&str, u32)]) -> Operation {
    let pod = PodSizing { cores: Some(1), memory_mib: Some(512), ..PodSizing::default() };
    let outline = Outline { essentials: COMPLETE, driver: pod, executor: pod, ..Outline::default() };
    let locks: Locks = locks.iter().map(|(lock, permits)| ((*lock).into(), *permits)).collect();
    Operation { key: key(name), generation: 1, limit, locks, outline, ..Operation::default() }
}

impl Story {
    /// A keeper, a cluster with room for ten executors, and these operations; there is one permit of each lock.
    fn new(operations: Vec<Operation>) -> Self {
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
        let mut story = Self { world, settings, keeper, told: BTreeMap::new() };
        story.lead(true);
        story
    }

    fn lead(&mut self, first: bool) {
        let identity = self.keeper.identity.clone().into();
        self.keeper.step(Input::Leading { identity, first }, &mut self.world);
        self.settles();
    }

    /// The keeper is gone, and what it was about to say with it.
    fn is_down(&mut self) {
        self.keeper = Keeper::new("next".into(), self.settings.clone(), false);
    }

    /// A job of one executor comes.
    fn comes(&mut self, name: &str, operation: &str) {
        let job = Job {
            key: key(name),
            uid: self.world.new_uid("job"),
            generation: 1,
            created: Time(self.world.now.0 / 1000 * 1000),
            operation: operation.into(),
            priority: None,
            own_limit: None,
            cluster: None,
            executors: Some(ExecutorBounds { min: 1, max: 1 }),
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
            let news = self.keeper.news(self.world.now).next();
            if let Some(kind) = news {
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
        if let Command::WriteJobStatus { key, .. } = &command {
            *self.told.entry(key.clone()).or_default() += 1;
        }
        self.keeper.receipts.extend(self.world.carry_out(&command, Mutant::None));
    }

    fn starts_drivers(&mut self) -> bool {
        let new =
            |app: &&App| app.state == ApplicationState::New && app.placeholder.is_none() && app.deleting.is_none();
        let Some(app) = self.world.apps.values().find(new).cloned() else { return false };
        self.world.start_driver(&app, false);
        self.world.edit_pod(&app.driver_key(), |pod| pod.phase = PodPhase::Running);
        let driver = app.driver_key().name.to_string().into();
        self.world.edit_app(&app.key, |app| {
            (app.state, app.driver_pod) = (ApplicationState::Running, Some(driver));
        });
        true
    }

    /// The driver of a job ends well.
    fn ends(&mut self, job: &str) {
        let app = self.world.apps.values().find(|app| *app.job == *job).cloned().expect("it has an application");
        self.world.edit_pod(&app.driver_key(), |pod| {
            pod.phase = PodPhase::Succeeded;
            pod.end = Some(DriverEnd { report: Report::None, failure: None, out_of_memory: false, lost: false });
        });
        self.world.end_app(&app.key, ApplicationState::Completed, None);
        self.settles();
    }

    fn seconds_pass(&mut self, seconds: i64) {
        for _ in 0..seconds {
            self.world.now = self.world.now + Span::seconds(1);
            self.settles();
        }
    }

    fn runs(&self, job: &str) -> bool {
        let app = self.world.apps.values().find(|app| *app.job == *job);
        app.is_some_and(|app| !app.is_terminal() && app.deleting.is_none())
    }

    /// State and reason of a job.
    fn told(&self, job: &str) -> (JobState, &str) {
        let status = self.world.jobs[&key(job)].status.as_ref().expect("it was told something");
        (status.state, status.reason)
    }
}

/// After a restart the first holder of each semaphore was forgotten: the next workflow ran beside it.
/// And a lock that was taken before the restart was never released by its holder's end (8684).
#[test]
fn peer_argo_workflows_10286() {
    let mut story = Story::new(vec![operation("report", None, &[("orders", 1)])]);
    story.comes("holds", "report");
    story.comes("waits", "report");
    story.is_down();
    story.lead(false);
    story.seconds_pass(120);
    assert!(story.runs("holds") && !story.runs("waits"), "a lock outlives the keeper that gave it");
    assert_eq!(story.told("waits"), (JobState::Queued, "LockTaken"));
    story.ends("holds");
    assert!(story.runs("waits"), "whoever gave it, its holder's end frees it");
}

/// After a restart the list showed those that waited before those that ran: as many again were started.
#[test]
fn peer_argo_workflows_6599() {
    let mut story = Story::new(vec![operation("report", Some(2), &[])]);
    for job in ["y-runs", "z-runs", "a-waits", "b-waits"] {
        story.comes(job, "report");
    }
    story.is_down();
    story.lead(false);
    story.seconds_pass(120);
    let running: Vec<_> =
        ["a-waits", "b-waits", "y-runs", "z-runs"].into_iter().filter(|job| story.runs(job)).collect();
    assert_eq!(running, ["y-runs", "z-runs"]);
    assert_eq!(story.told("a-waits"), (JobState::Queued, "OperationLimitReached"));
}

/// Finished workflows that were still there counted against the limit: 2,000 of them, none ran, and none was started.
#[test]
fn peer_argo_workflows_12541() {
    let mut story = Story::new(vec![operation("report", Some(2), &[])]);
    for number in 0..6 {
        let job = format!("done-{number}");
        story.comes(&job, "report");
        story.ends(&job);
    }
    story.seconds_pass(5);
    assert_eq!(story.world.apps.len(), 6, "their applications are kept for an hour");
    story.comes("next", "report");
    assert!(story.runs("next"));
    story.is_down();
    story.lead(false);
    story.comes("after", "report");
    assert!(story.runs("after"), "nor does the next keeper count them");
}

/// A limit was lowered, then the scheduler was restarted: what ran above the limit was to be left out of what it counted.
#[test]
fn peer_yunikorn_core_1068() {
    let mut story = Story::new(vec![operation("report", Some(3), &[])]);
    ["a", "b", "c", "next"].into_iter().for_each(|job| story.comes(job, "report"));
    story.is_down();
    let lower = Operation { generation: 2, ..operation("report", Some(2), &[]) };
    story.world.put_operation(lower);
    story.lead(false);
    story.seconds_pass(120);
    assert!(["a", "b", "c"].into_iter().all(|job| story.runs(job)), "a lower limit ends nothing");
    for (ended, starts) in [("a", false), ("b", true)] {
        story.ends(ended);
        assert_eq!(story.runs("next"), starts, "all that run count, until there are fewer than the limit");
    }
}

/// Jobs that came while the part that starts them was away stayed pending when it was back.
#[test]
fn peer_pipelines_as_code_1790() {
    let mut story = Story::new(vec![operation("report", Some(1), &[])]);
    story.is_down();
    story.world.events.clear();
    ["first", "second"].into_iter().for_each(|job| story.comes(job, "report"));
    assert!(!story.runs("first"));
    story.lead(false);
    story.seconds_pass(120);
    assert!(story.runs("first") && !story.runs("second"));
    story.ends("first");
    assert!(story.runs("second"));
}

/// Each workload that waited was written to at every cycle, though only the numbers in its message were others.
#[test]
fn peer_kueue_8139() {
    let mut story = Story::new(vec![operation("report", Some(1), &[])]);
    let jobs: Vec<String> = (0..100).map(|number| format!("job-{number:03}")).collect();
    jobs.iter().for_each(|job| story.comes(job, "report"));
    story.seconds_pass(5);
    let before = story.told.clone();
    for job in &jobs[..20] {
        story.ends(job);
        story.seconds_pass(5);
    }
    let again = |job: &&String| story.told[&key(job)] != before[&key(job)];
    let behind: Vec<_> = jobs[60..].iter().filter(again).collect();
    assert!(behind.is_empty(), "far from the head nothing is written anew: {behind:?}");
    // Twenty near the head say who is before them, every half a minute at most.
    let near: u32 = jobs[20..60].iter().map(|job| story.told[&key(job)] - before[&key(job)]).sum();
    assert!(near <= 4 * 20, "{near} writes");
}
