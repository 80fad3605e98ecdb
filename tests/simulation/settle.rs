//! The faults stop: everything is carried, the world goes on, time passes. Then everything that can end has ended,
//! nothing is left behind, and the keeper is quiet.

use slowlane::command::Input;
use slowlane::model::{
    ApplicationState, Cluster, ExecutorBounds, JobState, ObjectKey, Operation, Selector, Settings, Span, Time,
};

use crate::objects::JobObject;
use crate::people::{LOCK, executors_of, locks_of};
use crate::profile::Profile;
use crate::simulation::Simulation;

/// Rounds that everything may take at one instant, and wakes that may come in all.
const ROUNDS: usize = 4_000;
const WAKES: usize = 3_000;
/// By then runs of deleted jobs and namespaces that are being deleted are gone.
const GONE_BY: Span = Span::seconds(900);
/// A keeper that has nothing to do sleeps at least so long.
const LONG: Span = Span::seconds(6 * 3600);
/// So often a job may be told something where nothing goes wrong: one that waits for half an hour behind others has news of them.
const MOST_WRITES: u32 = 16;
/// So long the spark-operator stays away in some worlds, and by then the jobs whose applications wait for it say so.
const AWAY: Span = Span::seconds(120);
const TOLD: Span = Span::seconds(60);

impl Simulation {
    pub(crate) fn settle(&mut self) -> Result<(), String> {
        self.note(|| "---- the faults stop ----".to_owned());
        self.world.auditor.saw("cases");
        self.make_everything_possible();
        if self.rng.chance(300) {
            self.keep_the_operator_away()?;
        }
        let began = self.world.now;
        let mut checked = false;
        for _ in 0..WAKES {
            self.until_nothing_moves()?;
            self.check_queues()?;
            if !checked && self.world.now >= began + GONE_BY {
                checked = true;
                self.check_what_is_gone()?;
            }
            let wake = self.keepers.first().and_then(|keeper| keeper.engine.next_wake());
            let check = (!checked).then_some(began + GONE_BY);
            let Some(next) = [wake, check].into_iter().flatten().min() else { return self.check_the_end() };
            if checked && next > self.world.now + LONG {
                return self.check_the_end();
            }
            self.wait_until(next)?;
        }
        Err(format!("the keeper is never quiet: {:?}", self.keepers.first().map(|keeper| keeper.engine.next_wake())))
    }

    /// Never at exactly the time that was asked for.
    fn wait_until(&mut self, time: Time) -> Result<(), String> {
        let late = Span(self.rng.between(0, 300));
        self.pass(Span((time - self.world.now).0.max(0)));
        self.pass(late);
        self.tick(0);
        self.verdict()
    }

    /// All is well but for the spark-operator: whoever waits for it says so, and goes on saying so.
    fn keep_the_operator_away(&mut self) -> Result<(), String> {
        self.world.operator_up = false;
        let until = self.world.now + AWAY;
        while self.world.now < until {
            self.until_nothing_moves()?;
            let wake = self.keepers.first().and_then(|keeper| keeper.engine.next_wake());
            self.wait_until(wake.map_or(until, |wake| wake.min(until)))?;
        }
        self.until_nothing_moves()?;
        let world = &self.world;
        let untouched = world.apps.values().filter(|app| {
            app.state == ApplicationState::New
                && app.created + TOLD < world.now
                && !app.foreign
                && app.deleting.is_none()
                && app.placeholder.is_none()
        });
        let mut told = 0;
        for app in untouched {
            let job = world.jobs.values().find(|object| object.job.uid == app.run.job);
            let Some(job) = job.filter(|object| !object.job.cancel && !object.job.deleting) else { continue };
            let Some(status) = job.status.as_ref().filter(|status| status.state == JobState::Starting) else {
                continue;
            };
            told += 1;
            if status.reason != "SparkOperatorSilent" {
                return Err(format!("{} waits for a spark-operator and says {}", job.job.key, status.reason));
            }
        }
        (0..told).for_each(|_| self.world.auditor.saw("a spark-operator that is away was told of"));
        self.world.operator_up = true;
        Ok(())
    }

