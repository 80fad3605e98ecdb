//! For people, one line in the log and one Kubernetes Event: of a job's transitions, and of an application that no job declared.

use std::sync::atomic::Ordering;

use jiff::Timestamp;
use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, PostParams};

use super::{Executor, MANAGER};
use crate::command::{Announcement, Failure};
use crate::model::{Name, ObjectKey, Resized, Uid};
use crate::observe::{event, pool_event, stranger_event};
use crate::text::clean;

impl Executor {
    pub(super) async fn announce(&self, announcement: &Announcement) -> Result<(), Failure> {
        let correlation = self.correlation(&announcement.uid);
        let correlation = correlation.as_deref();
        log(announcement, correlation);
        let serial = self.events.fetch_add(1, Ordering::Relaxed);
        let now = Timestamp::from_millisecond(self.clock.now().0).unwrap_or_default();
        let event = event(announcement, correlation, &self.names.instance, now, serial);
        self.create_event(&event).await
    }

    /// One event for each: that it was told before, by whoever led then, is as good.
    pub(super) async fn report_stranger(&self, key: &ObjectKey, uid: &Uid, message: &str) -> Result<(), Failure> {
        tracing::warn!(application = %key, detail = clean(message, 500), "an application that no job declared");
        let now = Timestamp::from_millisecond(self.clock.now().0).unwrap_or_default();
        let event = stranger_event(key, uid, message, &self.names.instance, now);
        self.create_event(&event).await
    }

    /// A pool has another size.
    pub(super) async fn announce_pool(&self, cluster: &Name, uid: &Uid, resized: &Resized) -> Result<(), Failure> {
        let reason = resized.cause.as_str();
        tracing::info!(cluster = &**cluster, reason, detail = %resized, "a pool has another size");
        self.metrics.pool_changes.with_label_values(&[cluster, reason]).inc();
        let serial = self.events.fetch_add(1, Ordering::Relaxed);
        let now = Timestamp::from_millisecond(self.clock.now().0).unwrap_or_default();
        let event = pool_event(cluster, uid, resized, &self.names.instance, now, serial);
        self.create_event(&event).await
    }

    /// One of that name is there: it was told, and that is as good.
    async fn create_event(&self, event: &Event) -> Result<(), Failure> {
        let namespace = event.metadata.namespace.as_deref().unwrap_or_default();
        let api: Api<Event> = Api::namespaced(self.client.clone(), namespace);
        let params = PostParams { field_manager: Some(MANAGER.into()), dry_run: false };
        self.caller.create("Event", api.create(&params, event)).await.map(|_| ())
    }
}

fn log(announcement: &Announcement, correlation: Option<&str>) {
    let Announcement { job, uid, state, reason, message, warning } = announcement;
    let (job, uid, state) = (job.to_string(), uid.to_string(), state.as_str());
    let message = clean(message, 500);
    if *warning {
        tracing::warn!(job, uid, correlation, state, reason, detail = message, "a job changed its state");
    } else {
        tracing::info!(job, uid, correlation, state, reason, detail = message, "a job changed its state");
    }
}
