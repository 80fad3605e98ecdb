//! Conditions, as Kubernetes' own tools read them.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::api_time;
use crate::api::v1alpha1::bounds;
use crate::model::Time;
use crate::text::clean;

/// What a condition says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Truth {
    True,
    False,
    Unknown,
}

impl From<bool> for Truth {
    fn from(truth: bool) -> Self {
        if truth { Self::True } else { Self::False }
    }
}

/// One condition.
pub(super) fn condition(
    type_: &str,
    truth: impl Into<Truth>,
    reason: &str,
    message: &str,
    since: Time,
    generation: i64,
) -> Condition {
    let status = match truth.into() {
        Truth::True => "True",
        Truth::False => "False",
        Truth::Unknown => "Unknown",
    };
    Condition {
        type_: type_.into(),
        status: status.into(),
        reason: word(reason),
        message: clean(message, bounds::CONDITION_MESSAGE as usize),
        last_transition_time: api_time(since),
        observed_generation: Some(generation),
    }
}

/// A reason that the schema accepts, whatever comes in.
pub(super) fn word(reason: &str) -> String {
    let plain: String = reason.chars().filter(char::is_ascii_alphanumeric).take(bounds::WORD as usize).collect();
    if plain.starts_with(|c: char| c.is_ascii_alphabetic()) { plain } else { "Unknown".into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_reason_becomes_a_word() {
        assert_eq!(word("OutOfMemory"), "OutOfMemory");
        for odd in ["", "9lives", "\u{1b}[0m"] {
            assert!(word(odd).starts_with(|c: char| c.is_ascii_alphabetic()), "{odd:?}");
        }
    }
}
