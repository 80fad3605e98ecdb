//! The protocol's phases: one ledger write at a time, and memory follows what was acknowledged.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Engine, Flight, Phase, Wake};
use crate::admission::Grant;
use crate::command::{Command, Failure};
use crate::index::{Relists, Stage};
use crate::lifecycle::{RETRY, Run};
use crate::model::{ApplicationState, Holder, JobState, Ledger, LedgerVersion, RunId, Span};

/// How long a job waits whose grant the API server refused.
const SET_ASIDE: Span = Span::seconds(60);

impl Engine {
    /// Whether jobs may be admitted now.
    pub(super) fn is_admitting(&self) -> bool {
        self.phase == Phase::Open && self.synced && self.quarantined_until.is_none_or(|until| self.now >= until)
    }

    pub(super) fn lead(&mut self, identity: Box<str>, first: bool) {
        self.identity = identity;
        self.first_leader = first;
        self.led_since = self.now;
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
        // What may still land late fails from here on, if the version it would replace is gone.
        self.unsettled &= self.version.as_ref() == Some(&version);
        self.version = Some(version);
        if ours && content.sequence >= self.acknowledged.sequence {
            let before = if self.fenced { self.acknowledged.sequence } else { content.sequence };
            self.fenced(&Arc::new(content));
            self.bills_changed(before);
        } else if !self.fenced {
            self.fence(content);
        } else if !ours && content.epoch >= self.epoch {
            self.out.push(Command::StepDown);
            self.phase = Phase::Standby;
        } else {
            // An older copy was restored: what memory acknowledged still holds, and what the copy shows may, too.
            let sequence = content.sequence.max(self.acknowledged.sequence);
            self.acknowledged = Arc::new(Ledger { sequence, ..content.clone() });
            self.rebuild();
            self.forget_books();
            self.follow(&content);
            self.phase = Phase::Open;
            self.list_anew();
        }
    }

    fn fence(&mut self, mut content: Ledger) {
        self.epoch = content.epoch.saturating_add(1);
        content.epoch = self.epoch;
        content.leader = self.identity.clone();
        content.sequence = content.sequence.saturating_add(1);
        self.phase = Phase::Fencing;
        let content = Arc::new(content);
        self.flight = Some(Flight { content: content.clone(), ..Flight::default() });
        self.out.push(Command::WriteLedger { base: self.version.clone(), ledger: content });
    }

    /// The ledger carries our epoch: every older leader's compare-and-swap fails from here on.
    fn fenced(&mut self, content: &Arc<Ledger>) {
        let was_behind = self.watching && !self.fenced;
        self.fenced = true;
        self.rebuilding = false;
        self.acknowledged = content.clone();
        self.look_at_refused();
        self.follow(content);
        self.phase = Phase::Open;
        self.start_watches();
        if was_behind {
            // There was no ledger, and then another keeper's: what it booked meanwhile may not have been seen.
            self.forget_books();
            self.list_anew();
        }
    }

    /// Runs whose create is refused may wait for the ledger to say so.
    fn look_at_refused(&mut self) {
        self.refused.retain(|run| self.runs.get(run).is_some_and(|run| run.denied.is_some()));
        self.dirty_runs.extend(self.refused.iter().cloned());
    }

    fn start_watches(&mut self) {
        if !self.watching {
            self.watching = true;
            self.out.push(Command::StartWatches);
        }
    }

    /// Caches that may be older than what was restored are dropped: nothing is decided before all is listed again.
    pub(super) fn list_anew(&mut self) {
        if self.watching {
            self.synced = false;
            self.relists = Relists::default();
            self.out.push(Command::StartWatches);
        }
    }

    /// The quarantine is over. What it waited for may have come while a watch lagged: list once more, then admit.
    pub(super) fn quarantine_over(&mut self) {
        match self.quarantined_until {
            Some(until) if self.now >= until => {
                self.quarantined_until = None;
                self.list_anew();
            }
            // It began anew meanwhile.
            Some(until) => self.wakes.set(Wake::Quarantine, until),
            None => {}
        }
    }

    /// There is no ledger. A missing one is not an empty one: it is written anew from the runs that are there, and
    /// nothing is admitted for a while, since a create may still be on its way.
    fn ledger_missing(&mut self) {
        self.version = None;
        let Ledger { sequence, bills, .. } = Arc::unwrap_or_clone(std::mem::take(&mut self.acknowledged));
        self.acknowledged = Arc::new(Ledger { sequence, bills, ..Ledger::default() });
        self.rebuild();
        self.phase = Phase::Open;
        self.start_watches();
    }

