//! Drives the gate through a story and compares it with the rule after every event.

use std::collections::BTreeMap;
use std::iter::Sum;
use std::sync::Arc;

use slowlane::admission::{Gate, Grant, QueueKey, QueueNumber, Rank};
use slowlane::model::{
    Accept, Answer, Answers, Cluster, ClusterChoice, Cron, Essentials, ExecutorBounds, ExecutorChoice, Hold, Holder,
    Language, MainFile, Name, ObjectKey, Operation, Outline, PodSizing, Priority, Recurrence, Requirement,
    RequirementOperator, Resources, RunId, Selector, Settings, Share, Size, Span, Strategy, Time, WaitReason, Window,
    Zone,
};

use crate::rng::Rng;
use crate::rule::{self, Amounts, Job, LOCKS, PATIENCE, REASONS, World};
use crate::story::{self, Event};

const EVENTS: usize = 24;
const CLASSES: [Priority; 4] = [Priority::Low, Priority::Normal, Priority::High, Priority::Critical];

/// How often each thing came about, to know that it was tried.
#[derive(Debug, Default)]
pub(crate) struct Seen(BTreeMap<&'static str, u64>);

impl Sum for Seen {
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        parts.fold(Self::default(), |mut all, part| {
            part.0.into_iter().for_each(|(what, number)| *all.0.entry(what).or_default() += number);
            all
        })
    }
}

impl Seen {
    /// Every reason was met, and starts.
    pub(crate) fn is_worth_it(&self) {
        // Nothing is undecided once the gate has decided.
        let reasons = REASONS.into_iter().filter(|reason| *reason != "PendingEvaluation");
        let met = ["start", "start of a size", "claim", "two claims", "reservation", "impatient", "quiet"];
        let met = met.into_iter().chain(["more than the least", "left to who is paced"]);
        for what in reasons.chain(met) {
            assert!(self.0.get(what).is_some_and(|number| *number > 100), "{what} was hardly met: {self:?}");
        }
    }
}

/// One world: panics where the gate and the rule disagree.
pub(crate) fn compare(seed: u64, told: bool) -> Seen {
    let mut rng = Rng::new(seed);
    let mut world = story::world(&mut rng);
    let mut driven = Driven::new(&world);
    let mut met = Seen::default();
    let tell = |words: String| told.then(|| println!("{words}"));
    tell(format!("{world:#?}"));
    for born in 0..EVENTS {
        let event = story::event(&mut rng, &mut world, u32::try_from(born).unwrap());
        tell(format!("at {}: {event:?}", world.now));
        let is_quiet = matches!(event, Event::Later) && !driven.would_wake(world.now);
        driven.apply(&event, &world);
        world.window = driven.longest_line();
        let (said, ruled) = (driven.starts(&world), world.decide());
        let ruled: Vec<_> = ruled.into_iter().map(|start| (start.job, start.cluster, start.executors)).collect();
        match event {
            Event::Cluster(number) => tell(format!("now {:?}", world.clusters[number])),
            Event::Operation(number) => tell(format!("now {:?}", world.operations[number])),
            _ => None,
        };
        tell(format!("starts {said:?}; claims {:?}", world.claims));
        assert_eq!(said, ruled, "seed {seed}, after {event:?}: starts (job, cluster, executors), said and ruled");
        assert!(
            !is_quiet || ruled.is_empty(),
            "seed {seed}: {ruled:?} could start, and nobody would have woken the engine"
        );
        *met.0.entry("quiet").or_default() += u64::from(is_quiet);
        *met.0.entry("start").or_default() += ruled.len() as u64;
        let sized = ruled.iter().filter(|(job, ..)| driven.jobs[job].size.is_some());
        *met.0.entry("start of a size").or_default() += sized.count() as u64;
        let least = |job: &Job| if job.size.is_none() { job.min.max(1).min(job.max) } else { u64::MAX };
        let more = ruled.iter().filter(|(job, _, executors)| *executors > least(&driven.jobs[job]));
        *met.0.entry("more than the least").or_default() += more.count() as u64;
        *met.0.entry("claim").or_default() += u64::from(!world.claims.is_empty());
        let reserves = (0..world.clusters.len()).filter(|cluster| world.is_reserved(*cluster)).count();
        *met.0.entry("reservation").or_default() += reserves as u64;
        let impatient = (0..world.clusters.len()).filter(|cluster| world.is_impatient(*cluster)).count();
        *met.0.entry("impatient").or_default() += impatient as u64;
        *met.0.entry("two claims").or_default() += u64::from(world.claims.len() > 1);
        driven.gate.settle(Time(world.now));
        for job in &world.jobs {
            let (said, ruled) = (driven.reason(job.number), world.reason(job));
            assert_eq!(said, ruled, "seed {seed}, after {event:?}: reason of {job:?}");
            *met.0.entry(ruled).or_default() += 1;
        }
    }
    *met.0.entry("left to who is paced").or_default() += world.left_to_waiting;
    met
}

