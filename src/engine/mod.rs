//! Joins admission, lifecycle and the index into one synchronous, total function: `step(input, now) -> commands`.
//!
//! No clock, no I/O, no error: what can go wrong comes back as an input. `ledger` keeps the protocol's phases and `limits` writes
//! what is declared beside the holders, `watched` takes in what the watches show, `jobs` puts jobs where they belong and
//! `sightings` applications and pods with their runs, `runs` brings each run to its end by what `intent` says is wanted of it,
//! `publish` says when statuses are written, `wording` what stands in a job's, and `declared` what stands in those of operations
//! and clusters; `bills` books what runs took, `pools` says how large clusters' pools are, `comers` refuses jobs, `strangers` counts what nobody declared, and `figures` is what metrics are told.

mod bills;
mod comers;
mod declared;
mod figures;
mod intent;
mod jobs;
mod ledger;
mod limits;
mod pools;
mod publish;
mod runs;
mod sightings;
mod strangers;
mod watched;
mod wording;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hashbrown::HashMap;

pub use bills::MOST_BILLS;
pub use figures::Figures;

use crate::admission::{Gate, JobNumber, QueueNumber, Rank};
use crate::command::{Command, Input, Receipt};
use crate::index::{ByRun, Expectations, History, Jobs, Relists, Sightings, Strangers, Tombstones, Turn, Wakes};
use crate::lifecycle::Run;
use crate::model::{
    Allowance, BillKey, ClusterStatus, Holder, Ledger, LedgerVersion, Name, ObjectKey, OperationStatus, RunId,
    Settings, Time, Uid,
};

/// What wants to be looked at again at some time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Wake {
    Ledger,
    Quarantine,
    Place(JobNumber),
    Job(JobNumber),
    /// Its application was left alone long enough to tell. Not `Job`: an earlier one of those would stand for it, and that of a
    /// job which had its number before.
    Silence(RunId),
    Run(RunId),
    Tombstone(RunId),
    Operation(ObjectKey),
    Details(ObjectKey),
    Words(JobNumber),
    Clusters,
    End(JobNumber),
    Queue(QueueNumber),
    /// A pool may shrink, or its placeholders are to be written again.
    Pool(Name),
    /// A window opens or closes.
    Edge,
    /// Bills in the ledger stand in all accounts.
    Bills,
    /// Somebody has waited for the bound, or the spark-operator has left an application alone for long.
    Decide,
    /// The next of those who wait to be told another thing than before may be.
    Retell,
    /// Jobs that came at about the same time are decided on together.
    Gathered,
}

/// Where the protocol stands; see `docs/decisions/0001-engine-and-protocol.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Standby,
    /// The ledger is being read.
    Reading,
    /// It will be read after a pause.
    Paused,
    /// Our epoch is being written into it.
    Fencing,
    /// We know what it says.
    Open,
}

/// Why a job's status is being written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WriteKind {
    /// To keep people informed.
    Informational,
    /// An outcome that would be lost with the pods.
    Record,
    /// The end.
    End,
}

/// Grants and releases of the ledger write that is on its way.
#[derive(Debug, Default)]
struct Flight {
    content: Arc<Ledger>,
    grants: BTreeMap<RunId, Arc<Holder>>,
    releases: BTreeMap<RunId, Arc<Holder>>,
}

/// What was seen of the spark-operator's work in a namespace.
#[derive(Debug, Clone, Copy, Default)]
struct Touch {
    /// When it last took up an application.
    at: Time,
    /// When the newest of those that it took up came to be seen.
    newest: Time,
}

/// The status of an operation or a cluster, and what was last said.
#[derive(Debug)]
struct Publication<T> {
    said: Option<T>,
    writing: bool,
    again: bool,
    book: bills::Book,
}

impl<T> Default for Publication<T> {
    fn default() -> Self {
        Self { said: None, writing: false, again: false, book: bills::Book::default() }
    }
}

