//! People, and what goes wrong: the things that are drawn to happen in a case.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use slowlane::model::{
    ApplicationState, Cluster, Defaults, Essentials, ExecutorBounds, Footprint, Holder, Job, Language, MainFile,
    NamespaceSelector, ObjectKey, Operation, Outline, Placeholder, PodPhase, PodSizing, Priority, Published,
    Requirement, RequirementOperator, Resources, RunId, Span, Time, TimeLimits,
};

use slowlane::command::{Command, Kind};

use crate::keeper::Keeper;
use crate::mutants::Mutant;
use crate::objects::{App, JobObject, NamespaceObject, Pod};
use crate::requests::Late;
use crate::simulation::Simulation;

const NAMESPACES: [&str; 2] = ["red", "blue"];
const OPERATIONS: [&str; 2] = ["report", "load"];
const CLUSTERS: [&str; 2] = ["business", "spare"];
const JOB_NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

const COMPLETE: Essentials = Essentials {
    language: Some(Language::Jvm),
    main_file: Some(MainFile::Jar),
    main_class: true,
    image: true,
    spark_version: true,
};

/// What can be drawn.
#[derive(Debug, Clone, Copy)]
enum Deed {
    Deliver,
    Send,
    Move,
    Pass,
    Tick,
    /// A while in which everything goes well.
    Calm,
    Lead,
    People,
    Edit,
    Crash,
    Overlap,
    Lose,
    /// A grant's create is on its way, its keeper dies, and somebody more important comes.
    Worst,
    Meddle,
    Mishap,
    Namespace,
    Quota,
    Cut,
    Leap,
}

impl Simulation {
    /// Sets the scene: namespaces, clusters, operations, the first keeper.
    pub(crate) fn found(&mut self) {
        for name in NAMESPACES {
            let labels = BTreeMap::from([("team".into(), name.into())]);
            self.world.put_namespace(&name.into(), NamespaceObject { labels, terminating: false });
        }
        for name in CLUSTERS {
            let cluster = self.drawn_cluster(name);
            self.world.put_cluster(cluster);
        }
        for (namespace, name) in NAMESPACES.iter().flat_map(|namespace| OPERATIONS.map(|name| (*namespace, name))) {
            let operation = self.drawn_operation(ObjectKey::new(namespace, name));
            self.world.put_operation(operation);
        }
        if self.rng.chance(500) {
            self.create_job();
        }
        self.enthrone();
        self.spread();
        // Most cases begin with a keeper that knows everything.
        if self.rng.chance(800) {
            while self.deliver(0) || self.send_well(0) {
                self.spread();
            }
        }
    }

    /// Draws what happens next, and lets it happen.
    pub(crate) fn act(&mut self) {
        let eager = self.profile.eager;
        let profile = &self.profile;
        let deeds = [
            (Deed::Deliver, eager * 2),
            (Deed::Send, eager),
            (Deed::Move, 15),
            (Deed::Pass, 10),
            (Deed::Tick, eager / 2),
            (Deed::Calm, 1),
            (Deed::Lead, 3),
            (Deed::People, 6),
            (Deed::Edit, profile.edits),
            (Deed::Crash, profile.crashes),
            (Deed::Overlap, profile.overlaps),
            (Deed::Lose, profile.losses),
            (Deed::Worst, profile.crashes),
            (Deed::Meddle, profile.meddling),
            (Deed::Mishap, profile.mishaps),
            (Deed::Namespace, profile.namespaces),
            (Deed::Quota, profile.quotas),
            (Deed::Cut, profile.cuts),
            (Deed::Leap, profile.leaps),
        ];
        // What changes nothing does not count.
        const DRAWS: usize = 6;
        for _ in 0..DRAWS {
            let mut drawn = self.rng.below(deeds.iter().map(|(_, weight)| weight).sum());
            let deed = deeds.iter().find(|(_, weight)| {
                let here = drawn < *weight;
                drawn = drawn.wrapping_sub(if here { 0 } else { *weight });
                here
            });
            if deed.is_some_and(|(deed, _)| self.do_it(*deed)) {
                break;
            }
        }
        self.spread();
    }

