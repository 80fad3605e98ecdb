//! The in-memory view of the world, built from watch events: jobs by number, applications and pods by run, applications that no
//! job declared by namespace, and what a relist has named so far; with them what the engine remembers beside it: how long runs
//! took, which are tombstones, and what is to be looked at when. Decides nothing.

mod history;
mod runs;
mod sightings;
mod strangers;
mod wakes;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashMap, HashSet, HashTable};

pub use history::{Expectations, History, stepped};

use crate::admission::{JobNumber, QueueNumber, Rank, Slab};
use crate::command::Kind;
use crate::model::{Answered, ClusterChoice, Job, JobState, JobStatus, ObjectKey, RunId, Time, Uid};

pub use runs::ByRun;
pub use sightings::Sightings;
pub use strangers::{Strangers, StrangersSum};
pub use wakes::Wakes;

/// Where a job stands in the keeper's hands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// Not looked at yet.
    New,
    /// In a queue.
    Waiting(QueueNumber, Rank),
    /// Waits for nobody and nothing but being resumed.
    Suspended,
    /// Granted, on its way into the ledger or in it: the number of the run.
    Granted(u32),
    /// Its end is decided; the terminal status is being written or stands.
    Ended,
}

/// A job and what was said about it.
#[derive(Debug)]
pub struct JobEntry {
    /// As the watch shows it.
    pub job: Job,
    /// Where it stands.
    pub stage: Stage,
    /// Its state at present, said or not.
    pub state: JobState,
    /// Since when.
    pub since: Time,
    /// Since when its spec is accepted as it stands; `None` while it is pending.
    pub accepted: Option<Time>,
    /// Its operation took it, at some time: from then on it is not refused.
    pub let_in: bool,
    /// Since when it waits for its start, or waited for that of its newest run.
    pub waiting_since: Time,
    /// The order in which jobs were heard of: the place among those of one second.
    pub arrival: u32,
    /// What stands in its status, as far as we know.
    pub said: Option<Said>,
    /// The state that people were told of last.
    pub announced: Option<JobState>,
    /// What changed while a status write was on its way.
    pub again: Unsaid,
    /// The terminal status, until it stands in the API.
    pub ending: Option<Box<JobStatus>>,
    /// The highest run number that was used up without a start.
    pub used_up: u32,
    /// Its place among the statuses that wait to be written, and what is to be said then.
    pub backlogged: Option<(Turn, Unsaid)>,
}

/// When a job's turn comes to be told something, the smaller the earlier: what, and since when it waits for its turn.
pub type Turn = (News, Time);

/// What a job is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum News {
    /// Its state.
    State,
    /// Another reason why it waits.
    Reason,
    /// The same reason in other words.
    Words,
}

/// What of a status has changed since it was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Unsaid {
    /// Nothing that is known.
    #[default]
    Nothing,
    /// The state or its reason, perhaps.
    Headline,
    /// The words, perhaps.
    Words,
}

/// What tells one status from another for readers: two hashes, because as many jobs wait as have a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Said {
    /// The state.
    pub state: JobState,
    /// Of the state, the reason and `observedGeneration`.
    pub headline: u64,
    /// Of the rest; unknown after a restart, but of who waits.
    pub details: Option<u64>,
}

/// Texts that many jobs have in common, each kept once.
#[derive(Debug)]
struct Shared<T: ?Sized> {
    texts: HashSet<Arc<T>>,
    sweep_at: usize,
}

impl<T: ?Sized> Default for Shared<T> {
    fn default() -> Self {
        Self { texts: HashSet::new(), sweep_at: 1024 }
    }
}

impl<T: ?Sized + Eq + Hash> Shared<T> {
    /// The one that is equal, which this becomes where there is none yet.
    fn share(&mut self, text: &mut Arc<T>) {
        if let Some(known) = self.texts.get(&**text) {
            *text = known.clone();
            return;
        }
        if self.texts.len() >= self.sweep_at {
            self.texts.retain(|text| Arc::strong_count(text) > 1);
            self.sweep_at = self.texts.len() * 2 + 1024;
        }
        self.texts.insert(text.clone());
    }
}

/// Every job that is in the API. The tables hold numbers only: keys and UIDs are compared where they stand.
#[derive(Debug, Default)]
pub struct Jobs {
    entries: Slab<Box<JobEntry>>,
    arrivals: u32,
    by_key: HashTable<JobNumber>,
    by_uid: HashTable<JobNumber>,
    hasher: DefaultHashBuilder,
    names: Shared<str>,
    choices: Shared<ClusterChoice>,
    parameters: Shared<[Box<str>]>,
    answers: Shared<[Answered]>,
    by_state: BTreeMap<JobState, u64>,
    queued: HashMap<ObjectKey, u64>,
}