    fn rebuild(&mut self) {
        self.rebuilding = true;
        self.ledger_dirty = true;
        self.compose_anew = true;
        // Above every epoch that was counted up before, so that nobody takes the new ledger for an older copy.
        self.epoch = self.epoch.saturating_add(1).max(self.now.0 / 1000);
        let until = self.now + self.settings.quarantine;
        self.quarantined_until = Some(until);
        self.wakes.set(Wake::Quarantine, until);
    }

    /// Everything is listed: is this an installation that has never granted anything?
    pub(super) fn end_needless_quarantine(&mut self) {
        let nothing_before = || {
            self.sightings.has_no_application()
                && self.jobs.numbers().into_iter().filter_map(|number| self.jobs.get(number)).all(|entry| {
                    // Creation times have whole seconds.
                    entry.job.created + Span::seconds(1) > self.led_since
                })
        };
        if self.first_leader && self.version.is_none() && nothing_before() {
            self.quarantined_until = None;
        }
    }

    /// Makes runs and gate agree with a ledger that was read.
    fn follow(&mut self, content: &Ledger) {
        self.compose_anew = true;
        let gone: Vec<RunId> = self.ended.iter().filter(|run| !content.holders.contains_key(*run)).cloned().collect();
        for run in gone {
            if let Some(ended) = self.runs.get(&run) {
                self.gate.give_back(&run, &ended.holder);
            }
            self.forget_run(&run);
        }
        self.unnamed = self.runs.keys().filter(|run| !content.holders.contains_key(*run)).cloned().collect();
        let restated = self.runs.iter().filter(|(run, it)| content.holders.get(*run) != Some(&it.holder));
        self.restated = restated.map(|(run, _)| run.clone()).collect();
        self.ledger_dirty |= !self.unnamed.is_empty();
        for (run, holder) in &content.holders {
            if !self.runs.contains_key(run) {
                self.hold(run.clone(), holder.clone());
            }
        }
    }

    /// A run holds its slots: it is live from now on.
    pub(super) fn hold(&mut self, run: RunId, holder: Arc<Holder>) {
        self.open_account(&holder);
        self.gate.take(&run, &holder);
        if self.sightings.application(&run).is_none_or(|it| it.state == ApplicationState::New) {
            self.gate.join_line(&run);
        }
        if !self.acknowledged.holders.contains_key(&run) {
            self.unnamed.insert(run.clone());
        }
        self.assign(&run);
        self.dirty_runs.insert(run.clone());
        let id = run.clone();
        self.runs.insert(run, Box::new(Run::new(id.clone(), holder)));
        self.count_pods(&id);
    }

    /// The job of a run does not wait (any more).
    pub(super) fn assign(&mut self, run: &RunId) {
        let Some(number) = self.jobs.by_uid(&run.job) else { return };
        self.leave_queue(number);
        let Some(entry) = self.jobs.get_mut(number) else { return };
        entry.let_in = true;
        // A run of before that shows itself once more is brought to its end beside the one that is alive.
        if matches!(entry.stage, Stage::Granted(newer) if newer > run.number) || entry.stage == Stage::Ended {
            return;
        }
        entry.stage = Stage::Granted(run.number);
        if matches!(entry.state, JobState::Pending | JobState::Queued | JobState::Suspended) {
            self.enter_state(number, JobState::Starting);
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
                self.turn_back(&flight);
                self.unsettled |= matches!(failure, Failure::Unknown(_));
                if matches!(failure, Failure::Denied(_)) {
                    self.beware(&flight);
                }
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
            self.fenced(&flight.content);
            return;
        }
        self.fenced = true;
        self.rebuilding = false;
        self.unsettled = false;
        self.cautious &= flight.grants.is_empty();
        let before = self.acknowledged.sequence;
        self.acknowledged = flight.content;
        self.bills_changed(before);
        self.unnamed.retain(|run| !self.acknowledged.holders.contains_key(run));
        self.look_at_refused();
        let acknowledged = &self.acknowledged.holders;
        let is_said = |run: &RunId, it: &Run| acknowledged.get(run) == Some(&it.holder);
        self.restated.retain(|run| self.runs.get(run).is_some_and(|it| !is_said(run, it)));
        for run in flight.releases.keys() {
            self.forget_run(run);
        }
        for (run, holder) in flight.grants {
            self.open_account(&holder);
            // However long the write took, it stands in line from now on.
            self.gate.join_line(&run);
            self.dirty_runs.insert(run.clone());
            // Its start may have been due to be said while the grant was on its way, when there was no run to tell of.
            if let Some(number) = self.jobs.by_uid(&run.job) {
                self.job_changed(number);
            }
            self.runs.insert(run.clone(), Box::new(Run { own_grant: true, ..Run::new(run, holder) }));
        }
    }