    /// Tells whether there was anything to do.
    fn do_it(&mut self, deed: Deed) -> bool {
        let keeper = self.rng.below(self.keepers.len());
        let somebody = !self.keepers.is_empty();
        match deed {
            Deed::Deliver if somebody => return self.deliver_some(keeper),
            Deed::Send if somebody => return self.send(keeper),
            Deed::Tick if somebody => {
                let due = self.keepers[keeper].engine.next_wake().is_some_and(|wake| wake <= self.world.now);
                if due {
                    self.tick(keeper);
                }
                return due;
            }
            Deed::Calm if somebody => self.calm(80),
            Deed::Crash | Deed::Overlap | Deed::Lose | Deed::Worst if self.is_restored_unnoticed() => {}
            Deed::Crash if somebody => self.kill(keeper),
            Deed::Lead if !somebody => self.enthrone(),
            Deed::Overlap if somebody => self.overlap(),
            Deed::Cut if somebody => self.cut(keeper),
            Deed::Move => return self.move_on(),
            Deed::Pass => {
                let longest = [300, 2_500, 9_000][self.rng.below(3)];
                let span = Span(self.rng.between(10, longest));
                self.pass(span);
            }
            Deed::Leap => {
                let span = Span::seconds([70, 700, 4_000][self.rng.below(3)]);
                self.pass(span);
            }
            Deed::People => self.people(),
            Deed::Edit => self.edit(),
            Deed::Lose => self.lose_ledger(),
            Deed::Worst if somebody => self.worst_moment(keeper),
            Deed::Meddle => self.meddle(),
            Deed::Mishap => self.mishap(),
            Deed::Namespace => self.namespaces(),
            Deed::Quota => self.quotas(),
            _ => return false,
        }
        true
    }

    fn deliver_some(&mut self, keeper: usize) -> bool {
        let identity = self.keepers[keeper].identity.clone();
        let most = self.rng.below(6) + 1;
        let told = (0..most).take_while(|_| {
            let same = self.keepers.get(keeper).is_some_and(|it| it.identity == identity);
            same && self.deliver(keeper)
        });
        told.count() > 0
    }

    pub(crate) fn move_on(&mut self) -> bool {
        let moves = self.world.moves(true);
        let Some(a_move) = self.rng.pick(&moves).cloned() else { return false };
        self.note(|| format!("{a_move:?}"));
        self.world.make(a_move, &mut self.rng);
        true
    }

    fn send_well(&mut self, keeper: usize) -> bool {
        let faults = std::mem::take(&mut self.profile.faults);
        let sent = self.send(keeper);
        self.profile.faults = faults;
        sent
    }

    fn calm(&mut self, most: usize) {
        let faults = std::mem::take(&mut self.profile.faults);
        for _ in 0..self.rng.below(most) {
            let keeper = self.rng.below(self.keepers.len());
            match self.rng.below(4) {
                _ if self.keepers.is_empty() => break,
                0 | 1 => _ = self.deliver(keeper),
                2 => _ = self.send(keeper),
                _ => _ = self.move_on(),
            }
            self.spread();
        }
        self.profile.faults = faults;
    }

    fn cut(&mut self, keeper: usize) {
        let kinds: Vec<_> = self.keepers[keeper].watches.keys().copied().collect();
        let kind = self.rng.pick(&kinds).copied();
        let stalls = self.rng.chance(600);
        let until = Time(self.world.now.0 + self.rng.between(5_000, 120_000));
        let watch = kind.and_then(|kind| self.keepers[keeper].watches.get_mut(&kind));
        if let Some(watch) = watch {
            if stalls {
                watch.stalled_until = until;
                return;
            }
            (watch.unlisted, watch.live) = (true, false);
            watch.queue.clear();
        }
    }

    // ---- people -----------------------------------------------------------------------------------------------

