//! The writer's requests against the simulated API server: what each command does there, and what it is answered.

use std::collections::BTreeSet;
use std::sync::Arc;

use slowlane::command::{Command, Failure, Receipt};
use slowlane::model::{
    Account, ApplicationSeen, ApplicationState, Cluster, Footprint, Holder, Job, JobState, JobStatus, Ledger,
    LedgerVersion, ObjectKey, Operation, Placeholder, RunId, Span, Uid, child_name,
};

use crate::mutants::Mutant;
use crate::objects::App;
use crate::people::executors_of;
use crate::world::World;

/// How long an application that is being deleted may be submitted once more; below the engine's 60 s.
pub(crate) const SETTLES: Span = Span::seconds(50);

/// What a late request does when it lands at last.
#[derive(Debug, Clone)]
pub(crate) enum Late {
    Post(Box<App>),
    Other(Box<Command>),
}

impl World {
    /// Carries a command out and answers it.
    pub(crate) fn carry_out(&mut self, command: &Command, mutant: Mutant) -> Option<Receipt> {
        let receipt = self.answer(command, mutant);
        if let Some(receipt) = &receipt {
            self.auditor.saw(outcome_word(receipt));
        }
        receipt
    }

    fn answer(&mut self, command: &Command, mutant: Mutant) -> Option<Receipt> {
        Some(match command.clone() {
            Command::ReadLedger => Receipt::LedgerRead(Ok(self.read_ledger(mutant))),
            Command::WriteLedger { base, ledger } => {
                Receipt::LedgerWritten(self.write_ledger(base, Arc::unwrap_or_clone(ledger), mutant))
            }
            Command::CreateApplication { run, holder, placeholder } => {
                let built = self.build(&run, &holder, placeholder, mutant);
                let result = built.and_then(|app| self.post(app));
                Receipt::Created { run, result }
            }
            Command::ConfirmRun { run, key } => {
                let application = self.apps.get(&key).map(|app| Box::new(app.seen()));
                let pods = if mutant == Mutant::ConfirmsWithoutLooking { Vec::new() } else { self.pods_seen(&run) };
                Receipt::Confirmed { run, result: Ok((application, pods)) }
            }
            Command::DeleteApplication { run, key, uid } => {
                let foreground = mutant != Mutant::DeletesInTheBackground;
                Receipt::Deleted { run, result: self.delete_app(&key, Some(&uid), foreground) }
            }
            Command::DropTombstone { key, uid } => {
                let result = self.delete_app(&key, Some(&uid), false);
                if result.is_err() && self.auditor.exact {
                    self.auditor.violated(format!("I12: tombstone {key} is dropped twice"));
                }
                if result.is_ok() {
                    self.edit_app(&key, |app| app.held = false);
                }
                Receipt::TombstoneDropped { key, result }
            }
            Command::WriteJobStatus { key, uid, status } => {
                let result = match mutant {
                    Mutant::LosesEnds if status.state.is_terminal() && self.revision.is_multiple_of(7) => Ok(()),
                    _ => self.write_job_status(&key, &uid, *status, mutant),
                };
                Receipt::JobStatusWritten { uid, result }
            }
            Command::WriteOperationStatus { key, uid, status } => {
                let operation = self.operations.get(&key).filter(|it| it.uid == uid).cloned();
                let result = operation.ok_or(Failure::Gone).and_then(|operation| {
                    let account = stored(operation.account, status.account, mutant)?;
                    self.store_operation(Operation { account, published: Some(*status), ..operation });
                    Ok(())
                });
                Receipt::OperationStatusWritten { key, result }
            }
            Command::WriteClusterStatus { name, uid, status } => {
                let cluster = self.clusters.get(&name).filter(|it| it.uid == uid).cloned();
                let result = cluster.ok_or(Failure::Gone).and_then(|cluster| {
                    let account = stored(cluster.account, status.account, mutant)?;
                    let warmth = status.warmth;
                    self.auditor.cluster_told(&cluster, &status);
                    self.store_cluster(Cluster { account, warmth, published: Some(*status), ..cluster });
                    Ok(())
                });
                Receipt::ClusterStatusWritten { name, result }
            }
            Command::WritePool { cluster, warm, .. } => {
                let is_there = self.clusters.contains_key(&cluster);
                let result = if is_there || warm.is_none() { Ok(()) } else { Err(Failure::Gone) };
                if result.is_ok() {
                    self.set_placeholders(&cluster, warm);
                }
                Receipt::PoolWritten { cluster, result }
            }
            Command::Announce(_)
            | Command::AnnouncePool { .. }
            | Command::ReportStranger { .. }
            | Command::CountUsage { .. }
            | Command::StartWatches
            | Command::StepDown => return None,
        })
    }

