//! Names and identities, and the derived name that makes a run start at most once (rule R2).

use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};

/// The name of one object, or of a namespace. Cheap to clone.
pub type Name = Arc<str>;

/// The UID that the API server gave to an object: two objects of one name are told apart by it.
pub type Uid = Arc<str>;

/// Namespace and name of an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    /// The namespace.
    pub namespace: Name,
    /// The name within it.
    pub name: Name,
}

impl ObjectKey {
    /// A key from its two parts.
    pub fn new(namespace: impl Into<Name>, name: impl Into<Name>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

const KEPT_OF_JOB_NAME: usize = 24;
const HASH_DIGITS: usize = 10;

/// The name of the `SparkApplication` that is run `number` of a job: the same for whoever derives it, so that a second
/// create of the same run meets a 409. At most 40 characters, a DNS-1035 label, because Spark builds Service and pod
/// names from it. Ten hex digits of the UID's hash keep jobs apart whose names share their beginning.
#[must_use]
pub fn child_name(job: &str, uid: &str, number: u32) -> String {
    let mut stem: String = job
        .chars()
        .take(KEPT_OF_JOB_NAME)
        .map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '-' })
        .collect();
    if !stem.starts_with(|c: char| c.is_ascii_lowercase()) {
        stem = format!("j{stem}").chars().take(KEPT_OF_JOB_NAME).collect();
    }
    let stem = stem.trim_end_matches('-');
    let digest = Sha256::digest(uid.as_bytes());
    let hash = digest.iter().take(HASH_DIGITS / 2).fold(String::new(), |hash, byte| hash + &format!("{byte:02x}"));
    format!("{stem}-{hash}-{number}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_dns_1035(name: &str) -> bool {
        name.len() <= 63
            && name.starts_with(|c: char| c.is_ascii_lowercase())
            && !name.ends_with('-')
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    }

    #[test]
    fn every_job_name_gives_a_label_of_at_most_40_characters() {
        let long = "a".repeat(253);
        for job in ["daily", "9-to-5", "with.dots.in.it", "x", long.as_str(), "aaaaaaaaaaaaaaaaaaaaaaa-.bbb"] {
            let name = child_name(job, "0b5c8d0e-7c55-4b46-9a55-0b0b3c1f9a11", 1234);
            assert!(is_dns_1035(&name) && name.len() <= 40, "{name}");
        }
    }

    #[test]
    fn names_that_share_their_beginning_stay_apart() {
        let shared = "x".repeat(60);
        assert_ne!(child_name(&format!("{shared}a"), "u1", 1), child_name(&format!("{shared}b"), "u2", 1));
        assert_ne!(child_name("x", "u1", 1), child_name("x", "u1", 2));
    }
}
