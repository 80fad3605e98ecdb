//! Times at which something wants to be looked at again.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hash::Hash;

use hashbrown::HashMap;

use crate::model::Time;

/// Times at which something wants to be looked at again; one entry a subject, the earliest wins.
#[derive(Debug)]
pub struct Wakes<K> {
    /// What was asked for. Where an earlier time was asked for since, the later one stands here still, but never first.
    by_time: BinaryHeap<Reverse<(Time, K)>>,
    by_key: HashMap<K, Time>,
}

impl<K: Ord> Default for Wakes<K> {
    fn default() -> Self {
        Self { by_time: BinaryHeap::new(), by_key: HashMap::new() }
    }
}

impl<K: Ord + Hash + Clone> Wakes<K> {
    /// Wakes `key` at `time`, or earlier where that was asked for already.
    pub fn set(&mut self, key: K, time: Time) {
        match self.by_key.get_mut(&key) {
            Some(already) if *already <= time => return,
            Some(later) => *later = time,
            None => _ = self.by_key.insert(key.clone(), time),
        }
        self.by_time.push(Reverse((time, key)));
        self.drop_outdated();
    }

    /// Takes out one that is due.
    pub fn pop_due(&mut self, now: Time) -> Option<K> {
        self.next().filter(|next| *next <= now)?;
        let Reverse((_, key)) = self.by_time.pop()?;
        self.by_key.remove(&key);
        self.drop_outdated();
        // A burst is over: what it took is given back.
        if self.by_key.capacity() > 4096 && self.by_key.len() < self.by_key.capacity() / 8 {
            self.by_key.shrink_to_fit();
            self.by_time.shrink_to_fit();
        }
        Some(key)
    }

    /// When the next is due.
    #[must_use]
    pub fn next(&self) -> Option<Time> {
        self.by_time.peek().map(|Reverse((time, _))| *time)
    }

    /// The first is one that is to come; and there are not many others.
    fn drop_outdated(&mut self) {
        let Self { by_time, by_key } = self;
        let is_to_come = |Reverse((time, key)): &Reverse<(Time, K)>| by_key.get(key) == Some(time);
        while by_time.peek().is_some_and(|first| !is_to_come(first)) {
            by_time.pop();
        }
        if by_time.len() > 2 * by_key.len() + 64 {
            let mut seen = hashbrown::HashSet::with_capacity(by_key.len());
            by_time.retain(|entry| is_to_come(entry) && seen.insert(entry.0.1.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_woken_once_and_at_the_earliest_time_asked_for() {
        let mut wakes = Wakes::default();
        wakes.set("a", Time(20));
        wakes.set("a", Time(10));
        wakes.set("a", Time(30));
        assert_eq!(wakes.next(), Some(Time(10)));
        assert_eq!(wakes.pop_due(Time(9)), None);
        assert_eq!(wakes.pop_due(Time(10)), Some("a"));
        assert_eq!(wakes.next(), None);
        assert_eq!(wakes.pop_due(Time(99)), None);
    }

    #[test]
    fn what_was_asked_for_later_and_is_outdated_takes_no_room_and_wakes_nobody() {
        let mut wakes = Wakes::default();
        for round in 0..10_000 {
            wakes.set("a", Time(1_000_000));
            wakes.set("a", Time(round));
            assert_eq!(wakes.pop_due(Time(round)), Some("a"));
            assert_eq!(wakes.next(), None);
            assert!(wakes.by_time.len() <= 64);
        }
        wakes.set("a", Time(1_000_000));
        wakes.set("b", Time(1_000_000));
        wakes.set("a", Time(999_999));
        let order: Vec<_> = std::iter::from_fn(|| wakes.pop_due(Time(1_000_000))).collect();
        assert_eq!(order, ["a", "b"]);
    }
}