    pub(crate) fn land(&mut self, late: Late, mutant: Mutant) {
        self.auditor.is_late = true;
        match late {
            Late::Post(app) => _ = self.post(*app),
            Late::Other(command) => _ = self.carry_out(&command, mutant),
        }
        self.auditor.is_late = false;
    }

    // ---- the ledger -------------------------------------------------------------------------------------------

    fn read_ledger(&mut self, mutant: Mutant) -> Option<(LedgerVersion, Box<Ledger>)> {
        if self.ledger.is_none() && mutant == Mutant::TakesAMissingLedgerForAnEmptyOne {
            self.put_ledger(Ledger::default());
        }
        self.ledger.clone().map(|(version, content)| (version, Box::new(content)))
    }

    fn write_ledger(
        &mut self,
        base: Option<LedgerVersion>,
        mut content: Ledger,
        mutant: Mutant,
    ) -> Result<LedgerVersion, Failure> {
        if mutant == Mutant::ForgetsLocks {
            content.holders.values_mut().for_each(|holder| Arc::make_mut(holder).locks = [].into());
        }
        if mutant == Mutant::ForgetsBills {
            content.bills.clear();
        }
        let current = self.ledger.as_ref().map(|(version, _)| version.clone());
        if mutant != Mutant::IgnoresTheLedgersVersion {
            match (&base, &current) {
                (None, Some(_)) => return Err(Failure::Conflict("it is there already".into())),
                (Some(_), None) => return Err(Failure::Gone),
                (Some(base), Some(current)) if base != current => {
                    return Err(Failure::Conflict("it was modified".into()));
                }
                _ => {}
            }
        }
        match self.refuses_ledger(&content) {
            Some(words) => Err(Failure::Denied(words.into())),
            None => Ok(self.put_ledger(content)),
        }
    }

    // ---- applications -----------------------------------------------------------------------------------------

    /// Reads the job's latest truth and builds what was granted, as the writer does.
    pub(crate) fn build(
        &mut self,
        run: &RunId,
        holder: &Holder,
        placeholder: Option<Placeholder>,
        mutant: Mutant,
    ) -> Result<App, Failure> {
        let job = self.jobs.get(&holder.job).filter(|object| object.job.uid == run.job);
        if job.is_some_and(|object| object.garbled) && placeholder.is_none() {
            return Err(Failure::Denied("the job cannot be read".into()));
        }
        let is_wanted = job.is_some_and(|object| !object.job.cancel && !object.is_over());
        let owner = job.map(|it| it.job.uid.clone());
        if placeholder.is_none() {
            let Some(object) = job.filter(|_| is_wanted) else { return Err(Failure::Gone) };
            if self.footprint_of(&object.job, holder)? != holder.footprint {
                return Err(Failure::GrantOutdated);
            }
        }
        let mut name = child_name(&holder.job.name, &run.job, run.number);
        if mutant == Mutant::CreatesUnderNewNames {
            name = format!("{name}-{}", self.revision);
        }
        Ok(App {
            key: ObjectKey::new(holder.job.namespace.clone(), name),
            uid: self.new_uid("app"),
            run: run.clone(),
            job: holder.job.name.clone(),
            operation: holder.operation.clone(),
            cluster: holder.cluster.clone(),
            footprint: holder.footprint,
            executors: holder.max_executors,
            locks: if mutant == Mutant::ForgetsLocks { [].into() } else { holder.locks.clone() },
            owner,
            created: self.now,
            placeholder,
            deleting: None,
            foreground: false,
            held: mutant != Mutant::CreatesWithoutFinalizer,
            state: ApplicationState::New,
            driver_pod: None,
            message: None,
            terminated: None,
            in_hand: false,
            foreign: false,
            disturbed: false,
            settles_by: None,
        })
    }

    fn footprint_of(&self, job: &Job, holder: &Holder) -> Result<Footprint, Failure> {
        let key = ObjectKey { namespace: holder.job.namespace.clone(), name: holder.operation.clone() };
        let denied = || Failure::Denied("it cannot be built".into());
        let (Some(operation), Some(cluster)) = (self.operations.get(&key), self.clusters.get(&holder.cluster)) else {
            return Err(denied());
        };
        let executors = executors_of(job, operation);
        if cluster.bounds(&executors).is_none() {
            return Err(Failure::GrantOutdated);
        }
        let whole = cluster.outline(&executors, operation.outline);
        if whole.problem().is_none() { Ok(whole.footprint()) } else { Err(denied()) }
    }

