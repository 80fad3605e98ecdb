//! Shows a judge every change of what it judges, by watches of its own.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind};
use kube::runtime::watcher::Event;
use kube::runtime::{WatchStreamExt, watcher};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// How long nothing may happen while something is waited for: longer than a window takes to open.
const PATIENCE: Duration = Duration::from_mins(2);

/// Says what may not be.
pub(crate) trait Judging: Default + Send + 'static {
    /// All that it has to see.
    fn sights() -> Vec<Sight<Self>>;
    /// Notes that something was that may not be.
    fn violation(&mut self, words: String);
    /// Fails with all that was found to be wrong.
    fn has_found_nothing(&self);
    /// What it has seen, in words.
    fn summary(&self) -> String;
}

type Show<J> = fn(&mut J, &Event<DynamicObject>);

/// Group, version and kind of objects, and how a judge is shown a change of one.
pub(crate) type Sight<J> = ([&'static str; 3], Show<J>);

/// Ends when it is dropped.
pub(crate) struct Observer<J: Judging> {
    judge: Arc<Mutex<J>>,
    changes: watch::Receiver<()>,
    tasks: Vec<JoinHandle<()>>,
}

impl<J: Judging> Drop for Observer<J> {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl<J: Judging> Observer<J> {
    /// When it is there it misses nothing.
    pub(crate) async fn start(client: &Client, judge: J) -> Self {
        let judge = Arc::new(Mutex::new(judge));
        let (news, changes) = watch::channel(());
        let sights = J::sights();
        let (begun, mut begins) = mpsc::channel(sights.len());
        let watch = |([group, version, kind], of): Sight<J>| {
            let kind = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
            let all = Api::<DynamicObject>::all_with(client.clone(), &kind);
            tokio::spawn(show(all, of, Arc::clone(&judge), news.clone(), begun.clone()))
        };
        let tasks: Vec<_> = sights.into_iter().map(watch).collect();
        for _ in &tasks {
            begins.recv().await.expect("it watches");
        }
        Self { judge, changes, tasks }
    }

    pub(crate) fn judge(&self) -> MutexGuard<'_, J> {
        lock(&self.judge)
    }

    /// What it has found.
    pub(crate) fn end(self) -> J {
        std::mem::take(&mut lock(&self.judge))
    }

    /// Waits until the judge has seen what is wanted; fails when that has seen what may not be, and when nothing happens.
    pub(crate) async fn until(&mut self, what: &str, holds: impl Fn(&J) -> bool) {
        loop {
            self.changes.borrow_and_update();
            {
                let judge = lock(&self.judge);
                judge.has_found_nothing();
                if holds(&judge) {
                    return;
                }
            }
            let next = tokio::time::timeout(PATIENCE, self.changes.changed()).await;
            assert!(next.is_ok(), "{what}: nothing happens any more\n{}", self.judge().summary());
        }
    }
}

/// Shows every change of one kind.
async fn show<J: Judging>(
    all: Api<DynamicObject>,
    show: Show<J>,
    judge: Arc<Mutex<J>>,
    news: watch::Sender<()>,
    begun: mpsc::Sender<()>,
) {
    let mut events = watcher(all, watcher::Config::default()).default_backoff().boxed();
    let mut lists = 0;
    while let Some(event) = events.next().await {
        let Ok(event) = event else { continue };
        show(&mut lock(&judge), &event);
        if matches!(event, Event::InitDone) {
            lists += 1;
            let _ = begun.try_send(());
        }
        if lists > 1 {
            lock(&judge).violation("the observer has missed changes: it had to list anew".to_owned());
        }
        news.send_replace(());
    }
}

fn lock<J>(judge: &Mutex<J>) -> MutexGuard<'_, J> {
    judge.lock().unwrap_or_else(PoisonError::into_inner)
}
