//! Labels, annotations and the finalizer by which a run's objects are known.
//!
//! Labels are what pods are counted by (the spark-operator copies those of a `SparkApplication` to its pods); they hold
//! 63 characters, so whatever may be longer stands in full in an annotation.

use sha2::{Digest, Sha256};

use super::reserved::is_label_value;

/// Label: UID of the job. On the application, its driver and its executors.
pub const JOB_UID_LABEL: &str = "slowlane.dev/job-uid";
/// Selects what does not have it.
pub const NO_JOB_UID_LABEL: &str = "!slowlane.dev/job-uid";
/// Label: number of the run, from 1.
pub const RUN_LABEL: &str = "slowlane.dev/run";
/// Label: the operation, as [`label_value`] writes it.
pub const OPERATION_LABEL: &str = "slowlane.dev/operation";
/// Label: the cluster, as [`label_value`] writes it.
pub const CLUSTER_LABEL: &str = "slowlane.dev/cluster";
/// Label: the cluster whose warm executors a Deployment and its pods hold, as [`label_value`] writes it.
pub const POOL_LABEL: &str = "slowlane.dev/pool";
/// Annotation: how many executors that cluster's pool holds, taken and warm.
pub const DESIRED_ANNOTATION: &str = "slowlane.dev/desired";
/// Label: who made it.
pub const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";
/// Value of [`MANAGED_BY_LABEL`].
pub const MANAGED_BY: &str = "slowlane";

/// Annotation: name of the job.
pub const JOB_ANNOTATION: &str = "slowlane.dev/job";
/// Annotation: name of the operation in full.
pub const OPERATION_ANNOTATION: &str = "slowlane.dev/operation";
/// Annotation: name of the cluster in full.
pub const CLUSTER_ANNOTATION: &str = "slowlane.dev/cluster";
/// Annotation: what was granted, as [`super::Grant`] is written.
pub const GRANT_ANNOTATION: &str = "slowlane.dev/grant";
/// Annotation: the caller's correlation id.
pub const CORRELATION_ANNOTATION: &str = "slowlane.dev/correlation-id";
/// Annotation: on an application the declared result; on a driver pod what the application itself reports.
pub const RESULT_URI_ANNOTATION: &str = "slowlane.dev/result-uri";

/// Finalizer that holds a run's name until the keeper lets it go.
pub const RUN_FINALIZER: &str = "slowlane.dev/run";

/// Longest value of a label.
const MAX_LABEL: usize = 63;

/// Hex digits of a name's hash: 40 bits tell apart names that begin alike.
const HASH_DIGITS: usize = 10;

fn short_hash(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().take(HASH_DIGITS / 2).fold(String::new(), |hash, byte| hash + &format!("{byte:02x}"))
}

/// A name as the value of a label: itself where it fits, else its beginning and a hash of it.
#[must_use]
pub fn label_value(name: &str) -> String {
    if is_label_value(name) {
        return name.to_owned();
    }
    let hash = short_hash(name);
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    let head: String = name.chars().map(plain).take(MAX_LABEL - 1 - hash.len()).collect();
    let head = head.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    if head.is_empty() { hash } else { format!("{head}-{hash}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hashes_as_sha256_does() {
        assert_eq!(short_hash("abc"), "ba7816bf8f");
    }

    #[test]
    fn names_that_fit_stay_as_they_are() {
        assert_eq!(label_value("daily-report.v2"), "daily-report.v2");
        assert_eq!(label_value(&"x".repeat(63)), "x".repeat(63));
    }

    #[test]
    fn long_names_keep_their_beginning_and_stay_apart() {
        let (one, other) = (label_value(&"a".repeat(64)), label_value(&"a".repeat(65)));
        assert_eq!(one.len(), 63);
        assert!(one.starts_with(&"a".repeat(52)));
        assert_ne!(one, other);
    }

    proptest! {
        #[test]
        fn any_name_gives_a_label(name in "\\PC{0,260}") {
            prop_assert!(is_label_value(&label_value(&name)));
        }
    }
}