    /// No more faults; limits, clusters and namespaces so that jobs may run.
    fn make_everything_possible(&mut self) {
        let exact = self.profile.exact;
        self.profile = Profile { name: self.profile.name, exact, eager: 60, ..Profile::default() };
        self.pass(Span::seconds(40));
        while self.keepers.len() > 1 {
            self.kill(0);
        }
        self.pass(Span::seconds(40));
        self.late.clear();
        let strangers: Vec<ObjectKey> = self.world.strangers.keys().cloned().collect();
        strangers.iter().for_each(|key| self.world.remove_stranger(key));
        if self.keepers.is_empty() {
            self.enthrone();
        }
        for watch in self.keepers.iter_mut().flat_map(|keeper| keeper.watches.values_mut()) {
            watch.stalled_until = Time(0);
        }
        self.world.operator_up = true;
        self.install_operator();
        self.put_settings(Settings { held: None, ..self.settings.clone() });
        self.world.quota.clear();
        for operation in self.world.operations.values().cloned().collect::<Vec<_>>() {
            if operation.limit == Some(0) {
                self.world.put_operation(Operation {
                    limit: Some(1),
                    generation: operation.generation + 1,
                    ..operation
                });
            }
        }
        for cluster in self.world.clusters.values().cloned().collect::<Vec<_>>() {
            let selector = Some(Selector::default());
            self.world.put_cluster(Cluster {
                held: false,
                selector,
                accept: Vec::new(),
                windows: Vec::new(),
                generation: cluster.generation + 1,
                ..cluster
            });
        }
        for key in self.world.jobs.keys().cloned().collect::<Vec<_>>() {
            self.world.edit_job(&key, |object| {
                object.garbled = false;
                object.job.generation += i64::from(object.job.suspend);
                object.job.suspend = false;
            });
        }
        self.spread();
    }

    /// Carries everything and lets the world go on, all at one instant.
    fn until_nothing_moves(&mut self) -> Result<(), String> {
        for _ in 0..ROUNDS {
            self.spread();
            self.verdict()?;
            if self.keepers.is_empty() {
                self.enthrone();
            }
            if self.deliver(0) || self.send(0) {
                continue;
            }
            let moves = self.world.moves(false);
            let Some(a_move) = self.rng.pick(&moves).cloned() else { return Ok(()) };
            self.note(|| format!("{a_move:?}"));
            self.world.make(a_move, &mut self.rng);
        }
        let waiting = self.keepers.first().map(|keeper| format!("{:?}", keeper.commands));
        Err(format!("hot loop: at one instant it does not come to rest: {waiting:?}"))
    }

    /// Where nothing goes wrong, no more jobs of an operation that refuses some wait than it lets wait. Jobs that were suspended
    /// come back to it whatever its limits; and one that can start at once may overtake those that wait.
    pub(crate) fn check_queues(&self) -> Result<(), String> {
        if !self.profile.exact {
            return Ok(());
        }
        let world = &self.world;
        for (key, operation) in world.operations.iter().filter(|(_, operation)| operation.may_refuse()) {
            let of_it = world.jobs.values().filter(|it| it.job.operation_key() == *key);
            let of_it = of_it.filter(|it| !world.auditor.suspended.contains(&it.job.uid));
            // Whoever holds a place in the ledger waits no more, though its status may say so for some seconds yet.
            let holds = |it: &JobObject| {
                let holders = world.ledger.iter().flat_map(|(_, ledger)| ledger.holders.keys());
                holders.into_iter().any(|run| run.job == it.job.uid)
            };
            let is_queued = |it: &&JobObject| {
                it.status.as_ref().is_some_and(|status| status.state == JobState::Queued) && !holds(it)
            };
            let queued = of_it.filter(is_queued).count();
            let limit = operation.limit.filter(|_| operation.refuses_at_limit);
            let most = operation.max_queued.into_iter().chain(limit).min();
            if most.is_some_and(|most| queued > most as usize) {
                return Err(format!("{queued} jobs of {key} wait, which lets {most:?} wait"));
            }
        }
        Ok(())
    }

    /// I8: what was deleted is gone, and nobody holds up a namespace.
    fn check_what_is_gone(&self) -> Result<(), String> {
        let world = &self.world;
        if let Some(pod) =
            world.pods.values().find(|pod| pod.phase.is_live() && !pod.foreign && !world.has_job(&pod.run.job))
        {
            return Err(format!("I8: a pod of a deleted job lives on: {pod:?}"));
        }
        let held_up = world.namespaces.iter().find(|(_, namespace)| namespace.terminating);
        held_up.map_or(Ok(()), |(name, _)| {
            let left: Vec<&ObjectKey> = world.apps.keys().filter(|key| key.namespace == *name).collect();
            Err(format!("I8: namespace {name} is held up by {left:?}"))
        })
    }

