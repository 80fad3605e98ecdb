//! The expressions of all clusters, each compiled once, and what jobs say to them. The watch of clusters fills it, that of jobs
//! asks; where an expression is new, jobs have to be read again, since what they say is all that is kept of them.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use kube::core::ObjectMeta;
use tokio::sync::watch;

use super::catalog::Shelf;
use crate::api::v1alpha1::{ComputeClusterSpec, ManagedJobSpec};
use crate::expression::{Expression, Subject};
use crate::model::{Answers, Name};

/// Shared between the watches. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Expressions {
    shelves: Arc<Mutex<Shelves>>,
    /// How often an expression was new; `None` until the clusters are listed.
    news: watch::Sender<Option<u64>>,
}

#[derive(Debug, Default)]
struct Shelves {
    /// Which expressions each cluster has.
    clusters: Shelf<Name, Vec<Box<str>>>,
    compiled: HashMap<Box<str>, Result<Arc<Expression>, String>>,
    /// Those that can be evaluated.
    all: Arc<[Arc<Expression>]>,
    news: u64,
}

impl Default for Expressions {
    fn default() -> Self {
        Self { shelves: Arc::default(), news: watch::Sender::new(None) }
    }
}

impl Expressions {
    /// A cluster has these expressions.
    ///
    /// # Errors
    /// Which of them is none and why, with its path in the spec.
    pub(super) fn put(&self, cluster: Name, spec: &ComputeClusterSpec) -> Result<(), String> {
        let all = spec.accept.iter().enumerate().filter_map(|(number, entry)| Some((number, entry.when.as_deref()?)));
        let all: Vec<(usize, &str)> = all.collect();
        let mut error = None;
        self.change(|shelves| {
            for (number, text) in &all {
                if !shelves.compiled.contains_key(*text) {
                    let compiled = Expression::compile(text).map(Arc::new);
                    shelves.news += u64::from(compiled.is_ok());
                    shelves.compiled.insert((*text).into(), compiled);
                }
                if let Some(Err(words)) = shelves.compiled.get(*text) {
                    error.get_or_insert(format!("spec.accept[{number}].when: {words}"));
                }
            }
            shelves.clusters.put(cluster, all.iter().map(|(_, text)| (*text).into()).collect());
        });
        error.map_or(Ok(()), Err)
    }

    pub(super) fn remove(&self, cluster: &Name) {
        self.change(|shelves| shelves.clusters.remove(cluster));
    }

    pub(super) fn list(&self) {
        self.change(|shelves| shelves.clusters.list());
    }

    pub(super) fn listed(&self) {
        self.change(|shelves| shelves.clusters.sweep());
        self.tell(|news, now| *news = Some(now));
    }

    /// What a job says to all of them.
    pub(super) fn ask(&self, meta: &ObjectMeta, spec: &ManagedJobSpec) -> Answers {
        let all = self.shelves().all.clone();
        if all.is_empty() {
            return Answers::default();
        }
        let subject = Subject::new(meta, spec);
        Answers::new(all.iter().map(|expression| (expression.text().into(), expression.of(&subject))))
    }

    /// Tells when an expression is new, and when the clusters are listed.
    pub(super) fn news(&self) -> watch::Receiver<Option<u64>> {
        self.news.subscribe()
    }

    fn change(&self, change: impl FnOnce(&mut Shelves)) {
        let mut shelves = self.shelves();
        change(&mut shelves);
        let Shelves { clusters, compiled, all, .. } = &mut *shelves;
        let used: HashSet<&Box<str>> = clusters.objects().flatten().collect();
        compiled.retain(|text, _| used.contains(text));
        *all = compiled.values().filter_map(|expression| expression.as_ref().ok().cloned()).collect();
        drop(shelves);
        self.tell(|news, now| {
            news.as_mut().into_iter().for_each(|news| *news = now);
        });
    }

    fn tell(&self, tell: impl FnOnce(&mut Option<u64>, u64)) {
        let now = self.shelves().news;
        self.news.send_if_modified(|news| {
            let before = *news;
            tell(news, now);
            *news != before
        });
    }

    // Nothing is left half-changed by a panic in here: a poisoned lock holds what it held.
    fn shelves(&self) -> std::sync::MutexGuard<'_, Shelves> {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::Answer;

    fn spec(when: &[&str]) -> ComputeClusterSpec {
        let accept: Vec<_> = when.iter().map(|when| json!({"when": when})).collect();
        serde_json::from_value(json!({"accept": accept})).unwrap()
    }

    #[test]
    fn jobs_are_asked_what_the_clusters_that_are_there_want_to_know() {
        let expressions = Expressions::default();
        let news = expressions.news();
        let told = || *news.borrow();
        let job: ManagedJobSpec = serde_json::from_value(json!({"operation": "report"})).unwrap();
        let ask = |when: &str| expressions.ask(&ObjectMeta::default(), &job).to(when).cloned();
        let (of_report, high) = ("job.spec.operation == 'report'", "job.spec.priority == 'High'");

        expressions.list();
        assert_eq!(expressions.put("day".into(), &spec(&[of_report])), Ok(()));
        assert_eq!(told(), None, "jobs are not read before all clusters are");
        expressions.listed();
        let first = told();
        assert!(first.is_some());
        assert_eq!((ask(of_report), ask(high)), (Some(Answer::Yes), None));

        assert_eq!(expressions.put("night".into(), &spec(&[of_report, high])), Ok(()));
        assert!(told() > first, "jobs have to be read again");
        assert_eq!(ask(high), Some(Answer::Failed("no such key: priority".into())));
        let second = told();
        expressions.remove(&"day".into());
        assert_eq!((ask(of_report), told()), (Some(Answer::Yes), second), "the other has it still");
        expressions.list();
        expressions.listed();
        assert_eq!((ask(of_report), ask(high)), (None, None), "what the list does not name is gone");
    }

    #[test]
    fn what_is_no_expression_is_named_with_its_path_and_spoils_no_other() {
        let expressions = Expressions::default();
        let error = expressions.put("day".into(), &spec(&["has(job.spec.priority)", "job.spec."])).unwrap_err();
        assert!(error.starts_with("spec.accept[1].when: is no CEL expression: "), "{error}");
        let job = serde_json::from_value(json!({"operation": "report"})).unwrap();
        let answers = expressions.ask(&ObjectMeta::default(), &job);
        assert!(answers.say_no_to("has(job.spec.priority)"));
        assert_eq!(answers.to("job.spec."), None);
    }
}
