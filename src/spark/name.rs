//! The name of a run's `SparkApplication`, derived and never generated.
//!
//! Two keepers that grant the same run must reach for the same name: the API server's 409 is then what keeps a run from
//! starting twice. Nothing here knows the job's spec; name, UID and run number are all that may go in.

use sha2::{Digest, Sha256};

/// Longest name that is derived. Spark appends to it for services, pods and labels, which hold 63 characters; where its
/// own long names do not fit it falls back to shorter ones.
pub const MAX_CHILD_NAME: usize = 40;

/// How much of the job's own name is kept, so that people recognise it.
const KEPT_OF_JOB: usize = 24;

/// Hex digits of the UID's hash: 40 bits tell apart the jobs of a namespace that begin alike.
const HASH_DIGITS: usize = 10;

/// Name of the `SparkApplication` of run `run` of a job: `<job name, cut>-<hash of its UID>-<run>`.
///
/// The result is a DNS-1035 label (it begins with a letter: the spark-operator makes Services from it) of at most
/// [`MAX_CHILD_NAME`] characters, whatever the job is called: names of jobs may hold dots, begin with a digit and be
/// 253 characters long.
#[must_use]
pub fn child_name(job_name: &str, job_uid: &str, run: u32) -> String {
    let tail = format!("-{}-{run}", short_hash(job_uid));
    let room = MAX_CHILD_NAME.saturating_sub(tail.len()).min(KEPT_OF_JOB);
    format!("{}{tail}", label_head(job_name, room))
}

/// The first [`HASH_DIGITS`] hex digits of a text's SHA-256.
#[must_use]
pub fn short_hash(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().flat_map(|byte| [byte >> 4, byte & 0xf]).take(HASH_DIGITS).map(hex_digit).collect()
}

fn hex_digit(nibble: u8) -> char {
    char::from_digit(u32::from(nibble), 16).unwrap_or('0')
}

/// At most `room` characters of `[a-z0-9-]` that begin with a letter and do not end with a dash.
fn label_head(name: &str, room: usize) -> String {
    let label = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let plain: String = name.chars().take(2 * KEPT_OF_JOB).map(label).collect();
    let plain = plain.trim_matches('-');
    let letter_first = plain.starts_with(|c: char| c.is_ascii_lowercase());
    let prefix = if letter_first { "" } else { "j-" };
    let head: String = prefix.chars().chain(plain.chars()).take(room).collect();
    head.trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn is_dns_1035_label(name: &str) -> bool {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        name.len() <= 63
            && name.starts_with(|c: char| c.is_ascii_lowercase())
            && !name.ends_with('-')
            && name.chars().all(plain)
    }

    #[test]
    fn keeps_the_job_name_in_front() {
        assert_eq!(child_name("daily-report", "u", 1), format!("daily-report-{}-1", short_hash("u")));
    }

    #[test]
    fn is_the_same_for_the_same_run_and_another_for_the_next() {
        assert_eq!(child_name("a", "u", 1), child_name("a", "u", 1));
        assert_ne!(child_name("a", "u", 1), child_name("a", "u", 2));
        assert_ne!(child_name("a", "u", 1), child_name("a", "v", 1));
    }

    #[test]
    fn hashes_as_sha256_does() {
        assert_eq!(short_hash("abc"), "ba7816bf8f");
    }

    #[test]
    fn odd_job_names_give_labels() {
        for (job, head) in [
            ("2025.report", "j-2025-report-"),
            ("a.b", "a-b-"),
            ("---", "j-"),
            ("", "j-"),
            ("UPPER", "upper-"),
            ("x234567890123456789012345678901234567890", "x23456789012345678901234-"),
        ] {
            let name = child_name(job, "7c9e6679-7425-40de-944b-e07fc1f90ae7", 9999);
            assert!(name.starts_with(head), "{job}: {name}");
            assert!(is_dns_1035_label(&name) && name.len() <= MAX_CHILD_NAME, "{job}: {name}");
        }
    }

    proptest! {
        #[test]
        fn any_job_gives_a_label(job in "\\PC{0,260}", uid in "\\PC{0,60}", run: u32) {
            let name = child_name(&job, &uid, run);
            prop_assert!(is_dns_1035_label(&name), "{}", name);
            prop_assert!(name.len() <= MAX_CHILD_NAME, "{}", name);
        }

        #[test]
        fn any_two_runs_differ(job in "[a-z0-9.]{1,60}", a: u32, b: u32) {
            prop_assume!(a != b);
            prop_assert_ne!(child_name(&job, "u", a), child_name(&job, "u", b));
        }
    }
}