    /// The API server refused a write. One grant among many may be what it does not take: from now on they go one by
    /// one, and one that is refused alone is set aside for a while.
    fn beware(&mut self, flight: &Flight) {
        self.cautious = true;
        if let (1, Some((run, _))) = (flight.grants.len(), flight.grants.first_key_value())
            && let Some(number) = self.jobs.by_uid(&run.job)
        {
            self.leave_queue(number);
            self.wakes.set(Wake::Place(number), self.now + SET_ASIDE);
        }
    }

    /// A write did not go through, as far as we know: its releases hold again, its grants queue again.
    fn turn_back(&mut self, flight: &Flight) {
        self.ledger_dirty = true;
        self.compose_anew = true;
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
        if self.phase != Phase::Open {
            // Nothing starts, but who waits is told what is known.
            return self.settle_reasons();
        }
        if !self.synced || self.flight.is_some() {
            return;
        }
        let is_owed =
            self.ledger_dirty || !self.ended.is_empty() || !self.comers.is_empty() || !self.unnamed.is_empty();
        if !is_owed && self.gate.is_quiet(self.now) {
            self.is_decided = true;
            return;
        }
        self.forget_unnamed();
        // A ledger that stands tells the next leader that nothing has to be waited for: it is not written before that.
        if self.version.is_none() && self.quarantined_until.is_some() {
            self.settle_reasons();
            return;
        }
        let releases: BTreeMap<RunId, Arc<Holder>> =
            self.ended.iter().filter_map(|run| Some((run.clone(), self.runs.get(run)?.holder.clone()))).collect();
        for (run, holder) in &releases {
            self.gate.give_back(run, holder);
        }
        // A write that takes in runs from elsewhere may raise limits: it carries no grants.
        let may_grant = self.is_admitting() && !self.rebuilding && self.unnamed.is_empty();
        let grants = if may_grant {
            self.decide()
        } else {
            self.settle_reasons();
            BTreeMap::new()
        };
        if releases.is_empty() && grants.is_empty() && !self.ledger_dirty {
            return;
        }
        self.ledger_dirty = false;
        let mut content = self.compose(&releases, &grants);
        let same = releases.is_empty() && grants.is_empty() && content == *self.acknowledged;
        if same && self.version.is_some() && !self.unsettled && !self.tidying {
            return;
        }
        content.sequence = self.next_sequence(&content);
        self.settle_bills(&mut content, &releases);
        let (base, content) = (self.version.clone(), Arc::new(content));
        self.out.push(Command::WriteLedger { base, ledger: content.clone() });
        self.flight = Some(Flight { content, grants, releases });
    }

    /// Runs that were taken in and have ended before any write named them: there is nothing to release. Those that are to be billed
    /// go with a write all the same.
    fn forget_unnamed(&mut self) {
        let is_billed = |run: &RunId| self.runs.get(run).is_some_and(|it| it.bill().is_some());
        let gone = self.unnamed.intersection(&self.ended).filter(|run| !is_billed(run));
        let gone: Vec<RunId> = gone.cloned().collect();
        for run in gone {
            if let Some(record) = self.runs.get(&run) {
                self.gate.give_back(&run, &record.holder);
            }
            self.forget_run(&run);
        }
    }

    /// Starts what can start, then judges who has come, until nobody is refused any more. What is left is dealt out to those who
    /// start; with that a reservation may be another one, and let more start.
    fn decide(&mut self) -> BTreeMap<RunId, Arc<Holder>> {
        let (mut grants, mut started) = (BTreeMap::new(), Vec::new());
        loop {
            let nothing_else_can = self.grant(&mut grants, &mut started);
            self.settle_reasons();
            // Who could start but for those who gather is not refused for their sake: it is judged in a moment.
            let may_judge = nothing_else_can && self.gathering.is_empty();
            if may_judge && !self.comers.is_empty() && self.judge() {
                continue;
            }
            self.deal(&mut grants, &started);
            if started.is_empty() || !nothing_else_can {
                self.is_decided = true;
                return grants;
            }
            started.clear();
        }
    }

