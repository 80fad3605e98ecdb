//! The protocol's phases: one ledger write at a time, and memory follows what was acknowledged.

use std::collections::BTreeMap;

use super::{Engine, Flight, Phase, Wake};
use crate::admission::Grant;
use crate::command::{Command, Failure};
use crate::index::Stage;
use crate::lifecycle::{RETRY, Run};
use crate::model::{Holder, JobState, Ledger, LedgerVersion, Name, ObjectKey, Resources, RunId};

impl Engine {
    /// Whether jobs may be admitted now.
    pub(super) fn is_admitting(&self) -> bool {
        self.phase == Phase::Open && self.synced && self.quarantined_until.is_none_or(|until| self.now >= until)
    }

    pub(super) fn lead(&mut self, identity: Box<str>, first: bool) {
        self.identity = identity;
        self.first_leader = first;
        self.read_ledger();
    }

    fn read_ledger(&mut self) {
        self.phase = Phase::Reading;
        self.out.push(Command::ReadLedger);
    }

    /// A pause is over: of a failed read, or of the quarantine (then the next cycle admits).
    pub(super) fn ledger_woken(&mut self) {
        if self.phase == Phase::Paused {
            self.read_ledger();
        }
    }

    fn pause_ledger(&mut self) {
        self.phase = Phase::Paused;
        self.wakes.set(Wake::Ledger, self.now + RETRY);
    }

    pub(super) fn ledger_read(&mut self, result: Result<Option<(LedgerVersion, Box<Ledger>)>, Failure>) {
        match result {
            Err(_) => self.pause_ledger(),
            Ok(None) => self.ledger_missing(),
            Ok(Some((version, content))) => self.ledger_found(version, *content),
        }
    }

    fn ledger_found(&mut self, version: LedgerVersion, content: Ledger) {
        let ours = content.epoch == self.epoch && content.leader == self.identity;
        self.version = Some(version);
        if ours {
            self.fenced(content);
        } else if !self.fenced {
            self.fence(content);
        } else if content.epoch >= self.epoch {
            self.out.push(Command::StepDown);
            self.phase = Phase::Standby;
        } else {
            // An older copy was restored: what memory acknowledged still holds, and what the copy shows may, too.
            self.acknowledged = content.clone();
            self.rebuild();
            self.follow(content);
            self.phase = Phase::Open;
        }
    }

    fn fence(&mut self, mut content: Ledger) {
        self.epoch = content.epoch.saturating_add(1);
        content.epoch = self.epoch;
        content.leader = self.identity.clone();
        self.phase = Phase::Fencing;
        self.flight = Some(Flight { content: Box::new(content.clone()), ..Flight::default() });
        self.out.push(Command::WriteLedger { base: self.version.clone(), ledger: Box::new(content) });
    }

    /// The ledger carries our epoch: every older leader's compare-and-swap fails from here on.
    fn fenced(&mut self, content: Ledger) {
        self.fenced = true;
        self.acknowledged = content.clone();
        self.follow(content);
        self.phase = Phase::Open;
        self.start_watches();
    }

    fn start_watches(&mut self) {
        if !self.watching {
            self.watching = true;
            self.out.push(Command::StartWatches);
        }
    }

    /// There is no ledger. A missing one is not an empty one: it is written anew from the runs that are there, and
    /// nothing is admitted for a while, since a create may still be on its way.
    fn ledger_missing(&mut self) {
        self.version = None;
        self.acknowledged = Ledger::default();
        self.rebuild();
        self.phase = Phase::Open;
        self.start_watches();
    }

    fn rebuild(&mut self) {
        self.rebuilding = true;
        self.ledger_dirty = true;
        // Above every epoch that was counted up before, so that nobody takes the new ledger for an older copy.
        self.epoch = self.epoch.saturating_add(1).max(self.now.0 / 1000);
        let until = self.now + self.settings.quarantine;
        self.quarantined_until = Some(until);
        self.wakes.set(Wake::Ledger, until);
    }

    /// Everything is listed: is this an installation that has never granted anything?
    pub(super) fn end_needless_quarantine(&mut self) {
        if self.first_leader && self.version.is_none() && self.sightings.applications.is_empty() {
            self.quarantined_until = None;
        }
    }

