//! Bad luck at the worst moment. What it takes to do harm is a chain of rare things, so an ambush is laid when it is drawn,
//! and sprung when some keeper comes to the point at which it hurts.

use std::sync::Arc;

use slowlane::command::{Command, Failure, Kind, Receipt};
use slowlane::model::{ApplicationState, Holder, ObjectKey, Span, Uid};

use crate::moves::Move;
use crate::simulation::{LATEST, Simulation, short};

/// What waits for its moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ambush {
    /// Grants stand, the creates of their runs are on their way, and the keeper dies; maybe the ledger is lost, too.
    Create,
    /// The outcome of a run stands in the status, and the keeper dies before it deletes anything; maybe the ledger is
    /// lost, too, and whoever suspended the job resumes it.
    Delete,
    /// A write of grants is lost, and nobody says so.
    Grant,
    /// Another keeper takes over: it reads the ledger just before grants are written, and writes just after.
    TakeOver,
    /// No pod is shown for a while, and the spark-operator calls a run failed whose driver lives.
    Lie,
}

/// So many good moments are waited for a start.
const MOST: usize = 300;

impl Simulation {
    pub(crate) fn lie_in_wait(&mut self) {
        let mut possible = vec![Ambush::Create, Ambush::Create, Ambush::Delete, Ambush::Grant];
        possible.extend([Ambush::TakeOver, Ambush::TakeOver].iter().filter(|_| self.profile.overlaps > 0));
        possible.extend([Ambush::Create; 4].iter().filter(|_| self.profile.losses > 0));
        possible.extend([Ambush::Lie].iter().filter(|_| self.profile.mishaps > 0));
        self.ambush = self.rng.pick(&possible).copied();
    }

    /// The moment has come, if it has.
    pub(crate) fn spring(&mut self) -> bool {
        let Some(ambush) = self.ambush.filter(|_| !self.is_restored_unnoticed()) else { return false };
        let victim = self.keepers.iter().position(|it| it.dethroned.is_none());
        let Some(victim) = victim.filter(|victim| self.is_exposed(*victim, ambush)) else { return false };
        self.ambush = None;
        self.note(|| format!("---- ambush: {ambush:?} ----"));
        self.world.auditor.saw(format!("ambush {ambush:?}"));
        match ambush {
            Ambush::Create => self.strike_creates(victim),
            Ambush::Delete => self.strike_deletion(victim),
            Ambush::Grant => self.lose_grant(victim),
            Ambush::TakeOver => self.take_over(victim),
            Ambush::Lie => self.lie(),
        }
        true
    }

    fn is_exposed(&self, victim: usize, ambush: Ambush) -> bool {
        let mut commands = self.keepers[victim].commands.iter();
        match ambush {
            Ambush::Create => commands.any(is_create),
            Ambush::Delete => commands.any(|command| matches!(command, Command::DeleteApplication { .. })),
            Ambush::Grant | Ambush::TakeOver => commands.any(|command| self.grants(command).is_some()),
            Ambush::Lie => self.in_hand().is_some(),
        }
    }

    /// An application for which `spark-submit` runs.
    fn in_hand(&self) -> Option<ObjectKey> {
        let mut apps = self.world.apps.values();
        apps.find(|app| app.in_hand && app.deleting.is_none() && !app.foreign).map(|app| app.key.clone())
    }

    /// A run that a command would grant.
    fn grants(&self, command: &Command) -> Option<Arc<Holder>> {
        let Command::WriteLedger { ledger, .. } = command else { return None };
        let known = self.world.ledger.as_ref().map(|(_, ledger)| ledger);
        let is_new = |run| known.is_none_or(|known| !known.holders.contains_key(run));
        ledger.holders.iter().find(|(run, holder)| is_new(*run) && !holder.seen).map(|(_, holder)| holder.clone())
    }

    /// Creates are on their way when their keeper dies: somebody more important comes, and the next keeper decides.
    fn strike_creates(&mut self, victim: usize) {
        let commands = std::mem::take(&mut self.keepers[victim].commands);
        let (creates, others): (Vec<_>, Vec<_>) = commands.into_iter().partition(is_create);
        self.keepers[victim].commands = others;
        creates.iter().for_each(|create| self.send_late(create));
        let is_lost = self.profile.losses > 0 && self.rng.chance(700);
        if is_lost {
            self.delete_ledger();
        }
        for number in (0..self.keepers.len()).rev() {
            self.kill(number);
        }
        self.enthrone();
        let Some(Command::CreateApplication { holder, .. }) = creates.first() else { return };
        let Some(urged) = self.urge(&holder.job.namespace, &holder.operation) else { return };
        if self.starts_soon(&urged) {
            self.pass(Span(LATEST));
        } else if is_lost {
            self.outlast_the_quarantine(&urged);
        }
    }