    /// What is left is dealt out to all that start.
    fn deal(&mut self, grants: &mut BTreeMap<RunId, Arc<Holder>>, started: &[(RunId, Grant)]) {
        if started.is_empty() {
            return;
        }
        for (at, max_executors) in self.gate.deal(started) {
            let Some((run, _)) = started.get(at) else { continue };
            let Some(holder) = grants.get_mut(run).filter(|holder| holder.max_executors < max_executors) else {
                continue;
            };
            let larger = Arc::new(Holder { max_executors, ..(**holder).clone() });
            self.gate.enlarge(run, holder, &larger);
            *holder = larger;
        }
        self.settle_reasons();
    }

    /// Tells whether all has started that can.
    fn grant(&mut self, grants: &mut BTreeMap<RunId, Arc<Holder>>, started: &mut Vec<(RunId, Grant)>) -> bool {
        let most = if self.cautious { 1 } else { usize::MAX };
        while grants.len() < most {
            let Some(grant) = self.gate.next_start(self.now) else { return true };
            let Some((run, holder)) = self.accept(grant.clone()) else { return false };
            self.gate.take(&run, &holder);
            self.gate.join_line(&run);
            started.push((run.clone(), grant));
            grants.insert(run, Arc::new(holder));
        }
        false
    }

    fn accept(&mut self, grant: Grant) -> Option<(RunId, Holder)> {
        let number = grant.job;
        self.leave_queue(number);
        let now = self.now;
        let entry = self.jobs.get_mut(number)?;
        let last = entry.job.published_run().map_or(0, |(number, _)| number);
        let used_up = entry.used_up.max(entry.job.past_runs().iter().map(|run| run.number).max().unwrap_or(0));
        let run = RunId { job: entry.job.uid.clone(), number: last.max(used_up + 1) };
        entry.stage = Stage::Granted(run.number);
        entry.let_in = true;
        let holder = grant.holder(entry.job.key.clone(), entry.job.operation.clone(), now);
        self.enter_state(number, JobState::Starting);
        Some((run, holder))
    }

    /// The ledger as it should be. Limits stand beside holders; a key without holders is left out.
    fn compose(&mut self, releases: &BTreeMap<RunId, Arc<Holder>>, grants: &BTreeMap<RunId, Arc<Holder>>) -> Ledger {
        if std::mem::take(&mut self.compose_anew) || self.rebuilding || !self.unnamed.is_empty() {
            return self.composed_anew(releases, grants);
        }
        // What was acknowledged and what has changed since: most writes change one run or two of hundreds.
        let mut ledger = (*self.acknowledged).clone();
        releases.keys().for_each(|run| _ = ledger.holders.remove(run));
        let restated = self.restated.iter().filter(|run| !releases.contains_key(*run));
        let restated = restated.filter_map(|run| Some((run.clone(), self.runs.get(run)?.holder.clone())));
        ledger.holders.extend(restated);
        ledger.holders.extend(grants.iter().map(|(run, holder)| (run.clone(), holder.clone())));
        self.adjust_limits(&mut ledger, releases.values().chain(grants.values()));
        debug_assert_eq!(ledger, self.composed_anew(releases, grants), "a change of the ledger was missed");
        ledger
    }

    fn composed_anew(
        &mut self,
        releases: &BTreeMap<RunId, Arc<Holder>>,
        grants: &BTreeMap<RunId, Arc<Holder>>,
    ) -> Ledger {
        let live = self.runs.iter().filter(|(run, _)| !releases.contains_key(*run));
        let mut holders: BTreeMap<RunId, Arc<Holder>> =
            live.map(|(run, record)| (run.clone(), record.holder.clone())).collect();
        holders.extend(grants.iter().map(|(run, holder)| (run.clone(), holder.clone())));
        let mut ledger = Ledger { epoch: self.epoch, leader: self.identity.clone(), holders, ..Ledger::default() };
        ledger.sequence = self.acknowledged.sequence;
        ledger.bills = self.acknowledged.bills.clone();
        self.compose_limits(&mut ledger, grants);
        ledger
    }
}
