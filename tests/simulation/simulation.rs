//! One case: a world, the keepers, and the things that are drawn to happen.

use slowlane::command::{Change, Command, Failure, Input, Kind, Receipt};
use slowlane::model::{Settings, Span, Time};

use crate::ambush::Ambush;
use crate::keeper::Keeper;
use crate::mutants::Mutant;
use crate::people::{LOCK, NAMESPACES, PERMITS};
use crate::profile::Profile;
use crate::requests::Late;
use crate::rng::Rng;
use crate::world::{Event, World};

/// A request lands at most so late. With [`OVERLAP`] below the quarantine of 60 s.
pub(crate) const LATEST: i64 = 35_000;
/// A leader that was dethroned acts on for at most so long.
const OVERLAP: Span = Span::seconds(20);
/// After the ledger was lost nobody takes over beside a living leader for so long.
const LOSS: Span = Span::seconds(150);

pub(crate) struct Simulation {
    pub(crate) rng: Rng,
    pub(crate) world: World,
    pub(crate) keepers: Vec<Keeper>,
    pub(crate) late: Vec<(Time, Late)>,
    pub(crate) profile: Profile,
    pub(crate) mutant: Mutant,
    pub(crate) settings: Settings,
    pub(crate) keepers_so_far: u32,
    pub(crate) lost_at: Option<Time>,
    /// The version of an older copy that was put back.
    pub(crate) restored: Option<slowlane::model::LedgerVersion>,
    pub(crate) older_ledgers: Vec<slowlane::model::Ledger>,
    /// Something bad that waits for its moment.
    pub(crate) ambush: Option<Ambush>,
    pub(crate) keeps_prints: bool,
    /// Fingerprints of keepers that are dead.
    pub(crate) prints: Vec<u64>,
    pub(crate) trace: Option<Vec<String>>,
    cache: Cache,
}

/// A cache of applications that is behind, for [`Mutant::ListsFromACache`]: what it lists, and what happened since.
#[derive(Debug, Default)]
struct Cache {
    listed: Vec<Change>,
    since: Vec<Event>,
}

/// So many changes a cache may be behind.
const BEHIND: usize = 15;
/// So long it takes to catch up.
const CATCHES_UP: Span = Span::seconds(5);

/// What the network and the API server do to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    NotSent,
    /// The API server gives up after a race between writers.
    Conflict,
    Dropped,
    LostAnswer,
    Late,
    /// It arrives, and once more later.
    Twice,
}

impl Simulation {
    pub(crate) fn new(seed: u64, mutant: Mutant, keeps_prints: bool, traced: bool) -> Self {
        let mut rng = Rng::new(seed);
        let profile = Profile::draw(seed, &mut rng);
        let settings = Settings {
            max_tombstones: if rng.chance(200) { 2 } else { 1000 },
            max_live_runs: if rng.chance(100) { 2 } else { 1000 },
            locks: [(LOCK.into(), PERMITS)].into(),
            ..Settings::default()
        };
        let mut world = World {
            now: Time(1_700_000_000_000),
            operator_up: true,
            operator_installed: !rng.chance(40),
            unwatched: rng.chance(40).then(|| NAMESPACES[0].into()),
            ..World::default()
        };
        world.auditor.exact = profile.exact;
        world.auditor.paced = true;
        world.auditor.start_timeout = Some(settings.start_timeout);
        world.auditor.overlapping = profile.overlaps > 0;
        Self {
            rng,
            world,
            keepers: Vec::new(),
            late: Vec::new(),
            profile,
            mutant,
            settings,
            keepers_so_far: 0,
            lost_at: None,
            restored: None,
            older_ledgers: Vec::new(),
            ambush: None,
            keeps_prints,
            prints: Vec::new(),
            trace: traced.then(Vec::new),
            cache: Cache::default(),
        }
    }

