//! Shows a judge every change of applications and jobs, by watches of its own.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind};
use kube::runtime::watcher::Event;
use kube::runtime::{WatchStreamExt, watcher};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::judge::Judge;

/// How long nothing may happen while something is waited for: longer than a window takes to open.
const PATIENCE: Duration = Duration::from_mins(2);

/// Ends when it is dropped.
pub(crate) struct Observer {
    judge: Arc<Mutex<Judge>>,
    changes: watch::Receiver<()>,
    tasks: [JoinHandle<()>; 2],
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Observer {
    /// When it is there it misses nothing.
    pub(crate) async fn start(client: &Client, judge: Judge) -> Self {
        let judge = Arc::new(Mutex::new(judge));
        let (news, changes) = watch::channel(());
        let all = |group: &str, version: &str, kind: &str| {
            let kind = GroupVersionKind::gvk(group, version, kind);
            Api::<DynamicObject>::all_with(client.clone(), &ApiResource::from_gvk(&kind))
        };
        let applications = all("sparkoperator.k8s.io", "v1beta2", "SparkApplication");
        let jobs = all("slowlane.dev", "v1alpha1", "ManagedJob");
        let (begun, mut begins) = mpsc::channel(2);
        let tasks = [
            tokio::spawn(show(applications, application, Arc::clone(&judge), news.clone(), begun.clone())),
            tokio::spawn(show(jobs, job, Arc::clone(&judge), news, begun)),
        ];
        for _ in &tasks {
            begins.recv().await.expect("it watches");
        }
        Self { judge, changes, tasks }
    }

    pub(crate) fn judge(&self) -> MutexGuard<'_, Judge> {
        lock(&self.judge)
    }

    /// What it has found.
    pub(crate) fn end(self) -> Judge {
        std::mem::take(&mut lock(&self.judge))
    }

    /// Waits until the judge has seen what is wanted; fails when that has seen what may not be, and when nothing happens.
    pub(crate) async fn until(&mut self, what: &str, holds: impl Fn(&Judge) -> bool) {
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

type Show = fn(&mut Judge, &Event<DynamicObject>);

/// Shows every change of one kind.
async fn show(
    all: Api<DynamicObject>,
    show: Show,
    judge: Arc<Mutex<Judge>>,
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

fn lock(judge: &Mutex<Judge>) -> MutexGuard<'_, Judge> {
    judge.lock().unwrap_or_else(PoisonError::into_inner)
}

fn application(judge: &mut Judge, event: &Event<DynamicObject>) {
    match event {
        Event::Apply(object) | Event::InitApply(object) => judge.application(object),
        Event::Delete(object) => judge.application_gone(object),
        Event::Init | Event::InitDone => {}
    }
}

fn job(judge: &mut Judge, event: &Event<DynamicObject>) {
    if let Event::Apply(object) | Event::InitApply(object) = event {
        judge.job(object);
    }
}
