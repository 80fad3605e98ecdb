//! Who holds something back.

use std::fmt;

use super::name::Name;
use super::time::Time;

/// Who holds something back: a cluster, an operation, a job, or everything.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Hold {
    /// Who: the field manager that set it, or `the settings`.
    pub by: Name,
    /// Since when at the latest; `None` = nobody can tell.
    pub since: Option<Time>,
    /// Why, where they say it.
    pub why: Option<Box<str>>,
}

impl Hold {
    /// The same, if it was there at `time` already.
    #[must_use]
    pub fn known_at(mut self, time: Option<Time>) -> Self {
        self.since = self.since.into_iter().chain(time).min();
        self
    }

    /// The moment, as it stands behind `cancelled by kubectl-patch`: ` at 2026-11-26 14:02 UTC`.
    #[must_use]
    pub fn at(&self) -> String {
        self.since.map(|time| format!(" at {time}")).unwrap_or_default()
    }
}

/// `kubectl-edit since 2026-11-26 14:02 UTC`, `the settings: maintenance until Monday`.
impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.by)?;
        if let Some(why) = &self.why {
            write!(f, ": {why}")?;
        }
        if let Some(time) = self.since {
            write!(f, " since {time}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_says_who_since_when_and_why() {
        let hold = Hold { by: "kubectl-edit".into(), since: Some(Time(1_795_701_720_000)), why: None };
        assert_eq!(hold.to_string(), "kubectl-edit since 2026-11-26 14:02 UTC");
        assert_eq!(hold.at(), " at 2026-11-26 14:02 UTC");
        let settings = Hold { by: "the settings".into(), since: None, why: Some("maintenance".into()) };
        assert_eq!((settings.to_string(), settings.at()), ("the settings: maintenance".into(), String::new()));
    }

    #[test]
    fn the_earlier_of_two_times_is_the_nearer_one() {
        let hold = |since| Hold { by: "a".into(), since, why: None };
        assert_eq!(hold(Some(Time(5))).known_at(Some(Time(3))), hold(Some(Time(3))));
        assert_eq!(hold(Some(Time(5))).known_at(Some(Time(9))), hold(Some(Time(5))));
        assert_eq!(hold(None).known_at(None), hold(None));
    }
}
