//! People: who declares, submits, edits, cancels and deletes.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use slowlane::command::Input;
use slowlane::model::{
    Accept, Answer, Answers, Cluster, ClusterChoice, Cron, Defaults, Essentials, ExecutorBounds, ExecutorChoice, Hold,
    Job, Language, Locks, MainFile, Name, ObjectKey, Operation, Outline, PodSize, PodSizing, PoolRules, Priority,
    Recurrence, Requirement, RequirementOperator, Resources, Selector, Settings, Share, Size, Span, Stranger, Strategy,
    Time, TimeLimits, Uid, Window, Zone,
};

use crate::objects::JobObject;
use crate::simulation::Simulation;

pub(crate) const NAMESPACES: [&str; 2] = ["red", "blue"];
pub(crate) const OPERATIONS: [&str; 2] = ["report", "load"];
/// A lock that the settings always declare.
pub(crate) const LOCK: &str = "orders";
pub(crate) const PERMITS: u32 = 3;
/// An expression over jobs, by which a cluster accepts some.
const EXPRESSION: &str = "job.spec.parameters.rows < 1000";

/// One in four was not asked yet.
fn drawn_answers(rng: &mut crate::rng::Rng) -> Answers {
    let answer = [None, Some(Answer::Yes), Some(Answer::No), Some(Answer::Yes)][rng.below(4)].clone();
    Answers::new(answer.map(|answer| (EXPRESSION.into(), answer)))
}

/// What runs of an operation of this name hold, in every namespace and at any time.
pub(crate) fn locks_of(operation: &str) -> Locks {
    let number = OPERATIONS.iter().position(|name| *name == operation);
    number.map(|number| (LOCK.into(), 1 + u32::try_from(number).expect("one of two"))).into_iter().collect()
}

/// How many executors a job wants.
pub(crate) fn executors_of(job: &Job, operation: &Operation) -> ExecutorChoice {
    job.executors.clone().or_else(|| operation.defaults.executors.clone()).unwrap_or_default()
}

pub(crate) const CLUSTERS: [&str; 2] = ["business", "spare"];
const STRATEGIES: [Strategy; 3] = [Strategy::PriorityFifo, Strategy::StrictFifo, Strategy::Backfill];
const SIZES: [&str; 2] = ["S", "M"];
const JOB_NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

pub(crate) const COMPLETE: Essentials = Essentials {
    language: Some(Language::Jvm),
    main_file: Some(MainFile::Jar),
    main_class: true,
    image: true,
    spark_version: true,
};

impl Simulation {
    pub(crate) fn people(&mut self) {
        match self.rng.below(10) {
            0 => self.with_a_job(|sim, key| {
                sim.world.edit_job(&key, |object| {
                    object.job.generation += i64::from(!object.job.cancel);
                    object.job.cancel = true;
                });
            }),
            1 => self.with_a_job(|sim, key| {
                if sim.rng.chance(800) {
                    sim.world.remove_job(&key);
                    // Often because something about it has to be another way.
                    if sim.rng.chance(400) {
                        sim.submit(key);
                    }
                } else {
                    sim.world.edit_job(&key, |object| object.job.deleting = true);
                }
            }),
            2 => self.with_a_job(|sim, key| {
                sim.world.edit_job(&key, |object| {
                    object.job.generation += 1;
                    object.job.suspend = !object.job.suspend;
                });
            }),
            3 if self.rng.chance(300) => self.with_a_job(|sim, key| {
                sim.world.edit_job(&key, |object| object.garbled = !object.garbled);
            }),
            4 if self.rng.chance(200) => self.act_past_the_keeper(),
            _ => self.create_job(),
        }
    }

    /// Somebody makes an application that no job declares, or it ends.
    fn act_past_the_keeper(&mut self) {
        let key = ObjectKey::new(NAMESPACES[self.rng.below(2)], "stranger");
        if self.world.strangers.contains_key(&key) {
            return self.world.remove_stranger(&key);
        }
        let takes = Resources { executors: 1 + self.rng.below(4) as u64, milli_cores: 3000, memory_mib: 3000 };
        let uid = self.world.new_uid("stranger");
        self.world.put_stranger(Stranger { key, uid, takes, is_guessed: false });
    }

    /// The settings file is edited: every keeper reads it.
    pub(crate) fn edit_settings(&mut self) {
        let drawn = self.drawn_settings();
        self.put_settings(drawn);
    }