pub(crate) struct Driven {
    gate: Gate,
    waiting: BTreeMap<u32, (QueueNumber, Rank)>,
    running: BTreeMap<u32, Holder>,
    jobs: BTreeMap<u32, Job>,
    aging: Span,
}

impl Driven {
    pub(crate) fn new(world: &World) -> Self {
        let gate = Gate::new(&settings(world));
        let aging = Span(world.aging);
        let (waiting, running, jobs) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let mut driven = Self { gate, waiting, running, jobs, aging };
        (0..2).for_each(|number| driven.show_namespace(number, world));
        driven.gate.set_expected_of_unknown(world.expected_of_unknown.map(Span));
        (0..world.operations.len()).for_each(|number| driven.show_operation(number, world));
        (0..world.clusters.len()).for_each(|number| driven.show_cluster(number, world));
        driven
    }

    pub(crate) fn apply(&mut self, event: &Event, world: &World) {
        self.gate.pass_time(Time(world.now));
        match event {
            Event::Comes(job) => {
                self.jobs.insert(job.number, job.clone());
                let class = CLASSES[usize::try_from(job.class).unwrap()];
                let rank = Rank::new(class, Time(job.created), job.arrival, job.number, self.aging);
                let queue = self.gate.enqueue(queue_key(job, class, world), rank);
                self.waiting.insert(job.number, (queue, rank));
            }
            Event::Goes(job) => self.leave(*job),
            Event::Ends(job) => {
                let holder = self.running.remove(job).unwrap();
                self.gate.give_back(&run(*job), &holder);
            }
            Event::TakenUp(job) => self.gate.take_up(&run(*job)),
            Event::Operation(number) => self.show_operation(*number, world),
            Event::Cluster(number) => self.show_cluster(*number, world),
            Event::Namespace(number) => self.show_namespace(*number, world),
            Event::Strangers(number) => {
                let takes = resources(world.strangers[*number]);
                self.gate.set_strangers(&namespace(*number).into(), takes);
            }
            Event::Pods(job, there) => {
                self.gate.set_really_there(&run(*job), &self.running[job], resources(*there));
            }
            Event::Served(served) => self.gate.set_operator_available(*served),
            Event::Limits => self.gate.set_settings(&settings(world)),
            Event::Unknown => self.gate.set_expected_of_unknown(world.expected_of_unknown.map(Span)),
            Event::Later => {}
        }
        // The engine is woken at every edge; one that has passed is passed once.
        if self.gate.next_edge().is_some_and(|edge| edge.0 <= world.now) {
            self.gate.pass_edges(Time(world.now));
        }
    }

    /// Whether the engine wakes by that time, of itself.
    pub(crate) fn would_wake(&self, now: i64) -> bool {
        let wakes = [self.gate.next_edge(), self.gate.next_overdue(), self.gate.next_impatience()];
        wakes.into_iter().flatten().any(|time| time.0 <= now)
    }

    fn leave(&mut self, job: u32) {
        let (queue, rank) = self.waiting.remove(&job).unwrap();
        self.gate.dequeue(queue, &rank);
    }

    /// As the engine does it.
    pub(crate) fn starts(&mut self, world: &World) -> Vec<(u32, usize, u64)> {
        let mut starts = Vec::new();
        loop {
            let started = self.start(world);
            if started.is_empty() {
                return starts;
            }
            for (at, executors) in self.gate.deal(&started) {
                let before = self.running.get_mut(&started[at].1.job).unwrap();
                let after = Holder { max_executors: executors, ..before.clone() };
                self.gate.enlarge(&started[at].0, before, &after);
                *before = after;
            }
            starts.extend(started.into_iter().map(|(_, grant)| {
                let cluster = grant.cluster.rsplit('-').next().unwrap().parse().unwrap();
                (grant.job, cluster, self.running[&grant.job].max_executors)
            }));
        }
    }

