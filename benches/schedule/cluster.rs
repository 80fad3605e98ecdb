//! One cluster, the gate before it, and jobs that come and end.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use slowlane::admission::{Gate, QueueKey, QueueNumber, Rank};
use slowlane::index::History;
use slowlane::model::{
    Cluster, Defaults, Essentials, ExecutorBounds, Holder, Language, Locks, MainFile, ObjectKey, Operation, Outline,
    Priority, Resources, RunId, Selector, Settings, Share, Span, Strategy, Time,
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

struct Run {
    holder: Holder,
    kind: usize,
    began: i64,
}

pub(crate) fn play(jobs: &[Job], policy: Policy) -> Outcome {
    let bound = match policy {
        Policy::BestEffort => Span(i64::MAX / 4),
        Policy::PatientFifo => Span::seconds(86_400),
        _ => Settings::default().waiting_bound,
    };
    let settings = Settings { waiting_bound: bound, max_live_runs: usize::MAX, ..Settings::default() };
    let mut gate = Gate::new(&settings);
    gate.set_namespace(&"jobs".into(), [].into(), false);
    gate.set_cluster(Box::new(cluster(policy.strategy())), Time(0));
    let mut history: HashMap<usize, History> = HashMap::new();
    let mut ends: BinaryHeap<Reverse<(i64, usize)>> = BinaryHeap::new();
    let mut waiting: HashMap<u32, (QueueNumber, Rank)> = HashMap::new();
    let mut running: HashMap<usize, Run> = HashMap::new();
    let (mut waits, mut busy) = (vec![0_i64; jobs.len()], 0_i128);
    let last = jobs.last().map_or(0, |job| job.comes);
    let mut next = 0;
    while next < jobs.len() || !ends.is_empty() {
        let end = ends.peek().map(|Reverse((time, _))| *time);
        let comes = jobs.get(next).map(|job| job.comes);
        let now = end.into_iter().chain(comes).min().unwrap_or(last);
        if end == Some(now) {
            let Some(Reverse((_, number))) = ends.pop() else { continue };
            let Some(run) = running.remove(&number) else { continue };
            gate.give_back(&id(number), &run.holder);
            let kind = history.entry(run.kind).or_default();
            kind.record(Span(now - run.began));
            if matches!(policy, Policy::Backfill | Policy::Declared) {
                gate.set_expected(&operation_key(run.kind), kind.expected());
            }
        } else {
            let job = jobs[next];
            // Where the time of each is known, each is an operation of its own.
            let kind = if policy == Policy::Easy { next } else { job.kind };
            if gate.operation(&operation_key(kind)).is_none_or(|entry| entry.declared.is_none()) {
                gate.set_operation(Box::new(operation(operation_key(kind))));
                let expected = match policy {
                    Policy::Easy => Some(Span(job.takes)),
                    Policy::Declared => Some(Span(job.usual)),
                    _ => None,
                };
                gate.set_expected(&operation_key(kind), expected);
            }
            let number = u32::try_from(next).expect("some thousand jobs");
            let rank = Rank::new(Priority::Normal, Time(now), number, number, settings.aging);
            let bounds = ExecutorBounds { min: job.executors, max: job.executors };
            let operation = operation_key(kind);
            let (class, cluster, own_limit, defect) = (Priority::Normal, None, None, None);
            let queue = gate.enqueue(QueueKey { operation, class, cluster, bounds, own_limit, defect }, rank);
            waiting.insert(number, (queue, rank));
            next += 1;
        }
        while let Some(grant) = gate.next_start(Time(now)) {
            let Some((queue, rank)) = waiting.remove(&grant.job) else { break };
            let number = grant.job as usize;
            let job = jobs[number];
            let kind = if policy == Policy::Easy { number } else { job.kind };
            gate.dequeue(queue, &rank);
            let holder = Holder {
                job: ObjectKey::new("jobs", format!("job-{number}")),
                operation: operation_key(kind).name,
                cluster: grant.cluster,
                footprint: grant.footprint,
                min_executors: job.executors,
                max_executors: job.executors,
                locks: grant.locks,
                expected: grant.expected,
                granted: Time(now),
                seen: false,
            };
            gate.take(&id(number), &holder);
            if policy == Policy::Easy {
                gate.remove_operation(&operation_key(kind));
            }
            running.insert(number, Run { holder, kind, began: now });
            ends.push(Reverse((now + job.takes, number)));
            waits[number] = now - job.comes;
            let within = (now + job.takes).min(last) - now.min(last);
            busy += i128::from(within) * i128::from(job.executors);
        }
    }
    outcome(jobs, &waits, busy)
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

fn operation_key(kind: usize) -> ObjectKey {
    ObjectKey::new("jobs", format!("kind-{kind}"))
}

fn operation(key: ObjectKey) -> Operation {
    let essentials = Essentials {
        language: Some(Language::Python),
        main_file: Some(MainFile::Python),
        image: true,
        spark_version: true,
        ..Essentials::default()
    };
    Operation {
        key,
        generation: 1,
        limit: None,
        hold: None,
        refuses_at_limit: false,
        max_queued: None,
        expected: None,
        locks: Locks::default(),
        defaults: Defaults::default(),
        outline: Outline { essentials, ..Outline::default() },
        parameters: Vec::new(),
        result_parameters: Vec::new(),
        needs_result: false,
        defect: None,
        published: None,
    }
}

fn cluster(strategy: Strategy) -> Cluster {
    Cluster {
        name: "machine".into(),
        generation: 1,
        labels: [].into(),
        selector: Some(Selector::default()),
        max_jobs: None,
        share: Share::default(),
        locks: [].into(),
        admit_below: None,
        max_pending: None,
        strategy,
        capacity: Resources { executors: EXECUTORS, ..Resources::UNBOUNDED },
        held: false,
        hold: None,
        windows: Vec::new(),
        accept: Vec::new(),
        cancels_at_window_end: false,
        template: Outline::default(),
        defect: None,
        published: None,
    }
}
