//! What goes wrong by itself: ledgers, drivers, operators, namespaces, quotas.

use std::collections::BTreeMap;

use slowlane::command::{Command, Kind};
use slowlane::model::{ApplicationState, ObjectKey};

use crate::objects::NamespaceObject;
use crate::people::NAMESPACES;
use crate::requests::Late;
use crate::simulation::Simulation;

impl Simulation {
    pub(crate) fn lose_ledger(&mut self) {
        let current = self.world.ledger.as_ref().map(|(_, content)| content.clone());
        let older = self.rng.pick(&self.older_ledgers).filter(|it| Some(*it) != current.as_ref()).cloned();
        // Who was dethroned is gone at once: a leader acts on for seconds only, and a loss is rare.
        for number in (0..self.keepers.len()).rev() {
            if self.keepers[number].dethroned.is_some() {
                self.kill(number);
            }
        }
        match older {
            // An older copy is put back with all of etcd, while nothing is on its way; the keeper that has seen the newer
            // one lives on and notices.
            Some(older) if self.rng.chance(500) && self.is_fenced() && self.lost_at.is_none() => {
                self.note(|| format!("the ledger is put back to {older:?}"));
                self.late.clear();
                self.world.auditor.paced = false;
                self.restored = Some(self.world.put_ledger(older));
            }
            _ => self.delete_ledger(),
        }
        self.lost_at = Some(self.world.now);
    }

    pub(crate) fn delete_ledger(&mut self) {
        self.note(|| "the ledger is deleted".to_owned());
        self.world.auditor.paced = false;
        self.world.ledger = None;
        self.lost_at = Some(self.world.now);
    }

    /// Whether the only keeper there is leads, and knows it.
    fn is_fenced(&self) -> bool {
        let leader = self.world.ledger.as_ref().map(|(_, ledger)| &*ledger.leader);
        self.keepers.len() == 1 && leader == self.keepers.first().map(|keeper| keeper.identity.as_str())
    }

    /// The keeper that saw the newer ledger has to live until it notices; nobody else can know.
    pub(crate) fn is_restored_unnoticed(&self) -> bool {
        let version = self.world.ledger.as_ref().map(|(version, _)| version);
        self.restored.is_some() && self.restored.as_ref() == version
    }

    pub(crate) fn install_operator(&mut self) {
        if !self.world.operator_installed {
            self.note(|| "the kind of applications is there".to_owned());
            self.world.operator_installed = true;
            self.cut_applications();
        }
    }

    /// The kind of applications is deleted: so is each of them, and none can be created.
    fn uninstall_operator(&mut self) {
        self.note(|| "the kind of applications is deleted".to_owned());
        self.world.operator_installed = false;
        for key in self.world.apps.keys().cloned().collect::<Vec<_>>() {
            let _ = self.world.delete_app(&key, None, false);
        }
        self.cut_applications();
    }

    fn cut_applications(&mut self) {
        for watch in self.keepers.iter_mut().filter_map(|keeper| keeper.watches.get_mut(&Kind::Application)) {
            (watch.unlisted, watch.live) = (true, false);
            watch.queue.clear();
        }
    }

    /// The kind's tombstones went with it: it comes back when no request of before is on its way any more.
    fn is_create_on_its_way(&self) -> bool {
        let is_create = |it: &Command| matches!(it, Command::CreateApplication { .. });
        self.late.iter().any(|(_, late)| matches!(late, Late::Post(_)))
            || self.keepers.iter().any(|keeper| keeper.commands.iter().any(is_create))
    }

    pub(crate) fn mishap(&mut self) {
        let pods: Vec<ObjectKey> = self.world.pods.keys().cloned().collect();
        let apps: Vec<ObjectKey> = self.world.apps.keys().cloned().collect();
        match self.rng.below(4) {
            0 if !self.world.operator_installed => {
                if !self.is_create_on_its_way() {
                    self.install_operator();
                }
            }
            0 if self.rng.chance(200) => self.uninstall_operator(),
            0 => self.world.operator_up = !self.world.operator_up,
            1 => {
                if let Some(pod) = self.rng.pick(&pods) {
                    self.world.remove_pod(pod);
                }
            }
            _ => {
                if let Some(key) = self.rng.pick(&apps)
                    && let Some(app) = self.world.apps.get(key)
                    && matches!(app.state, ApplicationState::Submitted | ApplicationState::Running)
                    && app.deleting.is_none()
                {
                    self.world.end_app(key, ApplicationState::Failed, Some("a lie"));
                }
            }
        }
    }

    pub(crate) fn namespaces(&mut self) {
        let name: slowlane::model::Name = NAMESPACES[self.rng.below(2)].into();
        let Some(found) = self.world.namespaces.get(&name).cloned() else {
            // Its tombstones went with it: it comes back when nothing of the old one is on its way any more.
            let is_late = |late: &Late| matches!(late, Late::Post(app) if app.key.namespace == name);
            if self.late.iter().any(|(_, late)| is_late(late)) {
                return;
            }
            let labels = BTreeMap::from([("team".into(), (&*name).into())]);
            return self.world.put_namespace(&name, NamespaceObject { labels, terminating: false });
        };
        if self.rng.chance(200) {
            self.note(|| format!("namespace {name} is deleted"));
            self.world.put_namespace(&name, NamespaceObject { terminating: true, ..found });
        } else {
            let team = if self.rng.chance(500) { "blue" } else { "red" };
            let labels = BTreeMap::from([("team".into(), team.into())]);
            self.world.put_namespace(&name, NamespaceObject { labels, ..found });
        }
    }

    pub(crate) fn quotas(&mut self) {
        let name: slowlane::model::Name = NAMESPACES[self.rng.below(2)].into();
        if !self.world.quota.remove(&name) {
            self.world.quota.insert(name);
        }
    }
}
