//! Something of each run.

use std::collections::BTreeSet;

use hashbrown::HashMap;

use crate::model::{RunId, Uid};

/// Something of each run. With every event a run is looked up several times, and seldom are all in order.
#[derive(Debug)]
pub struct ByRun<T> {
    /// None: it is lent.
    entries: HashMap<RunId, Option<T>>,
    in_order: BTreeSet<RunId>,
}

impl<T> Default for ByRun<T> {
    fn default() -> Self {
        Self { entries: HashMap::new(), in_order: BTreeSet::new() }
    }
}

impl<T> ByRun<T> {
    /// That of a run.
    #[must_use]
    pub fn get(&self, run: &RunId) -> Option<&T> {
        self.entries.get(run)?.as_ref()
    }

    /// That of a run, to change.
    pub fn get_mut(&mut self, run: &RunId) -> Option<&mut T> {
        self.entries.get_mut(run)?.as_mut()
    }

    /// Whether there is one of a run.
    #[must_use]
    pub fn contains_key(&self, run: &RunId) -> bool {
        self.get(run).is_some()
    }

    /// Puts one there, or another one.
    pub fn insert(&mut self, run: RunId, value: T) {
        if self.entries.insert(run.clone(), Some(value)).is_none() {
            self.in_order.insert(run);
        }
    }

    /// Takes one away.
    pub fn remove(&mut self, run: &RunId) -> Option<T> {
        self.in_order.remove(run);
        self.entries.remove(run)?
    }

    /// Takes one away for a moment: it is as if there were none until it is [restored](Self::restore).
    pub fn lend(&mut self, run: &RunId) -> Option<T> {
        self.entries.get_mut(run)?.take()
    }

    /// One that was lent is there again.
    pub fn restore(&mut self, run: &RunId, value: T) {
        match self.entries.get_mut(run) {
            Some(place) => *place = Some(value),
            None => self.insert(run.clone(), value),
        }
    }

    /// Those of a job, in the order of their numbers.
    pub fn of_job<'a>(&'a self, job: &Uid) -> impl Iterator<Item = (&'a RunId, &'a T)> {
        let first = RunId { job: job.clone(), number: 0 };
        let job = job.clone();
        let runs = self.in_order.range(first..).take_while(move |run| run.job == job);
        runs.filter_map(|run| Some((run, self.get(run)?)))
    }

    /// All, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&RunId, &T)> {
        self.in_order.iter().filter_map(|run| Some((run, self.get(run)?)))
    }

    /// Every run, in order.
    pub fn keys(&self) -> impl Iterator<Item = &RunId> {
        self.iter().map(|(run, _)| run)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}
