//! What can be wrong with an application, said with the field's path and value.

use crate::model::PodSize;

use super::keys::Refusal;

/// Longest piece of somebody's value that is repeated in a message.
const SHOWN: usize = 80;

/// Why no `SparkApplication` can be built; each names the field that somebody has to change.
///
/// Paths begin with `application` for what stands in an Operation and `template` for what stands in a cluster's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// A key or name that may not be used there.
    #[error("{path} is refused: {refusal}")]
    Refused {
        /// The field and key.
        path: String,
        /// Why, and what to do instead.
        refusal: Refusal,
    },
    /// A value that cannot be read.
    #[error("{path} is {value:?}, which is not {expected}")]
    Malformed {
        /// The field.
        path: String,
        /// The value, cut.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
    /// A field that is missing, or contradicts another.
    #[error("{path} {problem}")]
    Conflict {
        /// The field.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
    /// `$(...)` names nothing that can be replaced.
    #[error(
        "{path} refers to $({name}), which is not known; write $(params.<name>), $(job.name), $(job.namespace), \
         $(job.uid), $(job.correlationId), $(run.number), $(operation.name) or $(result.uri), or $$( for a plain $("
    )]
    UnknownReference {
        /// The field.
        path: String,
        /// What stands between the brackets, cut.
        name: String,
    },
    /// `$(params.x)` where the job has no `x`.
    #[error("{path} refers to $(params.{parameter}), but the job has no parameter {parameter:?}")]
    NoSuchParameter {
        /// The field.
        path: String,
        /// The parameter's name, cut.
        parameter: String,
    },
    /// A text that has become too long once its references were replaced.
    #[error("{path} has {length} bytes once its references are replaced, at most {limit} are allowed")]
    TooLong {
        /// The field.
        path: String,
        /// Bytes.
        length: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The pods would be larger than what was reserved for them.
    #[error("driver and {executors} executors need {needed}, but {granted} were granted")]
    OutgrewGrant {
        /// The granted maximum of executors.
        executors: u32,
        /// What the pods would request.
        needed: PodSize,
        /// What stands in the ledger.
        granted: PodSize,
    },
}

impl BuildError {
    /// A value that is not what it should be.
    pub(super) fn malformed(path: impl Into<String>, value: &str, expected: &'static str) -> Self {
        Self::Malformed { path: path.into(), value: shown(value), expected }
    }

    /// A field that is missing, or does not go together with another.
    pub(super) fn conflict(path: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Conflict { path: path.into(), problem: problem.into() }
    }
}

/// A value as it may be repeated in a message: its beginning, on one line.
pub(super) fn shown(value: &str) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let head: String = value.chars().take(SHOWN).map(plain).collect();
    if value.chars().nth(SHOWN).is_some() { head + "..." } else { head }
}
