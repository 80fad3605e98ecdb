//! Follows one kind for ever: lists, watches, starts again after errors. Knows `kube`'s watcher; does not know what the
//! objects mean.

use std::time::Duration;

use futures::StreamExt;
use kube::api::Api;
use kube::core::ObjectMeta;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Client, ResourceExt};
use tokio::sync::mpsc::Sender;

use super::object::{Object, View};
use super::seen::Seen;
use crate::api::convert;
use crate::command::{Change, Input, Kind};
use crate::observe::{Health, Metrics, words};
use crate::text::clean;

/// The API server ends every watch after this long, and it goes on where it was. A connection that died without a word
/// shows by being silent for longer: so this bounds how long the keeper can be blind.
const WATCH_SECONDS: u32 = 14;
/// How long the connection of a list or a watch may be silent before it counts as broken: longer than a watch without
/// events lasts.
pub const SILENCE: Duration = Duration::from_secs(20);
const _: () = assert!(SILENCE.as_secs() > WATCH_SECONDS as u64 + 5);

/// Turns objects of one kind into what the engine is told of them.
pub(super) trait Translate: Send + 'static {
    /// How its objects are read.
    type View: View;
    /// Which kind that is.
    const KIND: Kind;
    /// Its name as a metric's label.
    const WORD: &'static str;
    /// Only objects with this label (or, after `!`, without it) are watched.
    const LABEL: Option<&'static str> = None;

    /// The only namespace in which it is watched; `None`: all.
    fn namespace(&self) -> Option<&str> {
        None
    }
    /// Waits until it makes sense to list.
    fn may_list(&mut self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }
    /// Waits until what was told has to be told anew, from another list.
    fn outdated(&mut self) -> impl Future<Output = ()> + Send {
        std::future::pending()
    }
    /// What to tell of an object that is there; `None` = nothing.
    fn there(&self, meta: &ObjectMeta, view: &Self::View) -> Option<Change>;
    /// What to tell of an object that is gone.
    fn gone(&self, object: &Object<Self::View>) -> Option<Change>;
    /// A list begins.
    fn listing(&self) {}
    /// A list is complete.
    fn listed(&self) {}
}

/// The engine does not listen any more: the process is about to end.
#[derive(Debug, thiserror::Error)]
#[error("nobody listens")]
pub(super) struct NobodyListens;

/// Where everything goes.
#[derive(Clone)]
pub(super) struct Outlets {
    pub(super) inputs: Sender<Input>,
    pub(super) health: Health,
    pub(super) metrics: Metrics,
}

pub(super) struct Follow<T> {
    translate: T,
    outlets: Outlets,
    seen: Seen,
    listing: bool,
    /// Whether the API server knows the kind; `None` = not known yet.
    served: Option<bool>,
    failures: u32,
}

impl<T: Translate> Follow<T> {
    pub(super) fn new(translate: T, outlets: Outlets) -> Self {
        Self { translate, outlets, seen: Seen::default(), listing: false, served: None, failures: 0 }
    }

    /// Follows until nobody listens any more.
    pub(super) async fn run(mut self, client: Client) -> Result<(), NobodyListens> {
        loop {
            self.once(client.clone()).await?;
        }
    }

    /// Until the kind turns out not to be served: then the stream is thrown away, since its position means nothing in a
    /// kind that is defined anew. Or until all has to be listed again.
    async fn once(&mut self, client: Client) -> Result<(), NobodyListens> {
        self.translate.may_list().await;
        let mut config = watcher::Config::default().timeout(WATCH_SECONDS);
        if let Some(label) = T::LABEL {
            config = config.labels(label);
        }
        let objects: Api<Object<T::View>> = match self.translate.namespace() {
            Some(namespace) => Api::namespaced(client, namespace),
            None => Api::all(client),
        };
        let mut stream = watcher(objects, config).boxed();
        loop {
            let event = tokio::select! {
                event = stream.next() => event,
                // A list that is under way is ended first, or one edit after the other could keep it from ever being.
                () = self.translate.outdated(), if !self.listing => return Ok(()),
            };
            match event {
                None => return Ok(()),
                Some(Ok(event)) => self.handle(event).await?,
                Some(Err(error)) => {
                    let missing = is_missing(&error);
                    self.fail(&error, missing).await?;
                    if missing {
                        return Ok(());
                    }
                }
            }
        }
    }

