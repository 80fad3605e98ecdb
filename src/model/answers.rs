//! What a job answers to expressions over it (`accept[].when` of clusters). They are asked outside, once a job arrives or is
//! edited: deciding takes the answers.

use std::sync::Arc;

/// What an expression says of a job.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Answer {
    /// It holds.
    Yes,
    /// It does not.
    No,
    /// It cannot be said, and why, in words that name no value of the job: jobs with one answer share a queue.
    Failed(Box<str>),
}

/// An expression, and what it says.
pub type Answered = (Box<str>, Answer);

/// A job's answers, in the order of the expressions. Shared, since most jobs answer alike.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Answers(pub Arc<[Answered]>);

impl Answers {
    /// These.
    #[must_use]
    pub fn new(answers: impl IntoIterator<Item = Answered>) -> Self {
        let mut all: Vec<_> = answers.into_iter().collect();
        all.sort();
        Self(all.into())
    }

    /// What it answers; `None` = it was not asked yet.
    #[must_use]
    pub fn to(&self, expression: &str) -> Option<&Answer> {
        let at = self.0.binary_search_by(|(asked, _)| (**asked).cmp(expression)).ok()?;
        Some(&self.0[at].1)
    }

    /// Whether the expression is known to hold.
    #[must_use]
    pub fn say_yes_to(&self, expression: &str) -> bool {
        self.to(expression) == Some(&Answer::Yes)
    }

    /// Whether the expression is known not to hold: it was asked, and did not say yes.
    #[must_use]
    pub fn say_no_to(&self, expression: &str) -> bool {
        self.to(expression).is_some_and(|answer| *answer != Answer::Yes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_not_asked_says_neither_yes_nor_no() {
        let failed = Answer::Failed("no such key: rows".into());
        let answers = Answers::new([("b".into(), Answer::No), ("a".into(), Answer::Yes), ("c".into(), failed)]);
        let said = |expression| (answers.say_yes_to(expression), answers.say_no_to(expression));
        assert_eq!(["a", "b", "c", "d"].map(said), [(true, false), (false, true), (false, true), (false, false)]);
        assert_eq!(Answers::new([]), Answers::default());
    }
}
