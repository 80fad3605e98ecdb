//! A `SparkApplication` that no job declared, as the engine sees it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::{key, uid};
use crate::model::Stranger;
use crate::spark::{ApplicationState, StrangerSize};

/// The application; `None` where it takes nothing: it has ended, or is suspended and nothing of it runs.
#[must_use]
pub fn stranger(meta: &ObjectMeta, size: StrangerSize, state: &ApplicationState) -> Option<Stranger> {
    let rests = size.is_suspended && matches!(state, ApplicationState::New | ApplicationState::Suspended);
    let takes_something = !state.is_terminal() && !rests;
    takes_something.then(|| Stranger { key: key(meta), uid: uid(meta), takes: size.takes, is_guessed: size.is_guessed })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spark::stranger_size;

    #[test]
    fn it_counts_from_its_creation_until_it_has_ended_or_rests() {
        for (spec, state, counts) in [
            ("{}", "", true),
            ("{}", "RUNNING", true),
            ("{}", "PENDING_RERUN", true),
            ("{}", "SUSPENDED", true),
            ("{}", "NEW_IN_V3", true),
            ("{}", "COMPLETED", false),
            ("{}", "FAILED", false),
            (r#"{"suspend": true}"#, "", false),
            (r#"{"suspend": true}"#, "SUSPENDED", false),
            (r#"{"suspend": true}"#, "RUNNING", true),
            (r#"{"suspend": true}"#, "SUSPENDING", true),
        ] {
            let seen = stranger(&ObjectMeta::default(), stranger_size(spec), &state.into());
            assert_eq!(seen.is_some(), counts, "{spec} {state:?}");
        }
    }
}
