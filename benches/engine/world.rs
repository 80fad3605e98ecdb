//! The least world that keeps an engine busy: it does what it is asked, after the time that an API server and Spark
//! would take, and tells of it by the watches. Nothing ever goes wrong in it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use slowlane::command::{Change, Command, Input, Kind, Receipt};
use slowlane::engine::Engine;
use slowlane::model::{
    Answers, ApplicationSeen, ApplicationState, Cluster, ClusterChoice, Defaults, DriverEnd, Essentials, Holder, Job,
    JobStatus, Language, MainFile, Name, ObjectKey, Operation, Outline, PodPhase, PodRole, PodSeen, Priority,
    Published, Report, Requirement, RequirementOperator, Resources, RunId, RunStatus, Selector, Settings, Time,
    TimeLimits, Uid, Usage, child_name,
};

/// How large the installation is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    /// Jobs that wait.
    pub(crate) queued: usize,
    /// Operations, each with jobs in its queue and one slot.
    pub(crate) operations: usize,
    /// Clusters, of which each operation's jobs select ten, or all where there are fewer.
    pub(crate) clusters: usize,
}

/// Clusters that an operation's jobs may go to.
const GROUP: usize = 10;
/// Runs that all clusters together take: below what the ledger holds.
const LIVE_RUNS: usize = 500;
/// Milliseconds: a request until its answer, and until the watch shows what it did.
const ANSWER: i64 = 4;
const WATCHED: i64 = 6;
/// Milliseconds that a driver runs, at least; up to twice as long.
const RUN: i64 = 4_000;

/// What happens at some time. The serial number keeps the order of what happens at once.
type Due = Reverse<(i64, u64)>;

/// An engine and what surrounds it.
pub(crate) struct World {
    scale: Scale,
    engine: Engine,
    now: i64,
    serial: u64,
    due: BinaryHeap<Due>,
    inputs: HashMap<u64, Input>,
    jobs: HashMap<Uid, Job>,
    applications: HashMap<ObjectKey, (ApplicationSeen, PodSeen)>,
    /// When each of the spark-operator's workers is free, and what a submission takes; none: it never keeps anybody waiting.
    workers: Vec<i64>,
    submission: i64,
    /// When applications were taken up.
    taken_up: HashMap<Uid, i64>,
    /// Statuses of waiting jobs that were written.
    told: usize,
    born: usize,
    steps: usize,
    spent: Duration,
    kinds: Option<BTreeMap<&'static str, Vec<Duration>>>,
}

impl World {
    /// A keeper that leads, with so many jobs in its queues.
    pub(crate) fn new(scale: Scale) -> Self {
        let mut world = Self {
            scale,
            engine: Engine::new(Settings::default()),
            now: 1_700_000_000_000,
            serial: 0,
            due: BinaryHeap::new(),
            inputs: HashMap::new(),
            jobs: HashMap::new(),
            applications: HashMap::new(),
            workers: Vec::new(),
            submission: 0,
            taken_up: HashMap::new(),
            told: 0,
            born: 0,
            steps: 0,
            spent: Duration::ZERO,
            kinds: None,
        };
        world.tell(0, Input::Leading { identity: "keeper".into(), first: true });
        while !world.due.is_empty() {
            world.step();
        }
        (0..scale.queued).for_each(|_| world.hand_in(0));
        world
    }

    /// So many steps that are counted.
    pub(crate) fn steps_alone(&mut self, inputs: usize) {
        for _ in 0..inputs {
            let input = self.next_input();
            let commands = counted(&mut self.engine, input, Time(self.now));
            self.steps += 1;
            commands.into_iter().for_each(|command| self.obey(command));
        }
    }

    /// Steps so far.
    pub(crate) fn steps(&self) -> usize {
        self.steps
    }

    /// Time that the engine has taken so far.
    pub(crate) fn spent(&self) -> Duration {
        self.spent
    }

    /// From now on the time of each step is kept, by kind.
    pub(crate) fn tell_apart(&mut self) {
        self.kinds = Some(BTreeMap::new());
    }