    fn strike_deletion(&mut self, victim: usize) {
        let of_deletion = |command: &Command| match command {
            Command::DeleteApplication { run, .. } => Some(run.job.clone()),
            _ => None,
        };
        let Some(job) = self.keepers[victim].commands.iter().find_map(of_deletion) else { return };
        self.keepers[victim].commands.retain(|command| of_deletion(command).is_none());
        if self.profile.losses > 0 && self.rng.chance(700) {
            self.delete_ledger();
        }
        (0..self.keepers.len()).rev().for_each(|number| self.kill(number));
        let key = self.world.jobs.values().find(|object| object.job.uid == job).map(|object| object.job.key.clone());
        if let Some(key) = key {
            self.world.edit_job(&key, |object| {
                object.job.generation += i64::from(object.job.suspend);
                object.job.suspend = false;
            });
        }
        self.enthrone();
        self.calm(300);
    }

    /// All is well until a job starts: that is when something late could still land beside it.
    fn starts_soon(&mut self, job: &Uid) -> bool {
        for _ in 0..MOST {
            if self.world.auditor.has_started(job) {
                return true;
            }
            self.calm(2);
        }
        false
    }

    /// Its quarantine goes by for a keeper whose watch of applications shows nothing meanwhile.
    fn outlast_the_quarantine(&mut self, urged: &Uid) {
        let quarantine = self.settings.quarantine;
        let stalled = self.world.now + quarantine + Span::seconds(20);
        let watches = self.keepers.iter_mut().filter_map(|keeper| keeper.watches.get_mut(&Kind::Application));
        watches.for_each(|watch| watch.stalled_until = stalled);
        self.pass(Span(quarantine.0 + 1));
        // What landed meanwhile starts.
        (0..6).for_each(|_| _ = self.move_on());
        self.spread();
        (0..self.keepers.len()).rev().for_each(|number| self.tick(number));
        self.starts_soon(urged);
    }

    /// A write of grants never arrives. Whoever acts on it all the same is struck then.
    fn lose_grant(&mut self, victim: usize) {
        let Some(write) = self.take_write(victim) else { return };
        self.note(|| format!("lost: {}", short(&format!("{write:?}"))));
        let receipt = Receipt::LedgerWritten(Err(Failure::Unknown("no answer in time".into())));
        self.tell(victim, self.believed(receipt));
        if self.keepers.get(victim).is_some_and(|keeper| keeper.commands.iter().any(is_create)) {
            self.strike_creates(victim);
        }
    }

    /// Between the read and the write of the next leader, this one's grants land; its creates come late.
    fn take_over(&mut self, victim: usize) {
        let Some(write) = self.take_write(victim) else { return };
        let Some(holder) = self.grants(&write) else { return };
        let identity = self.keepers[victim].identity.clone();
        self.overlap();
        let place = |sim: &Self| sim.keepers.iter().position(|keeper| keeper.identity == identity);
        let next = self.keepers.len() - 1;
        while self.keepers[next].commands.contains(&Command::ReadLedger) {
            self.send_well(next);
        }
        while !self.keepers[next].receipts.is_empty() && self.deliver(next) {}
        let Some(victim) = place(self) else { return };
        if let Some(receipt) = self.world.carry_out(&write, self.mutant) {
            self.tell(victim, receipt);
        }
        let Some(victim) = place(self) else { return };
        for command in std::mem::take(&mut self.keepers[victim].commands) {
            self.send_late(&command);
        }
        let Some(urged) = self.urge(&holder.job.namespace, &holder.operation) else { return };
        if self.starts_soon(&urged) {
            self.pass(Span(LATEST));
        }
    }

    fn lie(&mut self) {
        let Some(key) = self.in_hand() else { return };
        let until = self.world.now + Span::seconds(30);
        for watch in self.keepers.iter_mut().filter_map(|keeper| keeper.watches.get_mut(&Kind::Pod)) {
            watch.stalled_until = until;
        }
        self.world.make(Move::Submit(key.clone()), &mut self.rng);
        if self.world.apps.get(&key).is_some_and(|app| app.state == ApplicationState::Submitted) {
            self.world.end_app(&key, ApplicationState::Failed, Some("a lie"));
        }
        self.spread();
        self.calm(60);
    }

    fn take_write(&mut self, keeper: usize) -> Option<Command> {
        let at = self.keepers[keeper].commands.iter().position(|it| self.grants(it).is_some())?;
        Some(self.keepers[keeper].commands.swap_remove(at))
    }

    fn tell(&mut self, keeper: usize, receipt: Receipt) {
        self.keepers[keeper].receipts.push(receipt);
        while self.keepers.get(keeper).is_some_and(|it| !it.receipts.is_empty()) && self.deliver(keeper) {}
        self.spread();
    }
}

fn is_create(command: &Command) -> bool {
    matches!(command, Command::CreateApplication { placeholder: None, .. })
}
