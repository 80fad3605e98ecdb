//! What a run was granted, as the builder needs it and as it stands on the run's object.

use std::fmt;
use std::str::FromStr;

use crate::model::{Locks, MOST_PERMITS, PodSize, are_in_order, is_label};

/// Bounds of a run's executors and all that was reserved for it, the driver included, with the permits that it holds.
///
/// Written as `executors=1..4,cores=4500m,memory=12288Mi,locks=lake:2+mail:1`, without the last part where there are no locks;
/// a lost ledger is rebuilt from what it reads there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grant {
    /// Executors that it starts with and keeps.
    pub min_executors: u32,
    /// Executors that it may have; at least 1.
    pub max_executors: u32,
    /// Driver and `max_executors` executors.
    pub total: PodSize,
    /// Permits of locks.
    pub locks: Locks,
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { min_executors, max_executors, total, locks } = self;
        write!(
            f,
            "executors={min_executors}..{max_executors},cores={}m,memory={}Mi",
            total.milli_cores, total.memory_mib
        )?;
        for (number, (lock, permits)) in locks.iter().enumerate() {
            let before = if number == 0 { ",locks=" } else { "+" };
            write!(f, "{before}{lock}:{permits}")?;
        }
        Ok(())
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
    let (cores, rest) = rest.split_once("m,memory=")?;
    let (memory, locks) = match rest.split_once(",locks=") {
        Some((memory, locks)) => (memory, parse_locks(locks)?),
        None => (rest, Locks::default()),
    };
    let (min, max) = executors.split_once("..")?;
    let (min_executors, max_executors) = (number(min)?.try_into().ok()?, number(max)?.try_into().ok()?);
    let total = PodSize { milli_cores: number(cores)?, memory_mib: number(memory.strip_suffix("Mi")?)? };
    (min_executors <= max_executors).then_some(Grant { min_executors, max_executors, total, locks })
}

/// Locks of any one run at most: as the schema of an Operation has it.
const MOST_LOCKS: usize = 8;

/// Locks in order, such as an Operation may name; anything else would be held for ever.
fn parse_locks(text: &str) -> Option<Locks> {
    let lock = |word: &str| {
        let (name, permits) = word.split_once(':').filter(|(name, _)| is_label(name))?;
        let permits = number(permits)?.try_into().ok().filter(|permits| *permits <= MOST_PERMITS)?;
        Some((name.into(), permits))
    };
    let locks: Locks = text.split('+').map(lock).collect::<Option<_>>()?;
    (are_in_order(&locks) && locks.len() <= MOST_LOCKS).then_some(locks)
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
        let total = PodSize { milli_cores: 4500, memory_mib: 12288 };
        let grant = Grant { min_executors: 1, max_executors: 4, total, locks: Locks::default() };
        assert_eq!(grant.to_string(), "executors=1..4,cores=4500m,memory=12288Mi");
        let locks = Locks::from([("lake".into(), 2), ("mail".into(), 1)]);
        let locked = Grant { locks, ..grant };
        assert_eq!(locked.to_string(), "executors=1..4,cores=4500m,memory=12288Mi,locks=lake:2+mail:1");
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
        let nine = "a:1+b:1+c:1+d:1+e:1+f:1+g:1+h:1+i:1";
        for locks in
            ["", "a", "a:", "a:0", "a:+1", "a:1000001", "a:1+", "b:1+a:1", "a:1+a:1", "A:1", "-a:1", "a b:1", nine]
        {
            let text = format!("executors=1..4,cores=1m,memory=1Mi,locks={locks}");
            assert_eq!(text.parse::<Grant>(), Err(NotAGrant), "{text}");
        }
    }

    fn locks() -> impl Strategy<Value = Locks> {
        let some = prop::collection::btree_map("[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", 1..=1_000_000_u32, 0..=8);
        some.prop_map(|locks| locks.into_iter().map(|(name, permits)| (name.into(), permits)).collect())
    }

    proptest! {
        #[test]
        fn reads_back_what_it_has_written(
            min: u32, more: u32, milli_cores: u64, memory_mib: u64, locks in locks(),
        ) {
            let total = PodSize { milli_cores, memory_mib };
            let grant = Grant { min_executors: min, max_executors: min.saturating_add(more), total, locks };
            prop_assert_eq!(grant.to_string().parse(), Ok(grant));
        }

        #[test]
        fn any_text_gets_an_answer(text in "\\PC{0,60}") {
            let _ = text.parse::<Grant>();
        }
    }
}
