//! One keeper process: an engine, its watches, its requests on their way.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, VecDeque};
use std::hash::{Hash, Hasher};

use slowlane::command::{Announcement, Change, Command, Input, Kind, Receipt};
use slowlane::engine::Engine;
use slowlane::model::{RunId, Settings, Time};

use crate::auditor::Told;
use crate::mutants::Mutant;
use crate::world::{Event, World};

/// A watch of one kind.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// It has to list first.
    pub(crate) unlisted: bool,
    pub(crate) live: bool,
    /// What it has seen and not told yet.
    pub(crate) queue: VecDeque<News>,
    /// Nothing of it arrives before this.
    pub(crate) stalled_until: Time,
    /// The revision up to which the engine was told.
    pub(crate) told: u64,
}

/// What a watch has seen: when it can tell it, the revision, and what it is.
pub(crate) type News = (Time, u64, Input);

pub(crate) struct Keeper {
    pub(crate) identity: String,
    pub(crate) engine: Engine,
    pub(crate) watches: BTreeMap<Kind, Watch>,
    /// Not sent yet.
    pub(crate) commands: Vec<Command>,
    /// Answers that the engine was not told yet.
    pub(crate) receipts: Vec<Receipt>,
    /// Somebody else leads since then; this one acts on for a while.
    pub(crate) dethroned: Option<Time>,
    pub(crate) dead: bool,
    /// Fingerprints of everything it was told and it asked for.
    pub(crate) prints: Vec<u64>,
    pub(crate) keeps_prints: bool,
    /// What people hear.
    pub(crate) announced: Vec<Announcement>,
    /// How often it asked for the same thing at the same time.
    recent: (Time, BTreeMap<String, u32>),
}

/// So often may the same command be asked for at one instant.
const REPEATS: u32 = 12;

impl Keeper {
    pub(crate) fn new(identity: String, settings: Settings, keeps_prints: bool) -> Self {
        Self {
            identity,
            engine: Engine::new(settings),
            watches: BTreeMap::new(),
            commands: Vec::new(),
            receipts: Vec::new(),
            dethroned: None,
            dead: false,
            prints: Vec::new(),
            keeps_prints,
            announced: Vec::new(),
            recent: (Time(0), BTreeMap::new()),
        }
    }

    /// Tells the engine one thing and takes in what it asks for.
    pub(crate) fn step(&mut self, input: Input, world: &mut World) {
        let print = self.keeps_prints.then(|| format!("{input:?}"));
        let commands = self.engine.step(input, world.now);
        if let Some(input) = print {
            let mut hasher = DefaultHasher::new();
            (input, format!("{commands:?}"), self.engine.next_wake()).hash(&mut hasher);
            self.prints.push(hasher.finish());
        }
        for command in commands {
            self.take(command, world);
        }
    }

    fn take(&mut self, command: Command, world: &mut World) {
        self.watch_for_hot_loops(&command, world);
        match command {
            Command::StartWatches => {
                for kind in Kind::ALL {
                    self.watches.insert(kind, Watch { unlisted: true, ..Watch::default() });
                }
            }
            Command::StepDown => self.dead = true,
            Command::Announce(it) => self.announced.push(*it),
            Command::AnnouncePool { .. } | Command::ReportStranger { .. } | Command::CountUsage { .. } => {}
            other => {
                if let Command::WriteLedger { ledger, .. } = &other {
                    let told = |kind| self.watches.get(&kind).map_or(0, |watch| watch.told);
                    let told = Told {
                        operations: told(Kind::Operation),
                        clusters: told(Kind::Cluster),
                        jobs: told(Kind::Job),
                    };
                    let runs: Vec<RunId> = ledger.holders.keys().cloned().collect();
                    runs.iter().for_each(|run| world.auditor.grant_asked(run, told));
                }
                self.commands.push(other);
            }
        }
    }

    fn watch_for_hot_loops(&mut self, command: &Command, world: &mut World) {
        if self.recent.0 != world.now {
            self.recent = (world.now, BTreeMap::new());
        }
        let subject = match command {
            Command::CreateApplication { run, .. } => format!("create {run}"),
            Command::DeleteApplication { run, .. } => format!("delete {run}"),
            Command::DropTombstone { key, .. } => format!("drop {key}"),
            Command::ConfirmRun { run, .. } => format!("confirm {run}"),
            _ => return,
        };
        let times = self.recent.1.entry(subject).or_default();
        *times += 1;
        if *times > REPEATS {
            world.auditor.violated(format!("hot loop: {} asks {times} times at once: {command:?}", self.identity));
        }
    }

    /// A watch lists now.
    pub(crate) fn list(&mut self, kind: Kind, listed: Vec<Change>, revision: u64) {
        let Some(watch) = self.watches.get_mut(&kind).filter(|watch| watch.unlisted) else { return };
        (watch.unlisted, watch.live) = (false, true);
        watch.queue.clear();
        let now = Time(0);
        watch.queue.push_back((now, watch.told, Input::RelistStarted(kind)));
        watch.queue.extend(listed.into_iter().map(|change| (now, 0, Input::Watched(change))));
        watch.queue.push_back((now, revision, Input::RelistDone(kind)));
    }

    /// The world changed.
    pub(crate) fn hear(&mut self, (revision, kind, change): &Event, from: Time, mutant: Mutant) {
        if mutant == Mutant::HidesExecutors
            && matches!(change, Change::Pod(pod) if pod.role == slowlane::model::PodRole::Executor)
        {
            return;
        }
        if let Some(watch) = self.watches.get_mut(kind).filter(|watch| watch.live) {
            watch.queue.push_back((from, *revision, Input::Watched(change.clone())));
        }
    }

    /// The kinds of which something can arrive now.
    pub(crate) fn news(&self, now: Time) -> impl Iterator<Item = Kind> {
        let has_news = move |watch: &Watch| watch.queue.front().is_some_and(|(from, ..)| now >= *from);
        let ready = move |watch: &Watch| now >= watch.stalled_until && (watch.unlisted || has_news(watch));
        self.watches.iter().filter(move |(_, watch)| ready(watch)).map(|(kind, _)| *kind)
    }

    /// Tells the engine the next thing that a watch has seen.
    pub(crate) fn deliver(&mut self, kind: Kind, world: &mut World) -> bool {
        let Some(watch) = self.watches.get_mut(&kind) else { return false };
        let Some((_, revision, input)) = watch.queue.pop_front() else { return false };
        watch.told = watch.told.max(revision);
        self.step(input, world);
        true
    }
}