    fn start(&mut self, world: &World) -> Vec<(RunId, Grant)> {
        let mut started = Vec::new();
        while let Some(grant) = self.gate.next_start(Time(world.now)) {
            self.leave(grant.job);
            let (number, id) = (grant.job, run(grant.job));
            let operation = operation_key(self.jobs[&number].operation, world);
            let job = ObjectKey { name: format!("job-{number}").into(), ..operation.clone() };
            let holder = grant.clone().holder(job, operation.name, Time(world.now));
            self.gate.take(&id, &holder);
            self.gate.join_line(&id);
            self.running.insert(number, holder);
            started.push((id, grant));
        }
        started
    }

    /// How long the line before the spark-operator may be by its pace: how that comes about is judged elsewhere.
    pub(crate) fn longest_line(&self) -> usize {
        self.gate.longest_line()
    }

    /// The reason of a waiting job, and the words of what comes first.
    pub(crate) fn told(&mut self, job: u32, world: &World) -> (WaitReason, String) {
        self.gate.settle(Time(world.now));
        let queue = self.gate.queue(self.waiting[&job].0).unwrap();
        let first = self.gate.blockers(queue, self.waiting[&job].1, Time(world.now)).into_iter().next();
        (queue.reason, first.map(|blocker| blocker.message.clone()).unwrap_or_default())
    }

    fn reason(&self, job: u32) -> &'static str {
        self.gate.queue(self.waiting[&job].0).unwrap().reason.as_str()
    }

    fn show_namespace(&mut self, number: usize, world: &World) {
        let labels = [("number".into(), number.to_string().into())].into();
        self.gate.set_namespace(&namespace(number).into(), labels, world.terminating[number]);
    }

    fn show_operation(&mut self, number: usize, world: &World) {
        let (key, it) = (operation_key(number, world), &world.operations[number]);
        if !it.declared {
            return self.gate.remove_operation(&key);
        }
        self.gate.set_operation(Box::new(Operation {
            key: key.clone(),
            generation: 1,
            limit: it.limit,
            locks: it.locks.iter().map(|(lock, permits)| (lock_name(*lock), *permits)).collect(),
            outline: Outline { essentials: essentials(), executor: sized(Some(it.cores)), ..Outline::default() },
            defect: it.defect.then(|| "odd".into()),
            ..Operation::default()
        }));
        self.gate.set_expected(&key, it.expected.map(Span));
    }

    fn show_cluster(&mut self, number: usize, world: &World) {
        let (name, it) = (cluster_name(number), &world.clusters[number]);
        if !it.declared {
            return self.gate.remove_cluster(&name.into());
        }
        let requirement = Requirement {
            key: "number".into(),
            operator: RequirementOperator::In,
            values: it.namespaces.iter().map(|number| number.to_string().into()).collect(),
        };
        let operation_name = |number: &usize| {
            let key = operation_key(*number, world);
            (Some(key.namespace).filter(|_| number.is_multiple_of(2)), key.name)
        };
        let cluster = Cluster {
            name: name.into(),
            generation: 1,
            labels: [("number".into(), number.to_string().into())].into(),
            selector: Some(Selector { requirements: vec![requirement] }),
            max_jobs: it.most_jobs,
            share: Share { max_jobs: it.share_jobs, max_executors: it.share_executors },
            locks: declared(&it.locks),
            admit_below: it.admit_below.map(|percent| u32::try_from(percent).unwrap()),
            max_pending: it.max_pending,
            strategy: match (it.strict, it.backfill) {
                (true, _) => Strategy::StrictFifo,
                (_, true) => Strategy::Backfill,
                _ => Strategy::PriorityFifo,
            },
            capacity: resources(it.capacity),
            held: it.held,
            windows: it.windows.iter().map(|it| window(it.period, it.minutes)).collect(),
            accept: it
                .accept
                .iter()
                .map(|entry| Accept {
                    during: entry.during.iter().copied().collect(),
                    outside: entry.outside.iter().copied().collect(),
                    priorities: entry.classes.iter().map(|class| CLASSES[usize::try_from(*class).unwrap()]).collect(),
                    operations: entry.operations.iter().map(operation_name).collect(),
                    when: entry.when.map(expression),
                })
                .collect(),
            template: Outline { executor: sized(it.cores), ..Outline::default() },
            sizes: (0..).zip(&it.sizes).filter_map(|(number, it)| Some((size_name(number), size((*it)?)))).collect(),
            defect: it.defect.then(|| "odd".into()),
            ..Cluster::default()
        };
        self.gate.set_cluster(Box::new(cluster), Time(world.now));
    }
}