    fn people(&mut self) {
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
            _ => self.create_job(),
        }
    }

    fn with_a_job(&mut self, act: impl FnOnce(&mut Self, ObjectKey)) {
        let keys: Vec<ObjectKey> = self.world.jobs.keys().cloned().collect();
        if let Some(key) = self.rng.pick(&keys).cloned() {
            self.note(|| format!("somebody acts on {key}"));
            act(self, key);
        }
    }

    fn create_job(&mut self) {
        let rng = &mut self.rng;
        let namespace =
            self.hurry.as_ref().map_or(NAMESPACES[rng.below(4) / 3].into(), |(namespace, _)| namespace.clone());
        let key = ObjectKey::new(namespace, JOB_NAMES[rng.below(JOB_NAMES.len())]);
        let takes = self.world.namespaces.get(&key.namespace).is_some_and(|namespace| !namespace.terminating);
        // Who has read the result deletes the job.
        if self.world.jobs.get(&key).is_some_and(JobObject::is_over) {
            self.world.remove_job(&key);
        }
        if !takes || self.world.jobs.contains_key(&key) {
            return;
        }
        let bounds = [(1, 1), (1, 2), (2, 3), (0, 1), (9, 9)][if rng.chance(30) { 4 } else { rng.below(4) }];
        let job = Job {
            key: key.clone(),
            uid: self.world.new_uid("job"),
            generation: 1,
            created: Time(self.world.now.0 / 1000 * 1000),
            operation: self.hurry.as_ref().map_or(OPERATIONS[rng.below(3) / 2].into(), |(_, name)| name.clone()),
            priority: if self.hurry.is_some() {
                Some(Priority::Critical)
            } else {
                [None, None, Some(Priority::High), Some(Priority::Low)][rng.below(4)]
            },
            own_limit: rng.chance(80).then_some(1),
            cluster: rng.chance(200).then(|| CLUSTERS[0].into()),
            executors: Some(ExecutorBounds { min: bounds.0, max: bounds.1 }),
            parameters: Vec::new(),
            declares_result: false,
            defect: None,
            time_limits: TimeLimits {
                start: if rng.chance(50) { NonZeroU32::new(20) } else { None },
                active: if rng.chance(50) { NonZeroU32::new(60) } else { None },
            },
            cancel: false,
            suspend: rng.chance(30),
            deleting: false,
            published: Published::default(),
        };
        self.note(|| format!("job {key} is created: {} {:?}", job.uid, job.executors));
        self.world.put_job(JobObject { job, status: None });
    }

    fn drawn_operation(&mut self, key: ObjectKey) -> Operation {
        let limit = [Some(1), Some(1), Some(2), None][self.rng.below(4)];
        let outline = self.drawn_outline();
        let defaults = Defaults::default();
        let (parameters, result_parameters) = (Vec::new(), Vec::new());
        Operation {
            key,
            generation: 1,
            limit,
            defaults,
            outline,
            parameters,
            result_parameters,
            needs_result: false,
            defect: None,
            published: None,
        }
    }

    fn drawn_outline(&mut self) -> Outline {
        let pod = |cores| PodSizing { cores: Some(cores), memory_mib: Some(512), ..PodSizing::default() };
        let cores = [1, 1, 2][self.rng.below(3)];
        // Now and then it has no image; only one of the clusters gives it one.
        let essentials = Essentials { image: self.rng.chance(950), ..COMPLETE };
        Outline { essentials, driver: pod(1), executor: pod(cores), ..Outline::default() }
    }

    fn drawn_cluster(&mut self, name: &str) -> Cluster {
        let cores = [4, 6, 10][self.rng.below(3)] * 1000;
        let capacity = Resources { executors: 6, milli_cores: cores, memory_mib: u64::MAX };
        let essentials = Essentials { image: name == CLUSTERS[1], ..Essentials::default() };
        let spare = NamespaceSelector {
            requirements: vec![Requirement {
                key: "team".into(),
                operator: RequirementOperator::In,
                values: vec!["blue".into()],
            }],
        };
        Cluster {
            name: name.into(),
            generation: 1,
            selector: Some(if name == CLUSTERS[0] { NamespaceSelector::default() } else { spare }),
            max_jobs: [None, Some(2), Some(3)][self.rng.below(3)],
            capacity,
            held: false,
            template: Outline { essentials, ..Outline::default() },
            defect: None,
            published: None,
        }
    }

    fn edit(&mut self) {
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
                self.world.put_operation(Operation { limit, generation: it.generation + 1, ..it });
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

    fn takes_objects(&self, key: &ObjectKey) -> bool {
        self.world.namespaces.get(&key.namespace).is_some_and(|namespace| !namespace.terminating)
    }

    // ---- what goes wrong --------------------------------------------------------------------------------------

    fn lose_ledger(&mut self) {
        let current = self.world.ledger.as_ref().map(|(_, content)| content.clone());
        let older = self.rng.pick(&self.older_ledgers).filter(|it| Some(*it) != current.as_ref()).cloned();
        // Who was dethroned is gone at once: a leader acts on for seconds only, and a loss is rare.
        for number in (0..self.keepers.len()).rev() {
            if self.keepers[number].dethroned.is_some() {
                self.kill(number);
            }
        }
        match older {
            // An older copy is put back with all of etcd, while nothing is on its way; the keeper that has seen the newer
            // one lives on and notices.
            Some(older) if self.rng.chance(500) && self.is_fenced() && self.lost_at.is_none() => {
                self.note(|| format!("the ledger is put back to {older:?}"));
                self.late.clear();
                self.restored = Some(self.world.put_ledger(older));
            }
            _ => {
                self.note(|| "the ledger is deleted".to_owned());
                self.world.ledger = None;
            }
        }
        self.lost_at = Some(self.world.now);
    }

    /// Whether the only keeper there is leads, and knows it.
    fn is_fenced(&self) -> bool {
        let leader = self.world.ledger.as_ref().map(|(_, ledger)| &*ledger.leader);
        self.keepers.len() == 1 && leader == self.keepers.first().map(|keeper| keeper.identity.as_str())
    }

    /// The keeper that saw the newer ledger has to live until it notices; nobody else can know.
    pub(crate) fn is_restored_unnoticed(&self) -> bool {
        let version = self.world.ledger.as_ref().map(|(version, _)| version);
        self.restored.is_some() && self.restored.as_ref() == version
    }

    /// What hurts a keeper without a ledger most: a create is on its way when it dies.
    fn worst_moment(&mut self, keeper: usize) {
        let commands = std::mem::take(&mut self.keepers[keeper].commands);
        let (creates, others): (Vec<_>, Vec<_>) =
            commands.into_iter().partition(|it| matches!(it, Command::CreateApplication { .. }));
        self.keepers[keeper].commands = others;
        creates.iter().for_each(|create| self.send_late(create));
        if creates.is_empty() {
            return;
        }
        if self.profile.losses > 0 && self.rng.chance(700) {
            self.lose_ledger();
        }
        for number in (0..self.keepers.len()).rev() {
            self.kill(number);
        }
        self.enthrone();
        let Some(Command::CreateApplication { holder, .. }) = creates.first() else { return };
        self.hurry = Some((holder.job.namespace.clone(), holder.operation.clone()));
        self.create_job();
        self.hurry = None;
        if self.rng.chance(600) {
            self.spread();
            self.calm(300);
        }
    }

    fn meddle(&mut self) {
        match self.rng.below(12) {
            0 => return self.squat(),
            1 => return self.mimic(),
            _ => {}
        }
        let ours = self.world.apps.values().filter(|app| !app.foreign);
        let keys: Vec<ObjectKey> = ours.map(|app| app.key.clone()).collect();
        let Some(key) = self.rng.pick(&keys).cloned() else { return };
        let what = self.rng.below(3);
        self.note(|| format!("somebody meddles with {key}: {what}"));
        match what {
            0 => _ = self.world.delete_app(&key, None, false),
            1 => _ = self.world.delete_app(&key, None, true),
            _ if self.is_known_for_good(&key) => {
                let _ = self.world.delete_app(&key, None, false);
                self.world.edit_app(&key, |app| app.held = false);
            }
            _ => {}
        }
    }

    /// Somebody makes an application under the name that a waiting job's run will derive.
    fn squat(&mut self) {
        let fresh =
            self.world.jobs.values().filter(|object| object.status.as_ref().is_none_or(|it| it.start.is_none()));
        let fresh: Vec<Job> = fresh.map(|object| object.job.clone()).collect();
        let Some(job) = self.rng.pick(&fresh) else { return };
        let run = RunId { job: job.uid.clone(), number: 1 };
        let holder = Holder {
            job: job.key.clone(),
            operation: job.operation.clone(),
            cluster: CLUSTERS[0].into(),
            footprint: Footprint::default(),
            min_executors: 0,
            max_executors: 0,
            granted: self.world.now,
            seen: false,
        };
        let Ok(app) = self.world.build(&run, &holder, Some(Placeholder::End), Mutant::None) else { return };
        if self.world.apps.contains_key(&app.key) || !self.takes_objects(&app.key) || !self.world.operator_installed {
            return;
        }
        self.note(|| format!("somebody squats {}", app.key));
        self.world.put_app(App { foreign: true, held: false, owner: None, placeholder: None, ..app });
    }

    /// Somebody copies a run's labels to a pod in another namespace.
    fn mimic(&mut self) {
        let pods: Vec<Pod> = self.world.pods.values().filter(|pod| !pod.foreign).cloned().collect();
        let Some(pod) = self.rng.pick(&pods).cloned() else { return };
        let namespace = if &*pod.key.namespace == NAMESPACES[0] { NAMESPACES[1] } else { NAMESPACES[0] };
        let key = ObjectKey::new(namespace, pod.key.name.clone());
        if self.takes_objects(&key) && !self.world.pods.contains_key(&key) {
            let uid = self.world.new_uid("mimic");
            self.world.put_pod(Pod {
                key,
                uid,
                foreign: true,
                phase: PodPhase::Running,
                end: None,
                terminating: false,
                ..pod
            });
        }
    }

    pub(crate) fn install_operator(&mut self) {
        if !self.world.operator_installed {
            self.world.operator_installed = true;
            for watch in self.keepers.iter_mut().filter_map(|keeper| keeper.watches.get_mut(&Kind::Application)) {
                (watch.unlisted, watch.live) = (true, false);
                watch.queue.clear();
            }
        }
    }

    /// Whether every leader knows that this application was there, and no other request to create it is on its way: only
    /// then its name may be freed. Who frees it before (a deletion and a stripped finalizer within seconds of the
    /// creation, and then a crash) defeats R2; and who does it while pods of it live, and then the ledger is lost, leaves
    /// nothing that tells what those pods were granted.
    fn is_known_for_good(&self, key: &ObjectKey) -> bool {
        let Some(app) = self.world.apps.get(key) else { return false };
        let late = self.late.iter().any(|(_, late)| matches!(late, Late::Post(it) if it.run == app.run));
        let is_create = |it: &Command| matches!(it, Command::CreateApplication { run, .. } if *run == app.run);
        if late || app.placeholder.is_some() || self.keepers.iter().any(|keeper| keeper.commands.iter().any(is_create))
        {
            return false;
        }
        let ledger = self.world.ledger.as_ref().and_then(|(_, ledger)| ledger.holders.get(&app.run));
        if self.profile.losses == 0 && ledger.is_some_and(|holder| holder.seen) {
            return true;
        }
        let job = self.world.jobs.values().find(|object| object.job.uid == app.run.job);
        let status = job.and_then(|object| object.status.as_ref()).map(crate::objects::published);
        let is_told =
            |keeper: &Keeper| keeper.watches.get(&Kind::Job).is_none_or(|watch| watch.live && watch.queue.is_empty());
        let may_be_counted =
            self.profile.losses > 0 && (app.in_hand || self.world.pods_of(&app.run).any(|it| it.phase.is_live()));
        status.is_some_and(|it| it.run.is_some_and(|(_, seen)| seen))
            && self.keepers.iter().all(is_told)
            && !may_be_counted
    }

    fn mishap(&mut self) {
        let pods: Vec<ObjectKey> = self.world.pods.keys().cloned().collect();
        let apps: Vec<ObjectKey> = self.world.apps.keys().cloned().collect();
        match self.rng.below(4) {
            0 if !self.world.operator_installed => self.install_operator(),
            0 => self.world.operator_up = !self.world.operator_up,
            1 => {
                if let Some(pod) = self.rng.pick(&pods) {
                    self.world.remove_pod(pod);
                }
            }
            _ => {
                if let Some(key) = self.rng.pick(&apps)
                    && let Some(app) = self.world.apps.get(key)
                    && matches!(app.state, ApplicationState::Submitted | ApplicationState::Running)
                    && app.deleting.is_none()
                {
                    self.world.end_app(key, ApplicationState::Failed, Some("a lie"));
                }
            }
        }
    }

    fn namespaces(&mut self) {
        let name: slowlane::model::Name = NAMESPACES[self.rng.below(2)].into();
        let Some(found) = self.world.namespaces.get(&name).cloned() else {
            // Its tombstones went with it: it comes back when nothing of the old one is on its way any more.
            let is_late = |late: &Late| matches!(late, Late::Post(app) if app.key.namespace == name);
            if self.late.iter().any(|(_, late)| is_late(late)) {
                return;
            }
            let labels = BTreeMap::from([("team".into(), (&*name).into())]);
            return self.world.put_namespace(&name, NamespaceObject { labels, terminating: false });
        };
        if self.rng.chance(200) {
            self.note(|| format!("namespace {name} is deleted"));
            self.world.put_namespace(&name, NamespaceObject { terminating: true, ..found });
        } else {
            let team = if self.rng.chance(500) { "blue" } else { "red" };
            let labels = BTreeMap::from([("team".into(), team.into())]);
            self.world.put_namespace(&name, NamespaceObject { labels, ..found });
        }
    }

    fn quotas(&mut self) {
        let name: slowlane::model::Name = NAMESPACES[self.rng.below(2)].into();
        if !self.world.quota.remove(&name) {
            self.world.quota.insert(name);
        }
    }
}