    pub(crate) fn note(&mut self, words: impl FnOnce() -> String) {
        let now = self.world.now.0 % 100_000_000;
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:>9.1}s {}", now as f64 / 1000.0, words()));
        }
    }

    /// Runs the whole case.
    pub(crate) fn run(&mut self) -> Result<(), String> {
        self.found();
        for _ in 0..self.profile.steps {
            self.act();
            self.verdict()?;
            if self.is_quiet() {
                self.check_queues()?;
            }
        }
        self.settle()
    }

    /// Nothing is on its way to or from the only keeper, and nothing is due.
    fn is_quiet(&self) -> bool {
        let [keeper] = &self.keepers[..] else { return false };
        let is_idle = keeper.commands.is_empty() && keeper.receipts.is_empty() && self.world.events.is_empty();
        let nothing_due = keeper.engine.next_wake().is_none_or(|wake| wake > self.world.now);
        is_idle && nothing_due && keeper.news(self.world.now).next().is_none()
    }

    pub(crate) fn verdict(&self) -> Result<(), String> {
        self.world.auditor.violation().map_or(Ok(()), |words| Err(words.clone()))
    }

    // ---- time -------------------------------------------------------------------------------------------------

    /// Time passes; what is due on the way happens.
    pub(crate) fn pass(&mut self, span: Span) {
        let until = self.world.now + span;
        while let Some(next) = self.late.iter().map(|(due, _)| *due).min().filter(|due| *due <= until) {
            self.world.now = self.world.now.max(next);
            self.end_reigns();
            let Some(at) = self.late.iter().position(|(due, _)| *due == next) else { break };
            let (_, late) = self.late.swap_remove(at);
            self.note(|| format!("lands late: {}", short(&format!("{late:?}"))));
            self.world.land(late, self.mutant);
            self.spread();
        }
        self.world.now = until;
        self.end_reigns();
    }

    fn end_reigns(&mut self) {
        let now = self.world.now;
        for number in (0..self.keepers.len()).rev() {
            if self.keepers[number].dethroned.is_some_and(|since| now >= since + OVERLAP) {
                self.kill(number);
            }
        }
    }

    /// The watches hear what changed.
    pub(crate) fn spread(&mut self) {
        for event in std::mem::take(&mut self.world.events) {
            if let Some(trace) = &mut self.trace {
                trace.push(format!("{:>12} {}", event.0, short(&format!("{:?}", event.2))));
            }
            for keeper in &mut self.keepers {
                keeper.hear(&event, Time(0), self.mutant);
            }
            if self.mutant == Mutant::ListsFromACache && event.1 == Kind::Application {
                self.cache.since.push(event);
            }
        }
        if self.cache.since.len() > BEHIND {
            self.cache = Cache { listed: self.world.list(Kind::Application), since: Vec::new() };
        }
        if let Some((_, ledger)) = &self.world.ledger
            && self.older_ledgers.last() != Some(ledger)
        {
            self.older_ledgers.push(ledger.clone());
        }
    }

    // ---- keepers ----------------------------------------------------------------------------------------------

    /// A keeper comes to lead.
    pub(crate) fn enthrone(&mut self) {
        self.keepers_so_far += 1;
        let identity = format!("keeper-{}", self.keepers_so_far);
        let first = self.keepers_so_far == 1;
        self.world.auditor.succeeded = !first;
        self.note(|| format!("{identity} leads"));
        let mut keeper = Keeper::new(identity.clone(), self.settings.clone(), self.keeps_prints);
        keeper.step(Input::Leading { identity: identity.into(), first }, &mut self.world);
        self.keepers.push(keeper);
    }

    /// Another keeper takes over; this one acts on for a while, unless the ledger was lost just now.
    pub(crate) fn overlap(&mut self) {
        let now = self.world.now;
        self.keepers.iter_mut().for_each(|keeper| _ = keeper.dethroned.get_or_insert(now));
        if self.lost_at.is_some_and(|lost| now < lost + LOSS) {
            (0..self.keepers.len()).rev().for_each(|number| self.kill(number));
        }
        self.enthrone();
    }

    /// A keeper dies. Its requests on their way may still land.
    pub(crate) fn kill(&mut self, number: usize) {
        let mut keeper = self.keepers.swap_remove(number);
        self.note(|| format!("{} dies", keeper.identity));
        let settles = self.lost_at.is_some_and(|lost| self.world.now < lost + LOSS);
        for command in std::mem::take(&mut keeper.commands) {
            match self.rng.below(3) {
                0 => {}
                1 => _ = self.world.carry_out(&command, self.mutant),
                _ if settles => {}
                _ => self.send_late(&command),
            }
        }
        self.prints.append(&mut keeper.prints);
        self.spread();
    }

    /// The next answer or the next thing that a watch has seen.
    pub(crate) fn deliver(&mut self, number: usize) -> bool {
        let keeper = &mut self.keepers[number];
        let mut sources: Vec<Option<Kind>> = Vec::new();
        sources.extend((!keeper.receipts.is_empty()).then_some(None));
        sources.extend(keeper.news(self.world.now).map(Some));
        let Some(source) = self.rng.pick(&sources).copied() else { return false };
        let (world, keeper) = (&mut self.world, &mut self.keepers[number]);
        match source {
            None => {
                let receipt = keeper.receipts.swap_remove(self.rng.below(keeper.receipts.len()));
                if let Some(trace) = &mut self.trace {
                    trace.push(format!("{:>12} {} told: {}", "", keeper.identity, short(&format!("{receipt:?}"))));
                }
                keeper.step(Input::Written(receipt), world);
            }
            Some(kind) if keeper.watches.get(&kind).is_some_and(|watch| watch.unlisted) => {
                let revision = world.revision;
                if kind == Kind::Application {
                    let installed = world.operator_installed;
                    keeper.step(Input::SparkOperator(installed), world);
                }
                if self.mutant == Mutant::ListsFromACache && kind == Kind::Application {
                    keeper.list(kind, self.cache.listed.clone(), 0);
                    let caught_up = world.now + CATCHES_UP;
                    self.cache.since.iter().for_each(|event| keeper.hear(event, caught_up, self.mutant));
                } else {
                    keeper.list(kind, world.list(kind), revision);
                }
                let identity = self.keepers[number].identity.clone();
                self.note(|| format!("{identity} lists {kind:?}"));
            }
            Some(kind) => {
                let told = keeper.deliver(kind, world);
                debug_assert!(told);
                let revision = self.keepers[number].watches.get(&kind).map_or(0, |watch| watch.told);
                let identity = self.keepers[number].identity.clone();
                self.note(|| format!("{identity} told: {kind:?} up to {revision}"));
            }
        }
        self.bury_the_dead();
        true
    }

    pub(crate) fn tick(&mut self, number: usize) {
        let (world, keeper) = (&mut self.world, &mut self.keepers[number]);
        keeper.step(Input::Tick, world);
        self.bury_the_dead();
    }

    fn bury_the_dead(&mut self) {
        while let Some(number) = self.keepers.iter().position(|keeper| keeper.dead) {
            self.kill(number);
        }
    }

    // ---- requests ---------------------------------------------------------------------------------------------

    /// One of a keeper's requests is sent.
    pub(crate) fn send(&mut self, number: usize) -> bool {
        let waiting = self.keepers[number].commands.len();
        if waiting == 0 {
            return false;
        }
        let command = self.keepers[number].commands.swap_remove(self.rng.below(waiting));
        let fault = self.fault(&command);
        let failed = |failure: Failure| failed(&command, failure);
        let receipt = match fault {
            Fault::None => {
                if self.mutant == Mutant::LetsAccountsGoBack && matches!(command, Command::WriteOperationStatus { .. })
                {
                    self.send_late(&command);
                }
                self.world.carry_out(&command, self.mutant)
            }
            Fault::NotSent => failed(Failure::NotSent("no connection".into())),
            Fault::Conflict => failed(Failure::Conflict("the object has been modified".into())),
            Fault::Dropped => failed(Failure::Unknown("no answer in time".into())),
            Fault::LostAnswer => {
                self.world.carry_out(&command, self.mutant);
                failed(Failure::Unknown("the answer was lost".into()))
            }
            Fault::Late => {
                self.send_late(&command);
                failed(Failure::Unknown("no answer in time".into()))
            }
            Fault::Twice => {
                self.send_late(&command);
                self.world.carry_out(&command, self.mutant)
            }
        };
        let receipt = receipt.map(|receipt| self.believed(receipt));
        let identity = self.keepers[number].identity.clone();
        self.note(|| {
            format!(
                "{identity} sends ({fault:?}): {} -> {}",
                short(&format!("{command:?}")),
                short(&format!("{receipt:?}"))
            )
        });
        self.keepers[number].receipts.extend(receipt);
        self.spread();
        true
    }

    pub(crate) fn send_late(&mut self, command: &Command) {
        let late = match command {
            Command::CreateApplication { run, holder, placeholder } => {
                // The job is read and the application built now; only the request itself is late.
                match self.world.build(run, holder, *placeholder, self.mutant) {
                    Ok(app) => Late::Post(Box::new(app)),
                    Err(_) => return,
                }
            }
            Command::ReadLedger | Command::ConfirmRun { .. } => return,
            other => Late::Other(Box::new(other.clone())),
        };
        let due = Time(self.world.now.0 + self.rng.between(500, LATEST));
        self.late.push((due, late));
    }

    /// What the shell makes of an answer.
    pub(crate) fn believed(&self, receipt: Receipt) -> Receipt {
        match receipt {
            Receipt::LedgerWritten(Err(Failure::Unknown(_))) if self.mutant == Mutant::TakesUnknownWritesForDone => {
                Receipt::LedgerWritten(Ok("unknown".into()))
            }
            other => other,
        }
    }

    fn fault(&mut self, command: &Command) -> Fault {
        if !self.rng.chance(self.profile.faults) {
            return Fault::None;
        }
        let is_read = matches!(command, Command::ReadLedger | Command::ConfirmRun { .. });
        let is_status = matches!(command, Command::WriteJobStatus { .. } | Command::DropTombstone { .. });
        match self.rng.below(6) {
            0 => Fault::NotSent,
            1 => Fault::Dropped,
            2 if is_status => Fault::Conflict,
            2 => Fault::NotSent,
            3 if !is_read => Fault::LostAnswer,
            4 if !is_read => Fault::Twice,
            _ if !is_read => Fault::Late,
            _ => Fault::Dropped,
        }
    }
}