/// The whole decision-making state of the keeper.
#[derive(Debug)]
pub struct Engine {
    settings: Settings,
    phase: Phase,
    identity: Box<str>,
    first_leader: bool,
    led_since: Time,
    epoch: i64,
    /// The ledger carried our epoch once: from then on a higher one means that somebody else leads.
    fenced: bool,
    /// Version of the ledger that we know; `None` = there is none.
    version: Option<LedgerVersion>,
    /// What the ledger says about limits, to see when they have to be written anew.
    acknowledged: Arc<Ledger>,
    ledger_dirty: bool,
    /// More than runs may have changed since the ledger was acknowledged: the next is composed from nothing.
    compose_anew: bool,
    /// Runs of which the ledger is to say something else than was acknowledged.
    restated: BTreeSet<RunId>,
    /// Bills in the ledger that stand in their accounts.
    booked: BTreeSet<BillKey>,
    /// They are to be taken out of it, whatever else is to be written.
    tidying: bool,
    /// The ledger was missing or restored: it is to be written from what is known.
    rebuilding: bool,
    /// Nothing is admitted before this.
    quarantined_until: Option<Time>,
    flight: Option<Flight>,
    /// A write of which nobody knows the outcome did not show in a read: it may land late, until another one is made.
    unsettled: bool,
    /// The API server refused a write: grants go out one by one until one is accepted.
    cautious: bool,
    /// Jobs that are there but cannot be read: their runs go on.
    unreadable_jobs: BTreeSet<ObjectKey>,
    watching: bool,
    synced: bool,
    relists: Relists,
    jobs: Jobs,
    gate: Gate,
    /// Jobs that have come to operations that may refuse them, and are yet to be judged.
    comers: BTreeSet<Rank>,
    runs: ByRun<Box<Run>>,
    /// Runs that were taken in and that no acknowledged ledger names yet.
    unnamed: BTreeSet<RunId>,
    /// Runs whose create was refused, as far as is known.
    refused: BTreeSet<RunId>,
    /// Runs whose end stands: their slots go with the next ledger write.
    ended: BTreeSet<RunId>,
    sightings: Sightings,
    strangers: Strangers,
    /// When the spark-operator was last seen to touch an application, by namespace.
    touched: BTreeMap<Name, Touch>,
    /// Closed children by the time at which they became tombstones.
    tombstones: Tombstones,
    dropping: BTreeSet<RunId>,
    dirty_runs: BTreeSet<RunId>,
    wakes: Wakes<Wake>,
    operations: BTreeMap<ObjectKey, Publication<OperationStatus>>,
    /// How long the runs of operations took.
    history: BTreeMap<ObjectKey, History>,
    expectations: Expectations,
    clusters: BTreeMap<Name, Publication<ClusterStatus>>,
    meters: BTreeMap<Name, bills::Meter>,
    pools: BTreeMap<Name, pools::PoolEntry>,
    /// Pools whose load, rules or placeholders may have changed.
    dirty_pools: BTreeSet<Name>,
    /// Job status writes on their way, by the job's UID.
    writing: BTreeMap<Uid, WriteKind>,
    informational: usize,
    backlog: BTreeSet<(Turn, JobNumber)>,
    /// How often waiting jobs are told another thing than before.
    retelling: Allowance,
    /// Jobs that were told their place among the first of their operation.
    positions: HashMap<ObjectKey, BTreeSet<JobNumber>>,
    /// Jobs that have just come and may take much: in a moment they are decided on together with those who come after them.
    gathering: BTreeSet<JobNumber>,
    /// It was decided since jobs gathered last.
    is_decided: bool,
    out: Vec<Command>,
    now: Time,
}

