//! What a run was granted, as the builder needs it and as it stands on the run's object.

use std::fmt;
use std::str::FromStr;

use crate::model::PodSize;

/// Bounds of a run's executors and all that was reserved for it, the driver included.
///
/// Written as `executors=1..4,cores=4500m,memory=12288Mi`; a lost ledger is rebuilt from what it reads there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Grant {
    /// Executors that it starts with and keeps.
    pub min_executors: u32,
    /// Executors that it may have; at least 1.
    pub max_executors: u32,
    /// Driver and `max_executors` executors.
    pub total: PodSize,
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { min_executors, max_executors, total } = self;
        write!(
            f,
            "executors={min_executors}..{max_executors},cores={}m,memory={}Mi",
            total.milli_cores, total.memory_mib
        )
    }
}

/// A text that is no grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a grant such as executors=1..4,cores=4500m,memory=12288Mi")]
pub struct NotAGrant;

impl FromStr for Grant {
    type Err = NotAGrant;

    fn from_str(text: &str) -> Result<Self, NotAGrant> {
        parse(text).ok_or(NotAGrant)
    }
}

fn parse(text: &str) -> Option<Grant> {
    let (executors, rest) = text.strip_prefix("executors=")?.split_once(",cores=")?;
    let (cores, memory) = rest.split_once("m,memory=")?;
    let (min, max) = executors.split_once("..")?;
    let (min_executors, max_executors) = (number(min)?.try_into().ok()?, number(max)?.try_into().ok()?);
    let total = PodSize { milli_cores: number(cores)?, memory_mib: number(memory.strip_suffix("Mi")?)? };
    (min_executors <= max_executors).then_some(Grant { min_executors, max_executors, total })
}

fn number(digits: &str) -> Option<u64> {
    if digits.bytes().all(|byte| byte.is_ascii_digit()) { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_as_a_short_line() {
        let grant =
            Grant { min_executors: 1, max_executors: 4, total: PodSize { milli_cores: 4500, memory_mib: 12288 } };
        assert_eq!(grant.to_string(), "executors=1..4,cores=4500m,memory=12288Mi");
    }

    #[test]
    fn anything_else_is_no_grant() {
        for text in [
            "",
            "executors=1..4",
            "executors=4..1,cores=1m,memory=1Mi",
            "executors=1..+4,cores=1m,memory=1Mi",
            "executors=1..4,cores=1m,memory=1Gi",
            "executors=1..4,cores=1m,memory=1Mi ",
            "executors=..,cores=m,memory=Mi",
            "executors=1..4294967296,cores=1m,memory=1Mi",
            "executors=1..4,cores=99999999999999999999m,memory=1Mi",
        ] {
            assert_eq!(text.parse::<Grant>(), Err(NotAGrant), "{text}");
        }
    }

    proptest! {
        #[test]
        fn reads_back_what_it_has_written(min: u32, more: u32, milli_cores: u64, memory_mib: u64) {
            let total = PodSize { milli_cores, memory_mib };
            let grant = Grant { min_executors: min, max_executors: min.saturating_add(more), total };
            prop_assert_eq!(grant.to_string().parse(), Ok(grant));
        }

        #[test]
        fn any_text_gets_an_answer(text in "\\PC{0,60}") {
            let _ = text.parse::<Grant>();
        }
    }
}