/// The answer to a command that did not work.
fn failed(command: &Command, failure: Failure) -> Option<Receipt> {
    Some(match command.clone() {
        Command::ReadLedger => Receipt::LedgerRead(Err(failure)),
        Command::WriteLedger { .. } => Receipt::LedgerWritten(Err(failure)),
        Command::CreateApplication { run, .. } => Receipt::Created { run, result: Err(failure) },
        Command::ConfirmRun { run, .. } => Receipt::Confirmed { run, result: Err(failure) },
        Command::DeleteApplication { run, .. } => Receipt::Deleted { run, result: Err(failure) },
        Command::DropTombstone { key, .. } => Receipt::TombstoneDropped { key, result: Err(failure) },
        Command::WriteJobStatus { uid, .. } => Receipt::JobStatusWritten { uid, result: Err(failure) },
        Command::WriteOperationStatus { key, .. } => Receipt::OperationStatusWritten { key, result: Err(failure) },
        Command::WriteClusterStatus { name, .. } => Receipt::ClusterStatusWritten { name, result: Err(failure) },
        Command::WritePool { cluster, .. } => Receipt::PoolWritten { cluster, result: Err(failure) },
        Command::StartWatches
        | Command::Announce(_)
        | Command::AnnouncePool { .. }
        | Command::ReportStranger { .. }
        | Command::CountUsage { .. }
        | Command::StepDown => return None,
    })
}

pub(crate) fn short(words: &str) -> String {
    const MOST: usize = 1600;
    words.chars().take(MOST).collect()
}