impl Engine {
    /// An engine that leads nothing yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            gate: Gate::new(&settings),
            settings,
            phase: Phase::Standby,
            identity: "".into(),
            first_leader: false,
            led_since: Time::default(),
            unreadable_jobs: BTreeSet::new(),
            cautious: false,
            unsettled: false,
            epoch: 0,
            fenced: false,
            version: None,
            acknowledged: Arc::default(),
            ledger_dirty: false,
            compose_anew: true,
            restated: BTreeSet::new(),
            booked: BTreeSet::new(),
            tidying: false,
            rebuilding: false,
            quarantined_until: None,
            flight: None,
            watching: false,
            synced: false,
            relists: Relists::default(),
            jobs: Jobs::default(),
            comers: BTreeSet::new(),
            runs: ByRun::default(),
            refused: BTreeSet::new(),
            ended: BTreeSet::new(),
            unnamed: BTreeSet::new(),
            sightings: Sightings::default(),
            strangers: Strangers::default(),
            touched: BTreeMap::new(),
            tombstones: Tombstones::default(),
            dropping: BTreeSet::new(),
            dirty_runs: BTreeSet::new(),
            wakes: Wakes::default(),
            operations: BTreeMap::new(),
            history: BTreeMap::new(),
            expectations: Expectations::default(),
            clusters: BTreeMap::new(),
            meters: BTreeMap::new(),
            pools: BTreeMap::new(),
            dirty_pools: BTreeSet::new(),
            writing: BTreeMap::new(),
            informational: 0,
            backlog: BTreeSet::new(),
            retelling: Allowance::default(),
            positions: HashMap::new(),
            gathering: BTreeSet::new(),
            is_decided: true,
            out: Vec::new(),
            now: Time::default(),
        }
    }

    /// Takes in one thing and says what to do. Time never goes back: an earlier `now` counts as the latest seen.
    pub fn step(&mut self, input: Input, now: Time) -> Vec<Command> {
        self.now = self.now.max(now);
        self.gate.pass_time(self.now);
        match input {
            Input::Leading { identity, first } => self.lead(identity, first),
            Input::RelistStarted(kind) => self.relists.start(kind),
            Input::Watched(change) => self.watched(change),
            Input::RelistDone(kind) => self.relist_done(kind),
            Input::SparkOperator(available) => self.operator_available(available),
            Input::Written(receipt) => self.written(receipt),
            Input::Settings(settings) => self.set_settings(*settings),
            Input::Tick => {}
        }
        let clusters_are_due = self.wake_due();
        self.work();
        // Their statuses say what came of it: of a generation, for one, whose bounds a pool keeps to by now.
        if clusters_are_due {
            self.publish_clusters();
        }
        std::mem::take(&mut self.out)
    }

    /// The new ones hold from now on; times that were set before may still come, and are judged anew then.
    fn set_settings(&mut self, settings: Settings) {
        let is_ranked_anew = self.settings.aging != settings.aging;
        let has_other_locks = self.settings.locks != settings.locks;
        let counts_others = self.settings.counts_undeclared != settings.counts_undeclared;
        let tells_sooner = self.settings.detail_interval > settings.detail_interval;
        self.gate.set_settings(&settings);
        self.settings = settings;
        if has_other_locks {
            self.limits_changed();
        }
        if counts_others {
            self.count_strangers_anew();
        }
        if is_ranked_anew && self.synced {
            self.jobs.numbers().into_iter().for_each(|number| self.place(number));
        }
        if tells_sooner {
            self.tell_queues();
        }
        self.tell_details(self.gate.declared_operations(), self.settings.status_delay);
        self.dirty_runs.extend(self.runs.keys().cloned());
        self.time_tombstones();
        self.cap_tombstones();
    }

    /// When to send [`Input::Tick`] at the latest.
    #[must_use]
    pub fn next_wake(&self) -> Option<Time> {
        self.wakes.next()
    }

    /// Whether every kind was listed once since this process leads.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.synced
    }

    /// Looks after dirty runs, then decides; until neither has anything left to do.
    fn work(&mut self) {
        if !self.synced {
            return;
        }
        loop {
            while let Some(run) = self.dirty_runs.pop_first() {
                self.look_after(&run);
            }
            self.cycle();
            if self.dirty_runs.is_empty() {
                break;
            }
        }
        self.look_at_pools();
        self.publish_backlog();
    }

    /// Tells whether statuses of clusters are due.
    fn wake_due(&mut self) -> bool {
        let mut clusters_are_due = false;
        while let Some(wake) = self.wakes.pop_due(self.now) {
            match wake {
                Wake::Ledger => self.ledger_woken(),
                Wake::Quarantine => self.quarantine_over(),
                Wake::Place(number) => self.place(number),
                Wake::Job(number) => self.publish_job(number),
                Wake::Silence(run) => {
                    if let Some(number) = self.jobs.by_uid(&run.job) {
                        self.publish_job(number);
                    }
                }
                Wake::Run(run) => _ = self.dirty_runs.insert(run),
                Wake::Tombstone(run) => self.tombstone_due(&run),
                Wake::Operation(key) => self.publish_operation(&key),
                Wake::Details(key) => self.publish_details(&key),
                Wake::Words(number) => self.publish_words(number),
                Wake::Clusters => clusters_are_due = true,
                Wake::End(number) => self.write_end(number),
                Wake::Queue(number) => self.publish_queue(number),
                Wake::Pool(name) => _ = self.dirty_pools.insert(name),
                Wake::Edge => self.windows_changed(),
                Wake::Bills => self.tidy_bills(),
                // What is kept, and for whom, and who is not waited for any more is settled with the decision that follows.
                Wake::Decide | Wake::Retell => {}
                Wake::Gathered => self.gathered(),
            }
        }
        clusters_are_due
    }

    fn written(&mut self, receipt: Receipt) {
        match receipt {
            Receipt::LedgerRead(result) => self.ledger_read(result),
            Receipt::LedgerWritten(result) => self.ledger_written(result),
            Receipt::Created { run, result } => self.created(&run, result),
            Receipt::Confirmed { run, result } => self.confirmed(&run, result),
            Receipt::Deleted { run, result } => self.deleted(&run, &result),
            Receipt::TombstoneDropped { key, result } => self.tombstone_dropped(&key, &result),
            Receipt::JobStatusWritten { uid, result } => self.job_status_written(&uid, &result),
            Receipt::OperationStatusWritten { key, result } => self.operation_status_written(&key, &result),
            Receipt::ClusterStatusWritten { name, result } => self.cluster_status_written(&name, &result),
            Receipt::PoolWritten { cluster, result } => self.pool_written(&cluster, &result),
        }
    }
}