    /// One event.
    pub(crate) fn step(&mut self) {
        let input = self.next_input();
        let kind = self.kinds.is_some().then(|| kind_of(&input));
        let now = Time(self.now);
        let started = Instant::now();
        let commands = black_box(self.engine.step(input, now));
        let took = started.elapsed();
        self.steps += 1;
        self.spent += took;
        if let (Some(kinds), Some(kind)) = (&mut self.kinds, kind) {
            kinds.entry(kind).or_default().push(took);
        }
        commands.into_iter().for_each(|command| self.obey(command));
    }

    /// Prints how often each kind of event came and what it took; gives the figures of all.
    pub(crate) fn print_kinds(&self) -> Figures {
        let kinds = self.kinds.iter().flatten();
        let everything: Vec<Duration> = kinds.clone().flat_map(|(_, times)| times).copied().collect();
        let total = everything.len();
        println!("{:<28} {:>7} {:>9} {:>9} {:>9} {:>9}", "", "share", "mean", "p50", "p99", "p99.9");
        kinds.for_each(|(kind, times)| _ = print_row(kind, times.clone(), total));
        print_row("all", everything, total)
    }

    /// From now on the spark-operator has so many workers, of which each takes so many milliseconds for a submission, half of
    /// it more or less.
    pub(crate) fn set_workers(&mut self, workers: usize, submission: i64) {
        (self.workers, self.submission) = (vec![self.now; workers], submission);
    }

    /// Until so many milliseconds have passed.
    pub(crate) fn pass(&mut self, milliseconds: i64) {
        let end = self.now + milliseconds;
        while self.now < end {
            self.step();
        }
    }

    /// A job of a higher class comes now, of an operation that nobody else needs. Its UID.
    pub(crate) fn hand_in_urgent(&mut self, operation: usize) -> Uid {
        self.born += 1;
        let urgent = job(self.born, operation, Time(self.now / 1000 * 1000));
        let urgent = Job { priority: Some(Priority::High), ..urgent };
        let uid = urgent.uid.clone();
        let operation = self.scale.operation(operation_key(operation));
        self.show(0, Change::Operation(Box::new(operation)));
        self.jobs.insert(uid.clone(), urgent.clone());
        self.show(0, Change::Job(Box::new(urgent)));
        uid
    }

    /// Milliseconds now, and when the application of a job was taken up, if it was by now.
    pub(crate) fn taken_up(&self, job: &Uid) -> (i64, Option<i64>) {
        (self.now, self.taken_up.get(job).copied().filter(|time| *time <= self.now))
    }

    /// Applications that were taken up by now.
    pub(crate) fn submissions(&self) -> usize {
        self.taken_up.values().filter(|time| **time <= self.now).count()
    }

    /// How often waiting jobs were told something.
    pub(crate) fn told(&self) -> usize {
        self.told
    }

    /// How long until an application that comes now is taken up.
    fn submit(&mut self, job: &Uid) -> i64 {
        let now = self.now;
        let submission = self.submission / 2 + i64::try_from(self.serial).unwrap_or(0) * 7_919 % self.submission.max(1);
        let first = self.workers.iter_mut().min();
        let taken_up = first.map_or(now + 35, |free| {
            *free = now.max(*free) + submission;
            *free
        });
        if !self.workers.is_empty() {
            self.taken_up.insert(job.clone(), taken_up);
        }
        taken_up - now
    }

    fn next_input(&mut self) -> Input {
        let wake = self.engine.next_wake().map_or(i64::MAX, |time| time.0);
        match self.due.pop() {
            Some(Reverse((time, serial))) if time <= wake => {
                self.now = self.now.max(time);
                self.inputs.remove(&serial).unwrap_or(Input::Tick)
            }
            later => {
                self.due.extend(later);
                self.now = self.now.max(wake);
                Input::Tick
            }
        }
    }

    /// Something is told so many milliseconds from now.
    fn tell(&mut self, after: i64, input: Input) {
        self.serial += 1;
        self.due.push(Reverse((self.now + after, self.serial)));
        self.inputs.insert(self.serial, input);
    }

    fn show(&mut self, after: i64, change: Change) {
        self.tell(after, Input::Watched(change));
    }

    /// Somebody wants another job done.
    fn hand_in(&mut self, after: i64) {
        let operation = self.born % self.scale.operations;
        self.hand_in_for(operation, after);
    }