impl Jobs {
    /// A job by its number.
    #[must_use]
    pub fn get(&self, number: JobNumber) -> Option<&JobEntry> {
        self.entries.get(number).map(Box::as_ref)
    }

    /// A job by its number, to change.
    pub fn get_mut(&mut self, number: JobNumber) -> Option<&mut JobEntry> {
        self.entries.get_mut(number).map(Box::as_mut)
    }

    /// The number of the job with this key.
    #[must_use]
    pub fn by_key(&self, key: &ObjectKey) -> Option<JobNumber> {
        let hash = self.hasher.hash_one(key);
        self.by_key.find(hash, |number| self.get(*number).is_some_and(|entry| entry.job.key == *key)).copied()
    }

    /// The number of the job with this UID.
    #[must_use]
    pub fn by_uid(&self, uid: &Uid) -> Option<JobNumber> {
        let hash = self.hasher.hash_one(uid);
        self.by_uid.find(hash, |number| self.get(*number).is_some_and(|entry| entry.job.uid == *uid)).copied()
    }

    /// The job with this UID.
    #[must_use]
    pub fn of(&self, uid: &Uid) -> Option<&JobEntry> {
        self.by_uid(uid).and_then(|number| self.get(number))
    }

    /// What tells a status from others.
    #[must_use]
    pub fn said(&self, status: &JobStatus) -> Said {
        Said {
            state: status.state,
            headline: self.headline(status.state, status.reason, status.observed_generation),
            details: Some(status.details()),
        }
    }

    /// The hash of a headline.
    #[must_use]
    pub fn headline(&self, state: JobState, reason: &str, generation: i64) -> u64 {
        self.hasher.hash_one((state, reason, generation))
    }

    /// Every number in use.
    #[must_use]
    pub fn numbers(&self) -> Vec<JobNumber> {
        self.entries.iter().map(|(number, _)| number).collect()
    }

    /// How many jobs are in each state.
    #[must_use]
    pub fn by_state(&self) -> &BTreeMap<JobState, u64> {
        &self.by_state
    }

    /// How many jobs of an operation are queued.
    #[must_use]
    pub fn queued_of(&self, operation: &ObjectKey) -> u64 {
        self.queued.get(operation).copied().unwrap_or(0)
    }

    /// Adds a job that was not there.
    pub fn add(&mut self, mut job: Job, now: Time) -> JobNumber {
        let published = job.published.take().unwrap_or_default();
        let state = published.state.unwrap_or(JobState::Pending);
        let reason = published.reason.as_deref().unwrap_or_default();
        let said = published.state.map(|state| Said {
            state,
            headline: self.headline(state, reason, published.observed_generation),
            details: published.details,
        });
        self.count(state, job.operation_key());
        self.arrivals = self.arrivals.wrapping_add(1);
        let last_end = published.runs.iter().filter_map(|run| run.completion).max();
        let entry = JobEntry {
            accepted: published.accepted,
            let_in: published.let_in,
            waiting_since: published.waiting_since.or(last_end).unwrap_or(job.created),
            stage: Stage::New,
            state,
            since: published.since.unwrap_or(job.created.min(now)),
            arrival: self.arrivals,
            said,
            announced: published.state,
            again: Unsaid::Nothing,
            ending: None,
            used_up: 0,
            backlogged: None,
            job: Job { published: Some(published).filter(|published| published.is_worth_keeping()), ..job },
        };
        let (by_key, by_uid) = (self.hasher.hash_one(&entry.job.key), self.hasher.hash_one(&entry.job.uid));
        let number = self.entries.add(Box::new(entry));
        let Self { entries, hasher, .. } = self;
        let again = |number: &JobNumber| entries.get(*number).map_or(0, |entry| hasher.hash_one(&entry.job.key));
        self.by_key.insert_unique(by_key, number, again);
        let again = |number: &JobNumber| entries.get(*number).map_or(0, |entry| hasher.hash_one(&entry.job.uid));
        self.by_uid.insert_unique(by_uid, number, again);
        number
    }

    /// What a job has in common with others is kept once; done before it is added or replaced.
    pub fn share(&mut self, job: &mut Job) {
        let names = [&mut job.key.namespace, &mut job.operation].into_iter();
        names.for_each(|name| self.names.share(name));
        job.cluster.iter_mut().for_each(|choice| self.choices.share(choice));
        self.parameters.share(&mut job.parameters);
        self.answers.share(&mut job.answers.0);
    }