    /// Makes runs and gate agree with a ledger that was read.
    fn follow(&mut self, content: Ledger) {
        let gone: Vec<RunId> = self.ended.iter().filter(|run| !content.holders.contains_key(*run)).cloned().collect();
        for run in gone {
            if let Some(ended) = self.runs.get(&run) {
                self.gate.give_back(&run, &ended.holder);
            }
            self.forget_run(&run);
        }
        if self.runs.keys().any(|run| !content.holders.contains_key(run)) {
            self.ledger_dirty = true;
        }
        for (run, holder) in content.holders {
            if !self.runs.contains_key(&run) {
                self.hold(run, holder);
            }
        }
    }

    /// A run holds its slots: it is live from now on.
    pub(super) fn hold(&mut self, run: RunId, holder: Holder) {
        self.gate.take(&run, &holder);
        self.assign(&run);
        self.dirty_runs.insert(run.clone());
        self.runs.insert(run.clone(), Run::new(run, holder));
    }

    /// The job of a run does not wait (any more).
    fn assign(&mut self, run: &RunId) {
        let Some(number) = self.jobs.by_uid(&run.job) else { return };
        self.leave_queue(number);
        if let Some(entry) = self.jobs.get_mut(number)
            && entry.stage != Stage::Ended
        {
            entry.stage = Stage::Granted(run.number);
        }
    }

    pub(super) fn ledger_written(&mut self, result: Result<LedgerVersion, Failure>) {
        let flight = self.flight.take().unwrap_or_default();
        match result {
            Ok(version) => {
                self.version = Some(version);
                self.land(flight);
            }
            Err(failure) => {
                self.turn_back(flight);
                match failure {
                    Failure::Unknown(_) | Failure::Conflict(_) | Failure::Gone => self.read_ledger(),
                    Failure::NotSent(_)
                    | Failure::KindMissing
                    | Failure::NamespaceTerminating
                    | Failure::Denied(_)
                    | Failure::GrantOutdated => self.pause_ledger(),
                }
            }
        }
    }

    fn land(&mut self, flight: Flight) {
        if self.phase == Phase::Fencing {
            self.fenced(*flight.content);
            return;
        }
        self.fenced = true;
        self.rebuilding = false;
        self.acknowledged = *flight.content;
        for run in flight.releases.keys() {
            self.forget_run(run);
        }
        for (run, holder) in flight.grants {
            self.dirty_runs.insert(run.clone());
            self.runs.insert(run.clone(), Run::new(run, holder));
        }
    }

    /// A write did not go through, as far as we know: its releases hold again, its grants queue again.
    fn turn_back(&mut self, flight: Flight) {
        self.ledger_dirty = true;
        for (run, holder) in &flight.releases {
            self.gate.take(run, holder);
        }
        for (run, holder) in &flight.grants {
            self.gate.give_back(run, holder);
            if let Some(number) = self.jobs.by_uid(&run.job) {
                if let Some(entry) = self.jobs.get_mut(number)
                    && entry.stage == Stage::Granted(run.number)
                {
                    entry.stage = Stage::New;
                }
                self.place(number);
            }
        }
    }

    /// Takes releases, changed limits and new grants together into one write.
    pub(super) fn cycle(&mut self) {
        if self.phase != Phase::Open || !self.synced || self.flight.is_some() {
            return;
        }
        let releases: BTreeMap<RunId, Holder> =
            self.ended.iter().filter_map(|run| Some((run.clone(), self.runs.get(run)?.holder.clone()))).collect();
        for (run, holder) in &releases {
            self.gate.give_back(run, holder);
        }
        let grants = if self.is_admitting() && !self.rebuilding { self.grant() } else { BTreeMap::new() };
        self.settle_reasons();
        if releases.is_empty() && grants.is_empty() && !self.ledger_dirty {
            return;
        }
        self.ledger_dirty = false;
        let content = self.compose(&releases, &grants);
        if content == self.acknowledged && self.version.is_some() {
            return;
        }
        let (base, ledger) = (self.version.clone(), Box::new(content.clone()));
        self.flight = Some(Flight { content: Box::new(content), grants, releases });
        self.out.push(Command::WriteLedger { base, ledger });
    }