    fn hand_in_for(&mut self, operation: usize, after: i64) {
        self.born += 1;
        // Creation times have whole seconds.
        let created = Time((self.now + after) / 1000 * 1000);
        let job = job(self.born, operation, created);
        self.jobs.insert(job.uid.clone(), job.clone());
        self.show(after, Change::Job(Box::new(job)));
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::StartWatches => self.list(),
            Command::ReadLedger => self.answer(Receipt::LedgerRead(Ok(None))),
            Command::WriteLedger { .. } => {
                let version = self.serial.to_string().into();
                self.answer(Receipt::LedgerWritten(Ok(version)));
            }
            Command::CreateApplication { run, holder, .. } => self.create(&run, &holder),
            Command::DropTombstone { key, .. } => self.forget(key),
            Command::WriteJobStatus { key, uid, status } => self.write_status(&key, uid, &status),
            Command::WriteOperationStatus { key, status, .. } => {
                let account = status.account;
                let operation = Operation { account, published: Some(*status), ..self.scale.operation(key.clone()) };
                self.answer(Receipt::OperationStatusWritten { key, result: Ok(()) });
                self.show(WATCHED, Change::Operation(Box::new(operation)));
            }
            Command::WriteClusterStatus { name, status, .. } => {
                let account = status.account;
                let cluster = Cluster { account, published: Some(*status), ..self.scale.cluster(name.clone()) };
                self.answer(Receipt::ClusterStatusWritten { name, result: Ok(()) });
                self.show(WATCHED, Change::Cluster(Box::new(cluster)));
            }
            Command::Announce(_)
            | Command::AnnouncePool { .. }
            | Command::WritePool { .. }
            | Command::CountUsage { .. }
            | Command::ReportStranger { .. } => {}
            Command::ConfirmRun { .. } | Command::DeleteApplication { .. } | Command::StepDown => {
                unreachable!("nothing goes wrong here, but: {command:?}")
            }
        }
    }

    fn answer(&mut self, receipt: Receipt) {
        self.tell(ANSWER, Input::Written(receipt));
    }

    fn list(&mut self) {
        Kind::ALL.into_iter().for_each(|kind| self.tell(0, Input::RelistStarted(kind)));
        self.show(0, Change::Namespace { name: "jobs".into(), labels: BTreeMap::new(), terminating: false });
        for number in 0..self.scale.clusters {
            let cluster = self.scale.cluster(format!("cluster-{number}").into());
            self.show(0, Change::Cluster(Box::new(cluster)));
        }
        for number in 0..self.scale.operations {
            let operation = self.scale.operation(operation_key(number));
            self.show(0, Change::Operation(Box::new(operation)));
        }
        Kind::ALL.into_iter().for_each(|kind| self.tell(0, Input::RelistDone(kind)));
    }

    /// An application comes, is submitted, runs, and ends; the watches show each of it.
    fn create(&mut self, run: &RunId, holder: &Holder) {
        let (mut application, mut driver) = seen(run, holder, Time(self.now));
        self.answer(Receipt::Created { run: run.clone(), result: Ok(Box::new(application.clone())) });
        self.show(WATCHED, Change::Application(Box::new(application.clone())));
        let submitted = self.submit(&run.job);
        self.show(submitted - 5, Change::Pod(Box::new(driver.clone())));
        application.state = ApplicationState::Submitted;
        application.driver_pod = Some((&*driver.key.name).into());
        self.show(submitted, Change::Application(Box::new(application.clone())));
        driver.phase = PodPhase::Running;
        driver.started = Some(Time(self.now + submitted + 25));
        self.show(submitted + 25, Change::Pod(Box::new(driver.clone())));
        application.state = ApplicationState::Running;
        application.application_id = Some("spark-0".into());
        self.show(submitted + 30, Change::Application(Box::new(application.clone())));
        let end = submitted + 30 + RUN + i64::try_from(self.serial * 7_919 % 4_000).unwrap_or(0);
        driver.phase = PodPhase::Succeeded;
        driver.ended = Some(Time(self.now + end));
        driver.end = Some(DriverEnd { report: Report::None, ..DriverEnd::default() });
        self.show(end, Change::Pod(Box::new(driver.clone())));
        application.state = ApplicationState::Completed;
        application.terminated = Some(Time(self.now + end));
        self.show(end + 5, Change::Application(Box::new(application.clone())));
        self.applications.insert(application.key.clone(), (application, driver));
    }

    /// A tombstone goes, and with it its pod and its job.
    fn forget(&mut self, key: ObjectKey) {
        let Some((application, driver)) = self.applications.remove(&key) else { return };
        self.answer(Receipt::TombstoneDropped { key: key.clone(), result: Ok(()) });
        self.show(WATCHED, Change::ApplicationGone(key, application.uid));
        self.show(WATCHED, Change::PodGone(driver.key, driver.uid));
        if let Some(job) = self.jobs.remove(&driver.run.job) {
            self.show(WATCHED, Change::JobGone(job.key, job.uid));
        }
    }

    fn write_status(&mut self, key: &ObjectKey, uid: Uid, status: &JobStatus) {
        if let Some(job) = self.jobs.get_mut(&uid) {
            job.published = Some(Box::new(published(status)));
            let job = job.clone();
            self.show(WATCHED, Change::Job(Box::new(job)));
        }
        self.told += usize::from(status.queue.is_some());
        self.answer(Receipt::JobStatusWritten { uid, result: Ok(()) });
        if status.state.is_terminal() {
            self.hand_in_for(number_in(&key.name), 2 * WATCHED);
        }
    }
}