    /// Takes a job out.
    pub fn remove(&mut self, number: JobNumber) -> Option<Box<JobEntry>> {
        let entry = self.entries.remove(number)?;
        let (by_key, by_uid) = (self.hasher.hash_one(&entry.job.key), self.hasher.hash_one(&entry.job.uid));
        if let Ok(found) = self.by_key.find_entry(by_key, |other| *other == number) {
            found.remove();
        }
        if let Ok(found) = self.by_uid.find_entry(by_uid, |other| *other == number) {
            found.remove();
        }
        self.uncount(entry.state, &entry.job.operation_key());
        Some(entry)
    }

    /// A job comes into a state; staying in one changes nothing. Tells whether it is another one.
    pub fn set_state(&mut self, number: JobNumber, state: JobState, now: Time) -> bool {
        let Some(entry) = self.get_mut(number) else { return false };
        let before = entry.state;
        if before == state {
            return false;
        }
        entry.state = state;
        entry.since = now;
        // What was pending and ends counts as accepted: it is a spec that could be ended.
        entry.accepted = match state {
            JobState::Pending | JobState::Refused => None,
            JobState::Suspended => entry.accepted,
            _ => Some(entry.accepted.unwrap_or(now)),
        };
        let operation = entry.job.operation_key();
        self.uncount(before, &operation);
        self.count(state, operation);
        true
    }

    fn count(&mut self, state: JobState, operation: ObjectKey) {
        *self.by_state.entry(state).or_default() += 1;
        if state == JobState::Queued {
            *self.queued.entry(operation).or_default() += 1;
        }
    }

    fn uncount(&mut self, state: JobState, operation: &ObjectKey) {
        if let Some(count) = self.by_state.get_mut(&state) {
            *count = count.saturating_sub(1);
        }
        if state == JobState::Queued
            && let Some(count) = self.queued.get_mut(operation)
        {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.queued.remove(operation);
            }
        }
    }
}

/// Closed applications that still hold their names, by age.
#[derive(Debug, Default)]
pub struct Tombstones {
    by_time: BTreeSet<(Time, RunId)>,
    by_run: HashMap<RunId, Time>,
}

impl Tombstones {
    /// A run's application is a tombstone since then.
    pub fn insert(&mut self, run: RunId, since: Time) {
        self.remove(&run);
        self.by_run.insert(run.clone(), since);
        self.by_time.insert((since, run));
    }

    /// It is none any more.
    pub fn remove(&mut self, run: &RunId) {
        if let Some(since) = self.by_run.remove(run) {
            self.by_time.remove(&(since, run.clone()));
        }
    }

    /// Since when it is one.
    #[must_use]
    pub fn since(&self, run: &RunId) -> Option<Time> {
        self.by_run.get(run).copied()
    }

    /// Whether it is one.
    #[must_use]
    pub fn contains(&self, run: &RunId) -> bool {
        self.by_run.contains_key(run)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_run.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_run.is_empty()
    }

    /// All, the oldest first.
    pub fn oldest_first(&self) -> impl Iterator<Item = &(Time, RunId)> {
        self.by_time.iter()
    }
}

/// What the lists in progress have named so far: whatever they do not name is gone.
#[derive(Debug, Default)]
pub struct Relists {
    named: BTreeMap<Kind, BTreeSet<ObjectKey>>,
    synced: BTreeSet<Kind>,
}

impl Relists {
    /// A list begins.
    pub fn start(&mut self, kind: Kind) {
        self.named.insert(kind, BTreeSet::new());
    }

    /// An object was named.
    pub fn name(&mut self, kind: Kind, key: &ObjectKey) {
        if let Some(named) = self.named.get_mut(&kind) {
            named.insert(key.clone());
        }
    }

    /// A list is complete: what it named. From now on the kind counts as synced. `None`: no list had begun (it is the
    /// end of one whose watch was dropped).
    pub fn finish(&mut self, kind: Kind) -> Option<BTreeSet<ObjectKey>> {
        let named = self.named.remove(&kind)?;
        self.synced.insert(kind);
        Some(named)
    }

    /// Whether a list of a kind is in progress.
    #[must_use]
    pub fn is_listing(&self, kind: Kind) -> bool {
        self.named.contains_key(&kind)
    }

    /// Whether a kind was listed once.
    #[must_use]
    pub fn was_listed(&self, kind: Kind) -> bool {
        self.synced.contains(&kind)
    }

    /// Whether every kind was listed once.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        Kind::ALL.iter().filter(|kind| kind.is_awaited()).all(|kind| self.synced.contains(kind))
    }
}