    pub(crate) fn put_settings(&mut self, settings: Settings) {
        self.settings = settings;
        self.world.auditor.held = self.settings.held.is_some();
        let timeout = self.settings.start_timeout;
        let shortest = self.world.auditor.start_timeout.map_or(timeout, |shortest| shortest.min(timeout));
        self.world.auditor.start_timeout = Some(shortest);
        for keeper in &mut self.keepers {
            keeper.step(Input::Settings(Box::new(self.settings.clone())), &mut self.world);
        }
    }

    fn drawn_settings(&mut self) -> Settings {
        Settings {
            max_tombstones: if self.rng.chance(200) { 2 } else { 1000 },
            max_live_runs: if self.rng.chance(100) { 2 } else { 1000 },
            locks: [(LOCK.into(), PERMITS)].into(),
            start_timeout: Span::seconds([100, 600, 600][self.rng.below(3)]),
            counts_undeclared: !self.rng.chance(200),
            held: self.rng.chance(150).then(|| Hold {
                by: "the settings".into(),
                since: None,
                why: Some("repairs".into()),
            }),
            ..Settings::default()
        }
    }

    fn with_a_job(&mut self, act: impl FnOnce(&mut Self, ObjectKey)) {
        let keys: Vec<ObjectKey> = self.world.jobs.keys().cloned().collect();
        if let Some(key) = self.rng.pick(&keys).cloned() {
            self.note(|| format!("somebody acts on {key}"));
            act(self, key);
        }
    }

    pub(crate) fn create_job(&mut self) {
        let namespace = NAMESPACES[self.rng.below(4) / 3];
        let name = JOB_NAMES[self.rng.below(JOB_NAMES.len())];
        self.submit(ObjectKey::new(namespace, name));
    }

    /// Somebody submits a job of an operation that is more important than any other.
    pub(crate) fn urge(&mut self, namespace: &Name, operation: &Name) -> Option<Uid> {
        let mut keys = JOB_NAMES.into_iter().map(|name| ObjectKey::new(namespace.clone(), name));
        let key = keys.find(|key| self.world.jobs.get(key).is_none_or(JobObject::is_over))?;
        let drawn = self.drawn_job(key);
        let job = Job {
            operation: operation.clone(),
            priority: Some(Priority::Critical),
            own_limit: None,
            cluster: None,
            executors: Some(ExecutorChoice::Bounds(ExecutorBounds { min: 1, max: 1 })),
            suspend: false,
            ..drawn
        };
        let uid = job.uid.clone();
        self.add_job(job).then_some(uid)
    }

    fn submit(&mut self, key: ObjectKey) {
        let job = self.drawn_job(key);
        self.add_job(job);
    }

    fn add_job(&mut self, job: Job) -> bool {
        // Who has read the result deletes the job.
        if self.world.jobs.get(&job.key).is_some_and(JobObject::is_over) {
            self.world.remove_job(&job.key);
        }
        if !self.takes_objects(&job.key) || self.world.jobs.contains_key(&job.key) {
            return false;
        }
        self.note(|| format!("job {} is created: {} {:?}", job.key, job.uid, job.executors));
        self.world.put_job(JobObject { job, status: None, garbled: false });
        true
    }

    fn drawn_job(&mut self, key: ObjectKey) -> Job {
        let rng = &mut self.rng;
        let (min, max) = [(1, 1), (1, 2), (2, 3), (0, 1), (9, 9)][if rng.chance(30) { 4 } else { rng.below(4) }];
        let executors = match rng.below(10) {
            0 => None,
            1..4 => Some(ExecutorChoice::Size(SIZES[rng.below(2)].into())),
            _ => Some(ExecutorChoice::Bounds(ExecutorBounds { min, max })),
        };
        Job {
            key,
            uid: self.world.new_uid("job"),
            generation: 1,
            created: Time(self.world.now.0 / 1000 * 1000),
            operation: OPERATIONS[rng.below(3) / 2].into(),
            priority: [None, None, Some(Priority::High), Some(Priority::Low)][rng.below(4)],
            own_limit: rng.chance(80).then_some(1),
            cluster: rng.chance(200).then(|| ClusterChoice::Named(CLUSTERS[0].into()).into()),
            executors,
            parameters: [].into(),
            declares_result: false,
            answers: drawn_answers(rng),
            defect: None,
            time_limits: TimeLimits {
                start: NonZeroU32::new(20).filter(|_| rng.chance(100)),
                active: NonZeroU32::new(60).filter(|_| rng.chance(100)),
            },
            cancel: false,
            suspend: rng.chance(30),
            hold: None,
            deleting: false,
            published: None,
        }
    }

