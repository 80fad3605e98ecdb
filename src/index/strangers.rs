//! Applications that no job declared, and what they take by namespace.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Name, ObjectKey, Resources, Stranger, Uid};

/// Those of one namespace, all together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StrangersSum {
    /// How many there are.
    pub number: u64,
    /// Of how many the size is guessed.
    pub guessed: u64,
    /// What they take.
    pub takes: Resources,
}

impl StrangersSum {
    /// The sum.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            number: self.number + other.number,
            guessed: self.guessed + other.guessed,
            takes: self.takes.plus(other.takes),
        }
    }

    fn minus(self, other: Self) -> Self {
        Self {
            number: self.number.saturating_sub(other.number),
            guessed: self.guessed.saturating_sub(other.guessed),
            takes: self.takes.minus(other.takes),
        }
    }

    fn of(stranger: &Stranger) -> Self {
        Self { number: 1, guessed: stranger.is_guessed.into(), takes: stranger.takes }
    }
}

/// Every application that no job declared and that takes something.
#[derive(Debug, Default)]
pub struct Strangers {
    all: BTreeMap<ObjectKey, Stranger>,
    sums: BTreeMap<Name, StrangersSum>,
    untold: BTreeSet<ObjectKey>,
}

impl Strangers {
    /// One is there. Tells whether that is news.
    pub fn set(&mut self, stranger: Stranger) -> bool {
        let known = self.all.get(&stranger.key);
        if known == Some(&stranger) {
            return false;
        }
        if known.is_none_or(|known| known.uid != stranger.uid) {
            self.untold.insert(stranger.key.clone());
        }
        if let Some(known) = known.map(StrangersSum::of) {
            self.change(&stranger.key.namespace, |sum| sum.minus(known));
        }
        self.change(&stranger.key.namespace, |sum| sum.plus(StrangersSum::of(&stranger)));
        self.all.insert(stranger.key.clone(), stranger);
        true
    }

    /// One is gone, or takes nothing any more. Tells whether that is news.
    pub fn remove(&mut self, key: &ObjectKey, uid: &Uid) -> bool {
        if self.all.get(key).is_none_or(|known| known.uid != *uid) {
            return false;
        }
        self.untold.remove(key);
        if let Some(known) = self.all.remove(key) {
            self.change(&key.namespace, |sum| sum.minus(StrangersSum::of(&known)));
        }
        true
    }

    fn change(&mut self, namespace: &Name, change: impl FnOnce(StrangersSum) -> StrangersSum) {
        let sum = change(self.sum_in(namespace));
        if sum.number == 0 {
            self.sums.remove(namespace);
        } else {
            self.sums.insert(namespace.clone(), sum);
        }
    }

    /// Those of a namespace.
    #[must_use]
    pub fn sum_in(&self, namespace: &Name) -> StrangersSum {
        self.sums.get(namespace).copied().unwrap_or_default()
    }

    /// Namespaces that have some.
    pub fn sums(&self) -> impl Iterator<Item = (&Name, StrangersSum)> {
        self.sums.iter().map(|(namespace, sum)| (namespace, *sum))
    }

    /// Those of a namespace, by name.
    pub fn of<'a>(&'a self, namespace: &'a Name) -> impl Iterator<Item = &'a Stranger> {
        let from = ObjectKey { namespace: namespace.clone(), name: "".into() };
        let all = self.all.range(from..).map(|(_, stranger)| stranger);
        all.take_while(move |stranger| stranger.key.namespace == *namespace)
    }

    /// Keys and UIDs of all.
    pub fn keys(&self) -> impl Iterator<Item = (ObjectKey, Uid)> {
        self.all.values().map(|it| (it.key.clone(), it.uid.clone()))
    }

    /// Those of which nobody was told yet.
    pub fn untold(&self) -> impl Iterator<Item = &Stranger> {
        self.untold.iter().filter_map(|key| self.all.get(key))
    }

    /// People were told of one.
    pub fn told(&mut self, key: &ObjectKey) {
        self.untold.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stranger(name: &str, uid: &str, executors: u64) -> Stranger {
        let takes = Resources { executors, ..Resources::default() };
        Stranger { key: ObjectKey::new("jobs", name), uid: uid.into(), takes, is_guessed: executors == 9 }
    }

    #[test]
    fn sums_follow_what_comes_changes_and_goes() {
        let (mut strangers, jobs) = (Strangers::default(), Name::from("jobs"));
        assert!(strangers.set(stranger("a", "1", 2)) && !strangers.set(stranger("a", "1", 2)));
        assert!(strangers.set(stranger("b", "2", 9)) && strangers.set(stranger("a", "1", 3)));
        let sum = strangers.sum_in(&jobs);
        assert_eq!((sum.number, sum.guessed, sum.takes.executors), (2, 1, 12));
        assert!(!strangers.remove(&ObjectKey::new("jobs", "b"), &"1".into()));
        assert!(strangers.remove(&ObjectKey::new("jobs", "b"), &"2".into()));
        assert_eq!(strangers.sum_in(&jobs).takes.executors, 3);
        assert!(strangers.remove(&ObjectKey::new("jobs", "a"), &"1".into()));
        assert_eq!(strangers.sums().count(), 0);
    }

    #[test]
    fn each_is_told_of_once() {
        let mut strangers = Strangers::default();
        strangers.set(stranger("a", "1", 2));
        strangers.told(&ObjectKey::new("jobs", "a"));
        strangers.set(stranger("a", "1", 3));
        assert_eq!(strangers.untold().count(), 0);
        strangers.set(stranger("a", "2", 3));
        assert_eq!(strangers.untold().count(), 1);
    }
}
