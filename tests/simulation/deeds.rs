//! What can be drawn to happen next in a case, and how it happens.

use std::collections::BTreeMap;

use slowlane::model::{ObjectKey, Span, Time};

use crate::objects::NamespaceObject;
use crate::people::{CLUSTERS, NAMESPACES, OPERATIONS};
use crate::simulation::Simulation;

/// What can be drawn.
#[derive(Debug, Clone, Copy)]
enum Deed {
    Deliver,
    Send,
    Move,
    Pass,
    Tick,
    /// A while in which everything goes well.
    Calm,
    Lead,
    People,
    Edit,
    Crash,
    Overlap,
    Lose,
    /// Something bad waits for its moment.
    Ambush,
    Meddle,
    Mishap,
    Namespace,
    Quota,
    Settings,
    Cut,
    Leap,
}

impl Simulation {
    /// Sets the scene: namespaces, clusters, operations, the first keeper.
    pub(crate) fn found(&mut self) {
        for name in NAMESPACES {
            let labels = BTreeMap::from([("team".into(), name.into())]);
            self.world.put_namespace(&name.into(), NamespaceObject { labels, terminating: false });
        }
        for name in CLUSTERS {
            let cluster = self.drawn_cluster(name);
            self.world.put_cluster(cluster);
        }
        for (namespace, name) in NAMESPACES.iter().flat_map(|namespace| OPERATIONS.map(|name| (*namespace, name))) {
            let operation = self.drawn_operation(ObjectKey::new(namespace, name));
            self.world.put_operation(operation);
        }
        if self.rng.chance(500) {
            self.create_job();
        }
        self.enthrone();
        self.spread();
        // Most cases begin with a keeper that knows everything.
        if self.rng.chance(800) {
            while self.deliver(0) || self.send_well(0) {
                self.spread();
            }
        }
    }

    /// Draws what happens next, and lets it happen.
    pub(crate) fn act(&mut self) {
        let eager = self.profile.eager;
        let profile = &self.profile;
        let deeds = [
            (Deed::Deliver, eager * 2),
            (Deed::Send, eager),
            (Deed::Move, 15),
            (Deed::Pass, 10),
            (Deed::Tick, eager / 2),
            (Deed::Calm, 1),
            (Deed::Lead, 3),
            (Deed::People, 6),
            (Deed::Edit, profile.edits),
            (Deed::Crash, profile.crashes),
            (Deed::Overlap, profile.overlaps),
            (Deed::Lose, profile.losses),
            (Deed::Ambush, profile.ambushes),
            (Deed::Meddle, profile.meddling),
            (Deed::Mishap, profile.mishaps),
            (Deed::Namespace, profile.namespaces),
            (Deed::Quota, profile.quotas),
            (Deed::Settings, profile.edits / 2),
            (Deed::Cut, profile.cuts),
            (Deed::Leap, profile.leaps),
        ];
        if self.spring() {
            return self.spread();
        }
        // What changes nothing does not count.
        const DRAWS: usize = 6;
        for _ in 0..DRAWS {
            let mut drawn = self.rng.below(deeds.iter().map(|(_, weight)| weight).sum());
            let deed = deeds.iter().find(|(_, weight)| {
                let here = drawn < *weight;
                drawn = drawn.wrapping_sub(if here { 0 } else { *weight });
                here
            });
            if deed.is_some_and(|(deed, _)| self.do_it(*deed)) {
                break;
            }
        }
        self.spread();
    }

    /// Tells whether there was anything to do.
    fn do_it(&mut self, deed: Deed) -> bool {
        let keeper = self.rng.below(self.keepers.len());
        let somebody = !self.keepers.is_empty();
        match deed {
            Deed::Deliver if somebody => return self.deliver_some(keeper),
            Deed::Send if somebody => return self.send(keeper),
            Deed::Tick if somebody => {
                let due = self.keepers[keeper].engine.next_wake().is_some_and(|wake| wake <= self.world.now);
                if due {
                    self.tick(keeper);
                }
                return due;
            }
            Deed::Calm if somebody => self.calm(80),
            Deed::Crash | Deed::Overlap | Deed::Lose if self.is_restored_unnoticed() => {}
            Deed::Crash if somebody => self.kill(keeper),
            Deed::Lead if !somebody => self.enthrone(),
            Deed::Overlap if somebody => self.overlap(),
            Deed::Cut if somebody => self.cut(keeper),
            Deed::Move => return self.move_on(),
            Deed::Pass => {
                let longest = [300, 2_500, 9_000][self.rng.below(3)];
                let span = Span(self.rng.between(10, longest));
                self.pass(span);
            }
            Deed::Leap => {
                let span = Span::seconds([70, 700, 4_000][self.rng.below(3)]);
                self.pass(span);
            }
            Deed::People => self.people(),
            Deed::Edit => self.edit(),
            Deed::Lose => self.lose_ledger(),
            Deed::Ambush => self.lie_in_wait(),
            Deed::Meddle => self.meddle(),
            Deed::Mishap => self.mishap(),
            Deed::Namespace => self.namespaces(),
            Deed::Quota => self.quotas(),
            Deed::Settings => self.edit_settings(),
            _ => return false,
        }
        true
    }

    fn deliver_some(&mut self, keeper: usize) -> bool {
        let identity = self.keepers[keeper].identity.clone();
        let most = self.rng.below(6) + 1;
        let told = (0..most).take_while(|_| {
            let same = self.keepers.get(keeper).is_some_and(|it| it.identity == identity);
            same && self.deliver(keeper)
        });
        told.count() > 0
    }

    pub(crate) fn move_on(&mut self) -> bool {
        let moves = self.world.moves(true);
        let Some(a_move) = self.rng.pick(&moves).cloned() else { return false };
        self.note(|| format!("{a_move:?}"));
        self.world.make(a_move, &mut self.rng);
        true
    }

    pub(crate) fn send_well(&mut self, keeper: usize) -> bool {
        let faults = std::mem::take(&mut self.profile.faults);
        let sent = self.send(keeper);
        self.profile.faults = faults;
        sent
    }

    pub(crate) fn calm(&mut self, most: usize) {
        let faults = std::mem::take(&mut self.profile.faults);
        for _ in 0..self.rng.below(most) {
            let keeper = self.rng.below(self.keepers.len());
            match self.rng.below(4) {
                _ if self.keepers.is_empty() => break,
                0 | 1 => _ = self.deliver(keeper),
                2 => _ = self.send(keeper),
                _ => _ = self.move_on(),
            }
            self.spread();
        }
        self.profile.faults = faults;
    }

    fn cut(&mut self, keeper: usize) {
        let kinds: Vec<_> = self.keepers[keeper].watches.keys().copied().collect();
        let kind = self.rng.pick(&kinds).copied();
        let stalls = self.rng.chance(600);
        let until = Time(self.world.now.0 + self.rng.between(5_000, 120_000));
        let watch = kind.and_then(|kind| self.keepers[keeper].watches.get_mut(&kind));
        if let Some(watch) = watch {
            if stalls {
                watch.stalled_until = until;
                return;
            }
            (watch.unlisted, watch.live) = (true, false);
            watch.queue.clear();
        }
    }
}