    pub(crate) fn drawn_operation(&mut self, key: ObjectKey) -> Operation {
        let limit = [Some(1), Some(1), Some(2), None][self.rng.below(4)];
        let locks = locks_of(&key.name);
        let (refuses_at_limit, max_queued) = self.drawn_refusals(limit);
        let (outline, expected) = (self.drawn_outline(), self.drawn_expectation());
        let executors = self.rng.chance(500).then(|| ExecutorChoice::Size(SIZES[0].into()));
        let defaults = Defaults { executors, ..Defaults::default() };
        let rest = Operation { key, generation: 1, limit, locks, defaults, outline, expected, ..Operation::default() };
        Operation { refuses_at_limit, max_queued, ..rest }
    }

    /// How long its owner thinks that a run of an operation takes: some think of it, and few are right.
    fn drawn_expectation(&mut self) -> Option<Span> {
        let seconds = [5, 60, 900][self.rng.below(3)];
        self.rng.chance(500).then_some(Span::seconds(seconds))
    }

    /// Now and then an operation refuses at its limit, or lets only a few wait.
    fn drawn_refusals(&mut self, limit: Option<u32>) -> (bool, Option<u32>) {
        let refuses = limit.is_some() && self.rng.chance(150);
        let most = [0, 1, 2][self.rng.below(3)];
        (refuses, self.rng.chance(200).then_some(most))
    }

    fn drawn_outline(&mut self) -> Outline {
        let pod = |cores| PodSizing { cores: Some(cores), memory_mib: Some(512), ..PodSizing::default() };
        let cores = [1, 1, 2][self.rng.below(3)];
        // Now and then it has no image; only one of the clusters gives it one.
        let essentials = Essentials { image: self.rng.chance(950), ..COMPLETE };
        Outline { essentials, driver: pod(1), executor: pod(cores), ..Outline::default() }
    }

    /// Mostly it has one; all of it happens within a minute.
    fn drawn_pool(&mut self) -> Option<PoolRules> {
        let rng = &mut self.rng;
        let rules = PoolRules {
            min: rng.below(2) as u64,
            max: [6, 4][rng.below(2)],
            warm: rng.below(3) as u64,
            grow_above: 80,
            shrink_below: 40,
            stabilization: Span::seconds(5),
            idle: Span::seconds(20),
        };
        rng.chance(800).then_some(rules)
    }

    pub(crate) fn drawn_cluster(&mut self, name: &str) -> Cluster {
        let cores = [4, 6, 10][self.rng.below(3)] * 1000;
        let capacity = Resources { executors: 6, milli_cores: cores, memory_mib: u64::MAX };
        let essentials = Essentials { image: name == CLUSTERS[1], ..Essentials::default() };
        let spare = Selector {
            requirements: vec![Requirement {
                key: "team".into(),
                operator: RequirementOperator::In,
                values: vec!["blue".into()],
            }],
        };
        let urgent = Accept { priorities: [Priority::High, Priority::Critical].into(), ..Accept::default() };
        let small = Accept { when: Some(EXPRESSION.into()), ..Accept::default() };
        let at_times = Accept { during: [0].into(), ..Accept::default() };
        let window = Window {
            name: "now-and-then".into(),
            zone: Zone::named("UTC").expect("it is there"),
            recurrence: Recurrence::Cron(Cron::parse("*/2 * * * *").expect("it is one"), Span::seconds(60)),
        };
        let restricts = self.rng.chance(300);
        Cluster {
            name: name.into(),
            generation: 1,
            selector: Some(if name == CLUSTERS[0] { Selector::default() } else { spare }),
            max_jobs: [None, Some(2), Some(3)][self.rng.below(3)],
            share: Share {
                max_jobs: self.rng.chance(200).then_some(1),
                max_executors: self.rng.chance(200).then_some(4),
            },
            locks: self.rng.chance(200).then(|| (LOCK.into(), 1)).into_iter().collect(),
            admit_below: self.rng.chance(100).then_some(50),
            max_pending: self.rng.chance(150).then(|| 1 + u32::from(self.rng.chance(500))),
            strategy: STRATEGIES[self.rng.below(STRATEGIES.len())],
            held: self.rng.chance(50),
            capacity,
            pool: self.drawn_pool(),
            unit: Some(PodSize { milli_cores: 2000, memory_mib: 2048 }),
            holds_placeholders: self.rng.chance(500),
            windows: if restricts { vec![window] } else { Vec::new() },
            accept: if restricts { vec![urgent, at_times, small] } else { Vec::new() },
            cancels_at_window_end: restricts,
            template: Outline { essentials, ..Outline::default() },
            sizes: self.drawn_sizes(),
            ..Cluster::default()
        }
    }