/// What events took, in microseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Figures {
    pub(crate) median: f64,
    pub(crate) mean: f64,
    pub(crate) p999: f64,
}

/// A world comes to its stride, and then makes steps that are counted: those within [`counted`].
pub(crate) fn few_steps(scale: Scale, settling: usize, counting: usize) {
    let mut world = World::new(scale);
    while world.steps() < settling {
        world.step();
    }
    world.steps_alone(counting);
    println!("{counting}");
}

/// One step. Not inlined: its name is where counting begins and ends.
#[inline(never)]
fn counted(engine: &mut Engine, input: Input, now: Time) -> Vec<Command> {
    black_box(engine.step(black_box(input), now))
}

fn print_row(kind: &str, mut times: Vec<Duration>, total: usize) -> Figures {
    times.sort_unstable();
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    let at = |per_mille: usize| micros(times[(times.len() * per_mille / 1000).min(times.len() - 1)]);
    let sum: Duration = times.iter().sum();
    #[expect(clippy::cast_precision_loss, reason = "a few hundred thousand")]
    let (share, mean) = (times.len() as f64 * 100.0 / total as f64, micros(sum) / times.len() as f64);
    let (median, p999) = (at(500), at(999));
    println!("{kind:<28} {share:>6.1}% {mean:>9.2} {median:>9.2} {:>9.2} {p999:>9.2}", at(990));
    Figures { median, mean, p999 }
}

fn kind_of(input: &Input) -> &'static str {
    match input {
        Input::Watched(Change::Job(job)) if job.published.is_none() => "job arrives",
        Input::Watched(Change::Job(_)) => "job's own status comes back",
        Input::Watched(Change::Application(_)) => "application",
        Input::Watched(Change::Pod(_)) => "pod",
        Input::Watched(Change::JobGone(..)) => "job is gone",
        Input::Watched(Change::ApplicationGone(..) | Change::PodGone(..)) => "application or pod is gone",
        Input::Watched(_) => "operation or cluster",
        Input::Written(Receipt::LedgerWritten(_)) => "ledger written",
        Input::Written(Receipt::JobStatusWritten { .. }) => "status written",
        Input::Written(_) => "another receipt",
        Input::Tick => "tick",
        Input::Leading { .. }
        | Input::RelistStarted(_)
        | Input::RelistDone(_)
        | Input::SparkOperator(_)
        | Input::Settings(_) => "beginning",
    }
}

// ---- objects ------------------------------------------------------------------------------------------------------------

fn operation_key(number: usize) -> ObjectKey {
    ObjectKey::new("jobs", format!("report-{number}"))
}