    fn grant(&mut self) -> BTreeMap<RunId, Holder> {
        let mut grants = BTreeMap::new();
        while let Some(grant) = self.gate.next_start(self.now) {
            let Some((run, holder)) = self.accept(&grant) else { break };
            self.gate.take(&run, &holder);
            grants.insert(run, holder);
        }
        grants
    }

    fn accept(&mut self, grant: &Grant) -> Option<(RunId, Holder)> {
        let number = grant.job;
        self.leave_queue(number);
        let now = self.now;
        let entry = self.jobs.get_mut(number)?;
        let last = entry.job.published.run.map_or(0, |(number, _)| number);
        let used_up = entry.used_up.max(entry.job.published.runs.iter().map(|run| run.number).max().unwrap_or(0));
        let run = RunId { job: entry.job.uid.clone(), number: last.max(used_up + 1) };
        entry.stage = Stage::Granted(run.number);
        let holder = Holder {
            job: entry.job.key.clone(),
            operation: entry.job.operation.clone(),
            cluster: grant.cluster.clone(),
            footprint: grant.footprint,
            min_executors: grant.executors.min,
            max_executors: grant.executors.max,
            granted: now,
            seen: false,
        };
        self.enter_state(number, JobState::Starting);
        Some((run, holder))
    }

    /// The ledger as it should be. Limits stand beside holders; a key without holders is left out.
    fn compose(&mut self, releases: &BTreeMap<RunId, Holder>, grants: &BTreeMap<RunId, Holder>) -> Ledger {
        let live = self.runs.iter().filter(|(run, _)| !releases.contains_key(*run));
        let mut holders: BTreeMap<RunId, Holder> =
            live.map(|(run, record)| (run.clone(), record.holder.clone())).collect();
        holders.extend(grants.iter().map(|(run, holder)| (run.clone(), holder.clone())));
        let mut ledger = Ledger { epoch: self.epoch, leader: self.identity.clone(), holders, ..Ledger::default() };
        self.compose_limits(&mut ledger);
        ledger
    }

    /// Limits as declared. Runs that have to be taken in over a limit (after a lost ledger) raise it for one write,
    /// which the API server would refuse otherwise; the next write lowers it again.
    fn compose_limits(&mut self, ledger: &mut Ledger) {
        let mut operations: BTreeMap<ObjectKey, (u32, bool)> = BTreeMap::new();
        let mut clusters: BTreeMap<Name, (u32, bool, Resources)> = BTreeMap::new();
        for (run, holder) in &ledger.holders {
            let is_new = !self.acknowledged.holders.contains_key(run);
            let key = ObjectKey { namespace: holder.job.namespace.clone(), name: holder.operation.clone() };
            let operation = operations.entry(key).or_default();
            *operation = (operation.0 + 1, operation.1 | is_new);
            let cluster = clusters.entry(holder.cluster.clone()).or_default();
            *cluster = (cluster.0 + 1, cluster.1 | is_new, cluster.2.plus(holder.resources()));
        }
        for (key, (alive, grows)) in operations {
            let declared = self.gate.operation(&key).and_then(|entry| entry.declared.as_ref()?.limit);
            if let Some(limit) = declared {
                let written = if grows { limit.max(alive) } else { limit };
                self.ledger_dirty |= written != limit;
                ledger.operation_limits.insert(key, written);
            }
        }
        for (name, (alive, grows, used)) in clusters {
            let Some(declared) = self.gate.cluster(&name).and_then(|entry| entry.declared.as_ref()) else { continue };
            let (limit, capacity) = (declared.max_jobs, declared.capacity);
            let fits = if grows { capacity.at_least(used) } else { capacity };
            self.ledger_dirty |= fits != capacity;
            ledger.cluster_capacity.insert(name.clone(), fits);
            if let Some(limit) = limit {
                let written = if grows { limit.max(alive) } else { limit };
                self.ledger_dirty |= written != limit;
                ledger.cluster_limits.insert(name, written);
            }
        }
    }

    /// A declared limit changed: the ledger's copy follows with a write of its own where runs hold it.
    pub(super) fn limits_changed(&mut self) {
        self.ledger_dirty |= !self.runs.is_empty();
    }
}