    fn post(&mut self, mut app: App) -> Result<Box<ApplicationSeen>, Failure> {
        if !self.operator_installed {
            return Err(Failure::KindMissing);
        }
        let Some(namespace) = self.namespaces.get(&app.key.namespace) else { return Err(Failure::Gone) };
        // Admission looks at the namespace's life and its quota before the store looks at the name.
        if namespace.terminating {
            return Err(Failure::NamespaceTerminating);
        }
        if self.quota.contains(&app.key.namespace) {
            return Err(Failure::Denied("exceeded quota".into()));
        }
        if let Some(there) = self.apps.get(&app.key) {
            return Ok(Box::new(there.seen()));
        }
        app.created = self.now;
        self.put_app(app.clone());
        Ok(Box::new(app.seen()))
    }

    /// A deletion by whomever. In the foreground its pods go before it, also when it is being deleted already.
    pub(crate) fn delete_app(&mut self, key: &ObjectKey, uid: Option<&Uid>, foreground: bool) -> Result<(), Failure> {
        let Some(app) = self.apps.get(key) else { return Err(Failure::Gone) };
        if uid.is_some_and(|uid| app.uid != *uid) {
            return Err(Failure::Gone);
        }
        let now = self.now;
        self.edit_app(key, |app| {
            if app.in_hand {
                app.disturbed = true;
                app.settles_by.get_or_insert(now + SETTLES);
            }
            app.deleting.get_or_insert(now);
            app.foreground |= foreground;
        });
        Ok(())
    }

    // ---- statuses ---------------------------------------------------------------------------------------------

    fn write_job_status(
        &mut self,
        key: &ObjectKey,
        uid: &Uid,
        status: JobStatus,
        mutant: Mutant,
    ) -> Result<(), Failure> {
        let Some(object) = self.jobs.get(key) else { return Err(Failure::Gone) };
        if object.job.uid != *uid && mutant != Mutant::WritesStatusesByName {
            return Err(if self.revision.is_multiple_of(2) {
                Failure::Gone
            } else {
                Failure::Conflict("another UID".into())
            });
        }
        if let Some(words) = Self::refuses_status(object.status.as_ref(), &status) {
            if status.state == JobState::Refused && !object.is_over() {
                self.auditor.refuses_accepted(key);
            }
            return Err(Failure::Denied(words.into()));
        }
        if self.auditor.exact && object.status.as_ref() == Some(&status) {
            let key = key.clone();
            self.auditor.status_repeated(&key, &status);
        }
        let object = object.clone();
        let live: BTreeSet<RunId> =
            self.pods.values().filter(|pod| pod.phase.is_live() && !pod.foreign).map(|pod| pod.run.clone()).collect();
        self.auditor.status_written(&object, &status, &live);
        let over = status.state.is_terminal();
        self.edit_job(key, |object| object.status = Some(status));
        if over && mutant == Mutant::RemovesTombstones {
            let mine: Vec<ObjectKey> =
                self.apps.values().filter(|app| app.run.job == *uid).map(|app| app.key.clone()).collect();
            for key in mine {
                let _ = self.delete_app(&key, None, false);
                self.edit_app(&key, |app| (app.held, app.foreground) = (false, false));
            }
        }
        Ok(())
    }
}

/// What becomes of an account: the definition lets none go back.
fn stored(known: Account, new: Account, mutant: Mutant) -> Result<Account, Failure> {
    if new.through < known.through && mutant != Mutant::LetsAccountsGoBack {
        return Err(Failure::Denied("status.usage.through never goes down".into()));
    }
    let hides = mutant == Mutant::HidesWhatIsBooked && new.through > known.through;
    Ok(if hides { Account { through: known.through, ..new } } else { new })
}

/// What was answered, in a word.
fn outcome_word(receipt: &Receipt) -> String {
    fn word<T>(what: &str, result: &Result<T, Failure>) -> String {
        let failure = match result {
            Ok(_) => "",
            Err(Failure::Unknown(_)) => "unknown",
            Err(Failure::NotSent(_)) => "not sent",
            Err(Failure::Conflict(_)) => "conflict",
            Err(Failure::Gone) => "gone",
            Err(Failure::KindMissing) => "kind missing",
            Err(Failure::NamespaceTerminating) => "terminating",
            Err(Failure::Denied(_)) => "denied",
            Err(Failure::GrantOutdated) => "outdated",
        };
        format!("{what} {failure}")
    }
    match receipt {
        Receipt::LedgerRead(result) => word("ledger read", result),
        Receipt::LedgerWritten(result) => word("ledger written", result),
        Receipt::Created { result, .. } => word("created", result),
        Receipt::Confirmed { result, .. } => word("confirmed", result),
        Receipt::Deleted { result, .. } => word("deleted", result),
        Receipt::TombstoneDropped { result, .. } => word("tombstone dropped", result),
        Receipt::JobStatusWritten { result, .. } => word("job told", result),
        Receipt::OperationStatusWritten { result, .. } => word("operation told", result),
        Receipt::ClusterStatusWritten { result, .. } => word("cluster told", result),
        Receipt::PoolWritten { result, .. } => word("pool written", result),
    }
}
