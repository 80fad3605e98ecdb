//! One cluster, the gate before it, and jobs that come and end.

use std::collections::{BTreeMap, HashMap};

use slowlane::admission::{Gate, QueueKey, QueueNumber, Rank};
use slowlane::index::{Expectations, History};
use slowlane::model::{
    Answers, Cluster, Essentials, ExecutorBounds, ExecutorChoice, Holder, Language, MainFile, ObjectKey, Operation,
    Outline, Priority, Resources, RunId, Selector, Settings, Span, Strategy, Time,
};

use crate::workload::{EXECUTORS, Job, real};

/// How jobs are ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Policy {
    /// What fits passes, for ever: `PriorityFifo` without its bound.
    BestEffort,
    /// As shipped, with its bound of ten minutes.
    PriorityFifo,
    /// With a bound of a day.
    PatientFifo,
    StrictFifo,
    /// As `Backfill`, and each operation declares what its runs take as a rule.
    Declared,
    /// What is expected is the history of each operation.
    Backfill,
    /// What is expected is what comes true.
    Easy,
}

impl Policy {
    pub(crate) const ALL: [Self; 7] = [
        Self::BestEffort,
        Self::Easy,
        Self::StrictFifo,
        Self::PriorityFifo,
        Self::PatientFifo,
        Self::Backfill,
        Self::Declared,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::BestEffort => "best-effort FIFO",
            Self::StrictFifo => "StrictFifo",
            Self::Easy => "EASY, run times known",
            Self::PriorityFifo => "PriorityFifo",
            Self::PatientFifo => "PriorityFifo, bound of a day",
            Self::Backfill => "Backfill",
            Self::Declared => "Backfill, expectedRunSeconds",
        }
    }

    fn strategy(self) -> Strategy {
        match self {
            Self::BestEffort | Self::PriorityFifo | Self::PatientFifo => Strategy::PriorityFifo,
            Self::StrictFifo => Strategy::StrictFifo,
            Self::Backfill | Self::Declared | Self::Easy => Strategy::Backfill,
        }
    }
}

/// What came of it. Times in seconds.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Outcome {
    pub(crate) mean_wait: f64,
    /// The longest that any job waited.
    pub(crate) worst_wait: f64,
    /// The longest that one waited that needs more than half of the cluster.
    pub(crate) worst_large: f64,
    /// Of the executors, from the first job that comes to the last.
    pub(crate) utilisation: f64,
}

/// A cluster at work.
struct Play<'a> {
    jobs: &'a [Job],
    policy: Policy,
    gate: Gate,
    history: HashMap<usize, History>,
    expectations: Expectations,
    waiting: HashMap<usize, (QueueNumber, Rank)>,
    /// By when it ends.
    running: BTreeMap<(i64, usize), Holder>,
    waits: Vec<i64>,
    /// Executors times milliseconds until the last job comes.
    busy: i128,
}

pub(crate) fn play(jobs: &[Job], policy: Policy) -> Outcome {
    let mut play = Play::new(jobs, policy);
    let mut next = 0;
    while next < jobs.len() || !play.running.is_empty() {
        let end = play.running.keys().next().copied();
        let comes = jobs.get(next).map_or(i64::MAX, |job| job.comes);
        let now = match end {
            Some((time, number)) if time <= comes => {
                play.ends(time, number);
                time
            }
            _ => {
                play.comes(next);
                next += 1;
                comes
            }
        };
        play.start(now);
    }
    outcome(jobs, &play.waits, play.busy)
}

impl<'a> Play<'a> {
    fn new(jobs: &'a [Job], policy: Policy) -> Self {
        let waiting_bound = match policy {
            Policy::BestEffort => Span(i64::MAX / 4),
            Policy::PatientFifo => Span::seconds(86_400),
            _ => Settings::default().waiting_bound,
        };
        let settings = Settings { waiting_bound, max_live_runs: usize::MAX, ..Settings::default() };
        let mut gate = Gate::new(&settings);
        gate.set_namespace(&"jobs".into(), [].into(), false);
        gate.set_cluster(Box::new(cluster(policy.strategy())), Time(0));
        Self {
            jobs,
            policy,
            gate,
            history: HashMap::new(),
            expectations: Expectations::default(),
            waiting: HashMap::new(),
            running: BTreeMap::new(),
            waits: vec![0; jobs.len()],
            busy: 0,
        }
    }