/// The number that its name ends with.
fn number_in(name: &str) -> usize {
    name.rsplit('-').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

impl Scale {
    fn groups(self) -> usize {
        self.clusters.div_ceil(GROUP)
    }

    fn operation(self, key: ObjectKey) -> Operation {
        let essentials =
            Essentials { language: Some(Language::Python), main_file: Some(MainFile::Python), ..Essentials::default() };
        let group = (number_in(&key.name) % self.groups()).to_string().into();
        let requirement = Requirement { key: "group".into(), operator: RequirementOperator::In, values: vec![group] };
        let selected = ClusterChoice::Selected(Selector { requirements: vec![requirement] });
        let cluster = (self.groups() > 1).then(|| Arc::new(selected));
        Operation {
            key,
            generation: 1,
            limit: Some(1),
            defaults: Defaults { cluster, ..Defaults::default() },
            outline: Outline { essentials, ..Outline::default() },
            parameters: vec!["region".into()],
            ..Operation::default()
        }
    }

    fn cluster(self, name: Name) -> Cluster {
        let essentials = Essentials { image: true, spark_version: true, ..Essentials::default() };
        let group = (number_in(&name) / GROUP).to_string().into();
        Cluster {
            name,
            generation: 1,
            labels: [("group".into(), group)].into(),
            selector: Some(Selector::default()),
            max_jobs: u32::try_from(LIVE_RUNS / self.clusters).ok(),
            capacity: Resources { executors: 1_000, milli_cores: 2_000_000, memory_mib: 8_000_000 },
            template: Outline { essentials, ..Outline::default() },
            ..Cluster::default()
        }
    }
}

fn job(number: usize, operation: usize, created: Time) -> Job {
    Job {
        // Its name ends with its operation's number.
        key: ObjectKey::new("jobs", format!("daily-report-{number}-{operation}")),
        uid: format!("{:08x}-7c55-4b46-9a55-0b0b3c1f9a11", number.wrapping_mul(2_654_435_761) & 0xffff_ffff).into(),
        generation: 1,
        created,
        operation: Name::from(format!("report-{operation}")),
        priority: None,
        own_limit: None,
        cluster: None,
        executors: None,
        parameters: ["region".into()].into(),
        declares_result: false,
        answers: Answers::default(),
        defect: None,
        time_limits: TimeLimits::default(),
        cancel: false,
        suspend: false,
        hold: None,
        deleting: false,
        published: None,
    }
}

fn seen(run: &RunId, holder: &Holder, now: Time) -> (ApplicationSeen, PodSeen) {
    let name = child_name(&holder.job.name, &run.job, run.number);
    let driver = PodSeen {
        key: ObjectKey::new("jobs", format!("{name}-driver")),
        uid: format!("pod-{name}").into(),
        run: run.clone(),
        owner: None,
        role: PodRole::Driver,
        phase: PodPhase::Pending,
        request: holder.footprint.driver,
        started: None,
        ended: None,
        waiting: None,
        end: None,
    };
    let application = ApplicationSeen {
        key: ObjectKey::new("jobs", name.as_str()),
        uid: format!("app-{name}").into(),
        run: Some(run.clone()),
        job: Some(holder.job.name.clone()),
        operation: Some(holder.operation.clone()),
        cluster: Some(holder.cluster.clone()),
        grant: Some((holder.footprint, holder.max_executors, holder.locks.clone())),
        created: now,
        placeholder: None,
        deleting: None,
        foreground: false,
        held: true,
        edited: false,
        state: ApplicationState::New,
        message: None,
        application_id: None,
        driver_pod: None,
        terminated: None,
    };
    (application, driver)
}

/// What the keeper reads back of a status that it wrote.
fn published(status: &JobStatus) -> Published {
    let newest: Option<&RunStatus> = status.runs.last();
    Published {
        let_in: true,
        state: Some(status.state),
        observed_generation: status.observed_generation,
        reason: Some(status.reason.into()),
        details: status.queue.as_ref().map(|_| status.details()),
        since: Some(status.since),
        accepted: status.accepted,
        waiting_since: status.queue.as_ref().map(|queue| queue.waiting_since),
        run: newest.map(|run| (run.number, !run.application.is_empty())),
        outcome: None,
        closed: newest.and_then(|run| Some((run.completion?, run.usage?))),
        peak: 0,
        earlier: Usage::default(),
        runs: Vec::new(),
    }
}