fn settings(world: &World) -> Settings {
    Settings {
        waiting_bound: Span(world.bound),
        aging: Span(world.aging),
        max_live_runs: world.most_runs,
        operator_absent: Span(PATIENCE),
        locks: declared(&world.locks),
        held: world.held.then(|| Hold { by: "the settings".into(), since: None, why: None }),
        ..Settings::default()
    }
}

fn queue_key(job: &Job, class: Priority, world: &World) -> QueueKey {
    QueueKey {
        operation: operation_key(job.operation, world),
        class,
        cluster: choice(job).map(Arc::new),
        executors: match job.size {
            Some(number) => ExecutorChoice::Size(size_name(number)),
            None => ExecutorChoice::Bounds(ExecutorBounds { min: job.min, max: job.max }),
        },
        own_limit: job.own_limit,
        answers: answers(job),
        defect: job.defect.then(|| "odd".into()),
    }
}

fn expression(number: usize) -> Box<str> {
    format!("expression {number}").into()
}

fn answers(job: &Job) -> Answers {
    let answers = job.answers.iter().enumerate().filter_map(|(number, answer)| {
        let answer = if (*answer)? { Answer::Yes } else { Answer::No };
        Some((expression(number), answer))
    });
    Answers::new(answers)
}

fn choice(job: &Job) -> Option<ClusterChoice> {
    let selected = |numbers: &Vec<usize>| {
        let values = numbers.iter().map(|number| number.to_string().into()).collect();
        let requirement = Requirement { key: "number".into(), operator: RequirementOperator::In, values };
        ClusterChoice::Selected(Selector { requirements: vec![requirement] })
    };
    let named = job.cluster.map(|cluster| ClusterChoice::Named(cluster_name(cluster).into()));
    named.or_else(|| job.selected.as_ref().map(selected))
}

fn essentials() -> Essentials {
    Essentials {
        language: Some(Language::Jvm),
        main_file: Some(MainFile::Jar),
        main_class: true,
        image: true,
        spark_version: true,
    }
}

fn sized(cores: Option<u64>) -> PodSizing {
    PodSizing { cores, ..PodSizing::default() }
}

fn size(it: rule::Size) -> Size {
    let [driver, executor] = it.cores.map(sized);
    let executor = PodSizing { memory_mib: it.heap.map(|heap| heap << 10), ..executor };
    Size { bounds: ExecutorBounds { min: it.min, max: it.max }, driver, executor }
}

fn size_name(number: usize) -> Name {
    ["S", "M"][number].into()
}

fn window(period: i64, minutes: i64) -> Window {
    let recurrence =
        Recurrence::Cron(Cron::parse(&format!("*/{period} * * * *")).unwrap(), Span::seconds(minutes * 60));
    Window { name: "w".into(), zone: Zone::named("UTC").unwrap(), recurrence }
}

fn resources([executors, milli_cores, memory_mib]: Amounts) -> Resources {
    Resources { executors, milli_cores, memory_mib }
}

fn lock_name(number: usize) -> Name {
    ["orders", "stock"][number].into()
}

fn declared(locks: &[Option<u32>; LOCKS]) -> BTreeMap<Name, u32> {
    let permits = locks.iter().enumerate().filter_map(|(number, permits)| Some((lock_name(number), (*permits)?)));
    permits.collect()
}

fn namespace(number: usize) -> &'static str {
    ["left", "right"][number]
}

fn cluster_name(number: usize) -> String {
    format!("cluster-{number}")
}

fn operation_key(number: usize, world: &World) -> ObjectKey {
    ObjectKey::new(namespace(world.operations[number].namespace), format!("operation-{number}"))
}

fn run(job: u32) -> RunId {
    RunId { job: format!("job-{job}").into(), number: 1 }
}
