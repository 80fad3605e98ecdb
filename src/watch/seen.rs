//! Which objects have been passed on, and as what: an update that changes nothing the keeper looks at is dropped. Pure.
//!
//! Sixteen bytes an object: two keyed hashes. That two different contents have one hash is as likely as a broken disk.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};

/// Fingerprints of one kind's objects.
#[derive(Debug, Default)]
pub(super) struct Seen {
    keys: RandomState,
    passed: HashMap<u64, u64>,
    listing: Option<HashMap<u64, u64>>,
}

impl Seen {
    /// A new list begins: everything in it is news.
    pub(super) fn list(&mut self) {
        self.listing = Some(HashMap::new());
    }

    /// The list is complete.
    pub(super) fn listed(&mut self) {
        if let Some(listing) = self.listing.take() {
            self.passed = listing;
        }
    }

    /// Whether this is news; if so, it counts as passed on.
    pub(super) fn is_news(&mut self, uid: &str, content: &impl Hash) -> bool {
        let uid = self.keys.hash_one(uid);
        let print = self.keys.hash_one(content);
        match &mut self.listing {
            Some(listing) => {
                listing.insert(uid, print);
                true
            }
            None => self.passed.insert(uid, print) != Some(print),
        }
    }

    /// The object is gone.
    pub(super) fn forget(&mut self, uid: &str) {
        let uid = self.keys.hash_one(uid);
        self.passed.remove(&uid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_equal_update_is_no_news_and_a_relist_always_is() {
        let mut seen = Seen::default();
        assert!(seen.is_news("u", &1));
        assert!(!seen.is_news("u", &1));
        assert!(seen.is_news("u", &2));
        seen.list();
        assert!(seen.is_news("u", &2));
        seen.listed();
        assert!(!seen.is_news("u", &2));
    }

    #[test]
    fn what_is_gone_or_not_listed_any_more_is_forgotten() {
        let mut seen = Seen::default();
        assert!(seen.is_news("u", &1) && seen.is_news("v", &1));
        seen.forget("u");
        assert!(seen.is_news("u", &1));
        seen.list();
        seen.listed();
        assert!(seen.is_news("v", &1));
    }
}
