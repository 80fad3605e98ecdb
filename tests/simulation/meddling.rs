//! Who deletes, strips, squats and copies what the keeper made.

use slowlane::command::{Command, Kind};
use slowlane::model::{Footprint, Holder, Job, Locks, Name, ObjectKey, Placeholder, PodPhase, RunId};

use crate::keeper::Keeper;
use crate::mutants::Mutant;
use crate::objects::{App, Pod};
use crate::people::{CLUSTERS, NAMESPACES};
use crate::requests::Late;
use crate::simulation::Simulation;

impl Simulation {
    pub(crate) fn meddle(&mut self) {
        match self.rng.below(12) {
            0 => return self.squat(),
            1 => return self.mimic(),
            2 => return self.rescale(),
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

    /// Somebody scales what holds warm executors, or deletes it.
    fn rescale(&mut self) {
        let clusters: Vec<Name> = self.world.placeholders.keys().cloned().collect();
        let Some(cluster) = self.rng.pick(&clusters).cloned() else { return };
        let desired = self.world.placeholders.get(&cluster).and_then(|seen| seen.desired).unwrap_or_default();
        let replicas = self.rng.below(9) as u64;
        let warm = self.rng.chance(700).then_some((replicas, desired));
        self.note(|| format!("somebody scales what is warm in {cluster}: {warm:?}"));
        self.world.set_placeholders(&cluster, warm);
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
            locks: Locks::default(),
            expected: None,
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
                started: None,
                ended: None,
                end: None,
                terminating: false,
                ..pod
            });
        }
    }

    /// Whether every leader knows that this application was there, and no other request to create it is on its way: only
    /// then its name may be freed. Who frees it before (a deletion and a stripped finalizer within seconds of the
    /// creation, and then a crash) defeats R2; and who does it while pods of it live, and then the ledger is lost, leaves
    /// nothing that tells what those pods were granted.
    fn is_known_for_good(&self, key: &ObjectKey) -> bool {
        let Some(app) = self.world.apps.get(key) else { return false };
        let is_of_run = |late: &Late| match late {
            Late::Post(it) => it.run == app.run,
            // A status of an older leader may take back what a later one said.
            Late::Other(command) => matches!(&**command, Command::WriteJobStatus { uid, .. } if *uid == app.run.job),
        };
        let late = self.late.iter().any(|(_, late)| is_of_run(late));
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
}