    /// Most clusters declare a small size, some a larger one, and none means the same by it for ever.
    fn drawn_sizes(&mut self) -> BTreeMap<Name, Size> {
        let mut sizes = BTreeMap::new();
        for (name, often, most) in [(SIZES[0], 900, 2), (SIZES[1], 600, 3)] {
            let cores = [None, Some(1), Some(2)][self.rng.below(3)];
            let bounds = ExecutorBounds { min: most - 1, max: most };
            let size = Size { bounds, executor: PodSizing { cores, ..PodSizing::default() }, ..Size::default() };
            if self.rng.chance(often) {
                sizes.insert(name.into(), size);
            }
        }
        sizes
    }

    pub(crate) fn edit(&mut self) {
        let keys: Vec<ObjectKey> =
            NAMESPACES.iter().flat_map(|it| OPERATIONS.map(|op| ObjectKey::new(*it, op))).collect();
        let mut key = keys[self.rng.below(3).min(self.rng.below(4))].clone();
        // Often one of which a run was just granted.
        let granted: Vec<ObjectKey> = self.granted_operations();
        if self.rng.chance(500)
            && let Some(operation) = self.rng.pick(&granted)
        {
            key = operation.clone();
        }
        let declared = self.world.operations.get(&key).cloned();
        let cluster = self.rng.pick(&CLUSTERS).and_then(|name| self.world.clusters.get(*name)).cloned();
        self.note(|| format!("somebody edits {key} or {:?}", cluster.as_ref().map(|it| it.name.clone())));
        match (self.rng.below(16), declared, cluster) {
            (0..=4, Some(it), _) => {
                let limit = [Some(0), Some(1), Some(1), Some(2), None][self.rng.below(5)];
                let (refuses_at_limit, max_queued) = if self.rng.chance(300) {
                    self.drawn_refusals(limit)
                } else {
                    (it.refuses_at_limit, it.max_queued)
                };
                let (generation, expected) = (it.generation + 1, self.drawn_expectation());
                let limits = Operation { limit, refuses_at_limit, max_queued, ..it };
                self.world.put_operation(Operation { generation, expected, ..limits });
            }
            (5..=9, Some(it), _) => {
                let outline = self.drawn_outline();
                self.world.put_operation(Operation { outline, generation: it.generation + 1, ..it });
            }
            (10, Some(_), _) => self.world.remove_operation(&key),
            (11..=12, _, Some(it)) => {
                self.world.put_cluster(Cluster { held: !it.held, generation: it.generation + 1, ..it });
            }
            (13..=14, _, Some(it)) => {
                let drawn = self.drawn_cluster(&it.name);
                self.world.put_cluster(Cluster { generation: it.generation + 1, held: it.held, ..drawn });
            }
            (_, None, _) if self.takes_objects(&key) => {
                let operation = self.drawn_operation(key);
                self.world.put_operation(operation);
            }
            _ => {}
        }
    }

    /// Operations of runs that are granted and not created.
    fn granted_operations(&self) -> Vec<ObjectKey> {
        let holders = self.world.ledger.iter().flat_map(|(_, ledger)| ledger.holders.iter());
        let new = holders.filter(|(run, _)| !self.world.apps.values().any(|app| app.run == **run));
        new.map(|(_, it)| ObjectKey { namespace: it.job.namespace.clone(), name: it.operation.clone() }).collect()
    }

    pub(crate) fn takes_objects(&self, key: &ObjectKey) -> bool {
        self.world.namespaces.get(&key.namespace).is_some_and(|namespace| !namespace.terminating)
    }
}