    fn check_the_end(&mut self) -> Result<(), String> {
        for object in self.world.jobs.values() {
            if !object.is_over() && self.can_end(&object.job) {
                return Err(format!("I4: job {} never ends: {:?}", object.job.key, object.status));
            }
            if object.job.deleting {
                return Err(format!("I8: job {} is never gone", object.job.key));
            }
        }
        let held = self.world.ledger.as_ref().filter(|(_, ledger)| !ledger.holders.is_empty());
        if let Some((_, ledger)) = held.filter(|_| !self.is_restored_unnoticed()) {
            return Err(format!("a slot is leaked: {:?}", ledger.holders));
        }
        if let Some(app) = self.world.apps.values().find(|app| !app.foreign) {
            return Err(format!("a tombstone stays for ever: {app:?}"));
        }
        if let Some(pod) = self.world.pods.values().find(|pod| !pod.foreign) {
            return Err(format!("a pod stays for ever: {pod:?}"));
        }
        self.check_pools()?;
        self.world.check_accounts()?;
        self.check_quiet()
    }

    /// What is held warm is what the pools say.
    fn check_pools(&self) -> Result<(), String> {
        for cluster in self.world.clusters.values() {
            let (pool, seen) =
                (cluster.pool.filter(|_| cluster.holds_placeholders), self.world.placeholders.get(&cluster.name));
            let said = cluster.published.as_ref();
            let desired = said.and_then(|said| said.executors_desired);
            let fault = match (pool, seen) {
                (Some(pool), Some(seen)) => {
                    // Nothing is taken any more: all of it is warm.
                    seen.desired != desired || desired != Some(seen.replicas) || seen.replicas > pool.max
                }
                (wanted, held) => wanted.is_some() != held.is_some(),
            };
            if fault {
                return Err(format!("the pool of {}: {seen:?} is held, {desired:?} is said", cluster.name));
            }
        }
        Ok(())
    }

    fn check_quiet(&mut self) -> Result<(), String> {
        let Some(keeper) = self.keepers.first_mut() else { return Err("nobody leads".to_owned()) };
        let figures = keeper.engine.figures();
        if (figures.live_runs, figures.tombstones, figures.admitting) != (0, 0, true) {
            return Err(format!("the keeper holds on to something: {figures:?}"));
        }
        let waiting: u64 = figures.waiting.values().sum();
        let open = self.world.jobs.values().filter(|object| !object.is_over()).count();
        if waiting != open as u64 {
            return Err(format!("{open} jobs are open, but {waiting} are queued: {figures:?}"));
        }
        let later = Time(self.world.now.0 + 1);
        self.world.now = later;
        let commands = keeper.engine.step(Input::Tick, later);
        if !commands.is_empty() {
            return Err(format!("I12: not quiet: {commands:?}"));
        }
        let writes = self.world.auditor.most_status_writes();
        if self.profile.exact && writes > MOST_WRITES {
            return Err(format!("I12: {writes} status writes for one job"));
        }
        Ok(())
    }

    /// Whether a job can end as things stand at last.
    fn can_end(&self, job: &slowlane::model::Job) -> bool {
        let key = ObjectKey { namespace: job.key.namespace.clone(), name: job.operation.clone() };
        let has_run = self.world.auditor.has_started(&job.uid) && !self.world.auditor.suspended.contains(&job.uid);
        if job.cancel || job.deleting || has_run {
            return true;
        }
        let Some(operation) = self.world.operations.get(&key) else { return false };
        let executors = executors_of(job, operation);
        let wanted = self
            .world
            .clusters
            .values()
            .filter(|it| job.cluster.as_ref().is_none_or(|choice| choice.includes(&it.name, &it.labels)));
        let fits = |cluster: &Cluster| {
            let Some(least) = cluster.bounds(&executors).map(ExecutorBounds::least) else { return false };
            let whole = cluster.outline(&executors, operation.outline);
            whole.problem().is_none()
                && whole.footprint().with(least).fits(cluster.capacity)
                && cluster.share.holds(least)
                && cluster.locks.get(LOCK).is_none_or(|permits| locks_of(&job.operation)[0].1 <= *permits)
        };
        wanted.into_iter().any(fits)
    }
}
