//! Names and identities, and the derived name that makes a run start at most once (rule R2).

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use sha2::{Digest, Sha256};

/// The name of one object, or of a namespace. Cheap to clone.
pub type Name = Arc<str>;

/// Whether a text is a DNS-1123 label, as names of namespaces and of locks are.
#[must_use]
pub fn is_label(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&text.len()) && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

/// The UID that the API server gave to an object: two objects of one name are told apart by it. Kubernetes makes UUIDs,
/// which are two numbers here and are compared as such; any other text is kept as it is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uid(Form);

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Form {
    /// The higher half first: they sort as their texts do.
    Uuid(u64, u64),
    Text(Arc<str>),
}

/// Runs and jobs are looked up by their UIDs several times with each event: of a UUID, which is random, 64 bits are enough.
impl Hash for Form {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::Uuid(high, low) => state.write_u64(high.rotate_left(32) ^ low),
            Self::Text(text) => text.hash(state),
        }
    }
}

/// Where the hyphens of a UUID stand.
const HYPHENS: [usize; 4] = [8, 13, 18, 23];
const UUID_LENGTH: usize = 36;

impl Uid {
    /// The halves of a UUID, only as Kubernetes writes it: what is read has to print as it was.
    fn uuid(text: &str) -> Option<Form> {
        if text.len() != UUID_LENGTH {
            return None;
        }
        let (mut high, mut low) = (0, 0);
        for (place, letter) in text.bytes().enumerate() {
            if HYPHENS.contains(&place) {
                if letter != b'-' {
                    return None;
                }
                continue;
            }
            let digit = match letter {
                b'0'..=b'9' => letter - b'0',
                b'a'..=b'f' => letter - b'a' + 10,
                _ => return None,
            };
            let half = if place < HYPHENS[2] { &mut high } else { &mut low };
            *half = *half << 4 | u64::from(digit);
        }
        Some(Form::Uuid(high, low))
    }
}

impl Default for Uid {
    fn default() -> Self {
        "".into()
    }
}

impl From<&str> for Uid {
    fn from(text: &str) -> Self {
        Self(Self::uuid(text).unwrap_or_else(|| Form::Text(text.into())))
    }
}

impl From<String> for Uid {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Form::Text(text) => f.write_str(text),
            Form::Uuid(high, low) => {
                let (first, second, third) = (high >> 32, high >> 16 & 0xffff, high & 0xffff);
                let (fourth, last) = (low >> 48, low & 0xffff_ffff_ffff);
                write!(f, "{first:08x}-{second:04x}-{third:04x}-{fourth:04x}-{last:012x}")
            }
        }
    }
}

impl fmt::Debug for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// Namespace and name of an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
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
pub fn child_name(job: &str, uid: impl fmt::Display, number: u32) -> String {
    let mut stem: String = job
        .chars()
        .take(KEPT_OF_JOB_NAME)
        .map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '-' })
        .collect();
    if !stem.starts_with(|c: char| c.is_ascii_lowercase()) {
        stem = format!("j{stem}").chars().take(KEPT_OF_JOB_NAME).collect();
    }
    let stem = stem.trim_end_matches('-');
    let digest = Sha256::digest(uid.to_string());
    let digits = digest.iter().take(HASH_DIGITS / 2).flat_map(|byte| [byte >> 4, byte & 15]);
    let hash: String = digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect();
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

    #[test]
    fn a_uid_prints_as_it_was_read() {
        for text in ["0b5c8d0e-7c55-4b46-9a55-0b0b3c1f9a11", "0B5C8D0E-7C55-4B46-9A55-0B0B3C1F9A11", "u1", ""] {
            assert_eq!(Uid::from(text).to_string(), text);
        }
        assert!(size_of::<Uid>() <= 24);
    }
}