    /// Where the time of each job is known, each is an operation of its own.
    fn operation(&self, number: usize) -> ObjectKey {
        let kind = if self.policy == Policy::Easy { number } else { self.jobs[number].kind };
        ObjectKey::new("jobs", format!("kind-{kind}"))
    }

    fn ends(&mut self, now: i64, number: usize) {
        let Some(holder) = self.running.remove(&(now, number)) else { return };
        self.gate.give_back(&id(number), &holder);
        let history = self.history.entry(self.jobs[number].kind).or_default();
        history.record(Time(now) - holder.granted);
        let expected = history.expected();
        if self.policy != Policy::Easy {
            self.expect(&self.operation(number), expected);
        }
    }

    /// As the engine does it.
    fn expect(&mut self, operation: &ObjectKey, expected: Option<Span>) {
        self.gate.set_expected(operation, expected);
        self.expectations.set(operation, expected);
        self.gate.set_expected_of_unknown(self.expectations.of_unknown());
    }

    fn comes(&mut self, number: usize) {
        let (job, operation) = (self.jobs[number], self.operation(number));
        if self.gate.operation(&operation).is_none_or(|entry| entry.declared.is_none()) {
            self.gate.set_operation(Box::new(declared(operation.clone())));
            let expected = match self.policy {
                Policy::Easy => Some(Span(job.takes)),
                Policy::Declared => Some(Span(job.usual)),
                _ => None,
            };
            self.expect(&operation, expected);
        }
        let class = Priority::Normal;
        let key = QueueKey {
            operation,
            class,
            cluster: None,
            executors: ExecutorChoice::Bounds(ExecutorBounds { min: job.executors, max: job.executors }),
            own_limit: None,
            answers: Answers::default(),
            defect: None,
        };
        let named = u32::try_from(number).expect("some thousand jobs");
        let rank = Rank::new(class, Time(job.comes), named, named, Settings::default().aging);
        let queue = self.gate.enqueue(key, rank);
        self.waiting.insert(number, (queue, rank));
    }

    fn start(&mut self, now: i64) {
        let last = self.jobs.last().map_or(0, |job| job.comes);
        while let Some(grant) = self.gate.next_start(Time(now)) {
            let number = grant.job as usize;
            let (job, operation) = (self.jobs[number], self.operation(number));
            let Some((queue, rank)) = self.waiting.remove(&number) else { return };
            self.gate.dequeue(queue, &rank);
            let holder =
                grant.holder(ObjectKey::new("jobs", format!("job-{number}")), operation.name.clone(), Time(now));
            self.gate.take(&id(number), &holder);
            if self.policy == Policy::Easy {
                self.gate.remove_operation(&operation);
            }
            self.waits[number] = now - job.comes;
            let within = (now + job.takes).min(last) - now.min(last);
            self.busy += i128::from(within) * i128::from(job.executors);
            self.running.insert((now + job.takes, number), holder);
        }
    }
}

fn outcome(jobs: &[Job], waits: &[i64], busy: i128) -> Outcome {
    let seconds = |millis: i64| real(millis.unsigned_abs()) / 1000.0;
    let first = jobs.first().map_or(0, |job| job.comes);
    let span = jobs.last().map_or(1, |job| job.comes - first).max(1);
    let large = jobs.iter().zip(waits).filter(|(job, _)| job.executors * 2 > EXECUTORS);
    let sum: f64 = waits.iter().map(|wait| seconds(*wait)).sum();
    Outcome {
        mean_wait: sum / real(waits.len() as u64),
        worst_wait: waits.iter().copied().max().map(seconds).unwrap_or_default(),
        worst_large: large.map(|(_, wait)| *wait).max().map(seconds).unwrap_or_default(),
        utilisation: real(u64::try_from(busy / i128::from(span)).unwrap_or_default()) / real(EXECUTORS),
    }
}

fn id(number: usize) -> RunId {
    RunId { job: number.to_string().into(), number: 1 }
}

fn declared(key: ObjectKey) -> Operation {
    let essentials = Essentials {
        language: Some(Language::Python),
        main_file: Some(MainFile::Python),
        image: true,
        spark_version: true,
        ..Essentials::default()
    };
    Operation { key, generation: 1, outline: Outline { essentials, ..Outline::default() }, ..Operation::default() }
}

fn cluster(strategy: Strategy) -> Cluster {
    Cluster {
        name: "machine".into(),
        generation: 1,
        selector: Some(Selector::default()),
        strategy,
        capacity: Resources { executors: EXECUTORS, ..Resources::UNBOUNDED },
        ..Cluster::default()
    }
}