    async fn handle(&mut self, event: Event<Object<T::View>>) -> Result<(), NobodyListens> {
        match event {
            // Only a list that answers is a list: a failing one starts over and over.
            Event::Init => self.listing = false,
            Event::InitApply(object) => {
                self.begin_list().await?;
                self.pass(&object).await?;
            }
            Event::InitDone => {
                self.begin_list().await?;
                self.end_list().await?;
            }
            Event::Apply(object) => self.pass(&object).await?,
            Event::Delete(object) => {
                self.seen.forget(&object.uid().unwrap_or_default());
                if let Some(change) = self.translate.gone(&object) {
                    self.tell(Input::Watched(change)).await?;
                }
            }
        }
        self.failures = 0;
        Ok(())
    }

    async fn begin_list(&mut self) -> Result<(), NobodyListens> {
        if std::mem::replace(&mut self.listing, true) {
            return Ok(());
        }
        if T::KIND == Kind::Application && self.served != Some(true) {
            self.tell(Input::SparkOperator(true)).await?;
        }
        self.served = Some(true);
        self.seen.list();
        self.translate.listing();
        self.tell(Input::RelistStarted(T::KIND)).await
    }

    async fn end_list(&mut self) -> Result<(), NobodyListens> {
        self.listing = false;
        self.seen.listed();
        self.translate.listed();
        self.tell(Input::RelistDone(T::KIND)).await?;
        self.outlets.health.synced(T::KIND);
        Ok(())
    }

    async fn pass(&mut self, object: &Object<T::View>) -> Result<(), NobodyListens> {
        let change = match &object.content {
            Ok(view) => self.translate.there(&object.metadata, view),
            Err(error) => Some(self.unreadable(&object.metadata, error)),
        };
        let Some(change) = change else { return Ok(()) };
        if self.seen.is_news(&object.uid().unwrap_or_default(), &change) {
            self.tell(Input::Watched(change)).await?;
        }
        Ok(())
    }

    fn unreadable(&self, meta: &ObjectMeta, error: &str) -> Change {
        let key = convert::key(meta);
        self.outlets.metrics.malformed.with_label_values(&[T::WORD]).inc();
        tracing::warn!(kind = T::WORD, object = %key, error = %clean(error, 300), "an object cannot be understood");
        Change::Unreadable(T::KIND, key)
    }

    async fn fail(&mut self, error: &watcher::Error, missing: bool) -> Result<(), NobodyListens> {
        self.failures = self.failures.saturating_add(1);
        if missing && matches!(T::KIND, Kind::Application | Kind::Stranger) {
            self.not_served().await?;
        } else {
            self.outlets.metrics.watch_restarts.with_label_values(&[T::WORD]).inc();
            tracing::warn!(kind = T::WORD, error = %said(error), "a watch starts again");
        }
        tokio::time::sleep(pause(self.failures)).await;
        Ok(())
    }

    /// `SparkApplication`s are not defined: there are none, and that is a complete answer.
    async fn not_served(&mut self) -> Result<(), NobodyListens> {
        if self.served == Some(false) {
            return Ok(());
        }
        tracing::warn!(kind = T::WORD, "the API server does not know the kind");
        self.served = Some(false);
        if T::KIND == Kind::Application {
            self.tell(Input::SparkOperator(false)).await?;
        }
        self.seen.list();
        self.translate.listing();
        self.tell(Input::RelistStarted(T::KIND)).await?;
        self.end_list().await
    }

    async fn tell(&self, input: Input) -> Result<(), NobodyListens> {
        self.outlets.inputs.send(input).await.map_err(|_| NobodyListens)
    }
}

/// How long to wait after so many failures in a row.
fn pause(failures: u32) -> Duration {
    Duration::from_millis(200).saturating_mul(1 << failures.min(5)).min(Duration::from_secs(5))
}

fn said(error: &watcher::Error) -> String {
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => words(error),
        watcher::Error::WatchError(status) => clean(&format!("{} {}", status.code, status.message), 300),
        watcher::Error::NoResourceVersion => error.to_string(),
    }
}

fn is_missing(error: &watcher::Error) -> bool {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
        | watcher::Error::WatchError(status) => status.code == 404,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_five_seconds() {
        assert_eq!(pause(1), Duration::from_millis(400));
        assert_eq!(pause(40), Duration::from_secs(5));
    }
}
