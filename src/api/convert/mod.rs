//! Between the objects as the API server holds them and the checked types of the domain, both ways. Pure. What cannot be
//! understood becomes a defect that names the field, never an error that stops the keeper.

mod application;
mod cluster;
mod condition;
mod hold;
mod job;
mod job_status;
mod ledger;
mod operation;
mod patch;
mod placeholders;
mod pod;
mod stranger;
mod usage;
mod window;

pub use application::{PLACEHOLDER_ANNOTATION, application, placeholder_word};
pub use cluster::{cluster, cluster_status, is_cluster_held};
pub use job::{is_job_held, job};
pub use job_status::job_status;
pub use ledger::{MalformedLedger, read_ledger, write_ledger};
pub use operation::{is_operation_held, operation, operation_status};
pub use placeholders::{cluster_of_placeholders, deployment, placeholders, placeholders_name};
pub use pod::{pod, pod_request};
pub use stranger::stranger;

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time as ApiTime};

use crate::model::{Name, ObjectKey, Time, Uid};

/// A moment as the API writes it.
fn api_time(time: Time) -> ApiTime {
    ApiTime(Timestamp::from_millisecond(time.0).unwrap_or_default())
}

/// A moment as the API wrote it.
fn model_time(time: &ApiTime) -> Time {
    Time(time.0.as_millisecond())
}

fn created(meta: &ObjectMeta) -> Time {
    meta.creation_timestamp.as_ref().map_or(Time::default(), model_time)
}

/// Namespace and name of an object; empty where the API server gave none, which it never does.
#[must_use]
pub fn key(meta: &ObjectMeta) -> ObjectKey {
    ObjectKey::new(meta.namespace.as_deref().unwrap_or_default(), name(meta))
}

fn name(meta: &ObjectMeta) -> Name {
    meta.name.as_deref().unwrap_or_default().into()
}

/// Labels of an object.
#[must_use]
pub fn labels(meta: &ObjectMeta) -> BTreeMap<Box<str>, Box<str>> {
    meta.labels.iter().flatten().map(|(key, value)| (key.as_str().into(), value.as_str().into())).collect()
}

/// UID of an object.
#[must_use]
pub fn uid(meta: &ObjectMeta) -> Uid {
    meta.uid.as_deref().unwrap_or_default().into()
}

/// Whether a text from outside may be the name of an object: a DNS-1123 subdomain.
fn is_name(text: &str) -> bool {
    let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    let label = |label: &str| {
        let bytes = label.as_bytes();
        let ends = [bytes.first(), bytes.last()];
        ends.iter().all(|end| end.is_some_and(|c| plain(*c))) && bytes.iter().all(|c| plain(*c) || *c == b'-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

/// A count from the API: what is below zero (the schema refuses it) counts as zero.
fn count(number: i32) -> u32 {
    u32::try_from(number).unwrap_or(0)
}

/// A count for the API: what does not fit there is as much as fits.
fn written<N: TryInto<i32>>(number: N) -> i32 {
    number.try_into().unwrap_or(i32::MAX)
}
