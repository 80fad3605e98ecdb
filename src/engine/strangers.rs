//! Applications that no job declared: what they take of the clusters, and who is told of them.

use std::collections::BTreeMap;
use std::slice;

use super::Engine;
use crate::admission::ClusterEntry;
use crate::command::Command;
use crate::index::StrangersSum;
use crate::model::{Name, ObjectKey, Resources, Stranger, Uid};

/// How many a cluster's condition names.
const NAMED: usize = 3;
/// How many are told of at once; the rest follows.
const TOLD_AT_ONCE: usize = 20;

impl Engine {
    pub(super) fn stranger_seen(&mut self, stranger: Stranger) {
        let namespace = stranger.key.namespace.clone();
        if self.strangers.set(stranger) {
            self.strangers_changed(&[namespace]);
        }
    }

    pub(super) fn stranger_gone(&mut self, key: &ObjectKey, uid: &Uid) {
        if self.strangers.remove(key, uid) {
            self.strangers_changed(slice::from_ref(&key.namespace));
        }
    }

    fn strangers_changed(&mut self, namespaces: &[Name]) {
        let counts = self.settings.counts_undeclared;
        for namespace in namespaces {
            let takes = if counts { self.strangers.sum_in(namespace).takes } else { Resources::default() };
            self.gate.set_strangers(namespace, takes);
        }
        self.clusters_changed();
    }

    /// Whether strangers are counted changed.
    pub(super) fn count_strangers_anew(&mut self) {
        let namespaces: Vec<Name> = self.strangers.sums().map(|(namespace, _)| namespace.clone()).collect();
        self.strangers_changed(&namespaces);
    }

    /// Those that count in a cluster, in words: how many there are, and some of their names.
    pub(super) fn strangers_at(&self, entry: &ClusterEntry) -> Option<Box<str>> {
        if entry.strangers == Resources::default() {
            return None;
        }
        let cluster = entry.declared.as_ref()?;
        let namespaces = self.strangers.sums().filter(|(namespace, _)| self.gate.admits(cluster, namespace));
        let (mut all, mut named) = (StrangersSum::default(), Vec::new());
        for (namespace, sum) in namespaces {
            all = all.plus(sum);
            let left = NAMED.saturating_sub(named.len());
            named.extend(self.strangers.of(namespace).take(left).map(|stranger| stranger.key.to_string()));
        }
        let more = match all.number.saturating_sub(named.len() as u64) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let guessed = match all.guessed {
            0 => String::new(),
            guessed => format!("; {guessed} of unknown size, counted as the least that they take"),
        };
        let (number, takes, shown) = (all.number, all.takes, named.join(", "));
        Some(format!("{number} that no ManagedJob declared take {takes}: {shown}{more}{guessed}").into())
    }

    /// Tells of strangers that came into some cluster's namespaces.
    pub(super) fn tell_of_strangers(&mut self) {
        if !self.settings.counts_undeclared {
            return;
        }
        let mut admitting: BTreeMap<&Name, String> = BTreeMap::new();
        let untold = self.strangers.untold().filter_map(|stranger| {
            let namespace = &stranger.key.namespace;
            let clusters = admitting.entry(namespace).or_insert_with(|| self.admitting(namespace));
            (!clusters.is_empty()).then(|| (stranger.clone(), clusters.clone()))
        });
        let untold: Vec<(Stranger, String)> = untold.take(TOLD_AT_ONCE).collect();
        if untold.len() == TOLD_AT_ONCE {
            self.clusters_changed();
        }
        for (stranger, clusters) in untold {
            let least = if stranger.is_guessed { "at least " } else { "" };
            let message = format!("no ManagedJob declared it; it takes {least}{} of {clusters}", stranger.takes);
            self.strangers.told(&stranger.key);
            self.out.push(Command::ReportStranger { key: stranger.key, uid: stranger.uid, message });
        }
    }

    /// The clusters that admit a namespace.
    fn admitting(&self, namespace: &Name) -> String {
        let declared = self.gate.clusters().filter_map(|(name, entry)| Some((name, entry.declared.as_ref()?)));
        let admitting = declared.filter(|(_, cluster)| self.gate.admits(cluster, namespace));
        admitting.map(|(name, _)| &**name).collect::<Vec<&str>>().join(", ")
    }
}
