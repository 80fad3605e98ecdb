//! What the types of the settings cannot say: keys that mean nothing, and ranges.

use std::net::SocketAddr;

use serde_yaml::Value;
use tracing_subscriber::EnvFilter;

use super::{ConfigError, Settings};
use crate::model::{MOST_PERMITS, is_label};

/// The first key of `written` that the complete set of keys in `known` does not have. What is empty there is a map that
/// takes any.
pub(super) fn unknown_key(written: &Value, known: &Value) -> Option<ConfigError> {
    find(written, known, "")
}

fn find(written: &Value, known: &Value, above: &str) -> Option<ConfigError> {
    let (Value::Mapping(written), Value::Mapping(known)) = (written, known) else { return None };
    if known.is_empty() {
        return None;
    }
    written.iter().find_map(|(key, value)| {
        let path = format!("{above}{}", shown(key));
        match known.get(key) {
            Some(below) => find(value, below, &format!("{path}.")),
            None => Some(ConfigError::UnknownKey { path, known: sorted(known.keys()) }),
        }
    })
}

fn shown(key: &Value) -> String {
    match key {
        Value::String(text) => text.clone(),
        other => serde_yaml::to_string(other).unwrap_or_default().trim().to_owned(),
    }
}

fn sorted<'a>(keys: impl Iterator<Item = &'a Value>) -> String {
    let mut words: Vec<String> = keys.map(shown).collect();
    words.sort();
    words.join(", ")
}

/// Checks every range.
pub(super) fn ranges(settings: &Settings) -> Result<(), ConfigError> {
    let election = &settings.leader_election;
    let numbers = [
        ("leaderElection.leaseSeconds", election.lease_seconds, 2, 600, "2 to 600"),
        ("leaderElection.renewDeadlineSeconds", election.renew_deadline_seconds, 1, 599, "1 to 599"),
        ("leaderElection.retrySeconds", election.retry_seconds, 1, 300, "1 to 300"),
        ("ledger.maxLiveRuns", settings.ledger.max_live_runs, 1, 1000, "1 to 1000"),
        ("admission.waitingBoundSeconds", settings.admission.waiting_bound_seconds, 1, WEEK, "1 to 604800"),
        ("admission.agingSecondsPerClass", settings.admission.aging_seconds_per_class, 1, DECADE, "1 to 315360000"),
        ("admission.quarantineSeconds", settings.admission.quarantine_seconds, 1, 3600, "1 to 3600"),
        ("admission.gatherSeconds", settings.admission.gather_seconds, 0, 5, "0 to 5"),
        ("runs.lingeringSeconds", settings.runs.lingering_seconds, 1, 3600, "1 to 3600"),
        ("runs.startTimeoutSeconds", settings.runs.start_timeout_seconds, 1, WEEK, "1 to 604800"),
        ("runs.operatorAbsentSeconds", settings.runs.operator_absent_seconds, 1, 3600, "1 to 3600"),
        ("tombstones.keepSeconds", settings.tombstones.keep_seconds, 1, WEEK, "1 to 604800"),
        ("tombstones.max", settings.tombstones.max, 0, 100_000, "0 to 100000"),
        ("writer.inFlight", settings.writer.in_flight, 1, 256, "1 to 256"),
        ("writer.requestSeconds", settings.writer.request_seconds, 1, 60, "1 to 60"),
        ("status.delaySeconds", settings.status.delay_seconds, 0, 60, "0 to 60"),
        ("status.detailSeconds", settings.status.detail_seconds, 1, 3600, "1 to 3600"),
    ];
    for (path, value, min, max, rule) in numbers {
        require(value >= min && value <= max, path, &value, rule)?;
    }
    let (lease, renew, retry) = (election.lease_seconds, election.renew_deadline_seconds, election.retry_seconds);
    require(renew < lease, "leaderElection.renewDeadlineSeconds", &renew, "less than leaseSeconds")?;
    require(retry < renew, "leaderElection.retrySeconds", &retry, "less than renewDeadlineSeconds")?;
    locks(settings)?;
    texts(settings)
}

fn locks(settings: &Settings) -> Result<(), ConfigError> {
    for (name, permits) in &settings.locks {
        let path = format!("locks.{name}");
        require(is_label(name), &path, name, "a name of lower-case letters, digits and dashes, at most 63")?;
        require(*permits <= MOST_PERMITS, &path, permits, "0 to 1000000")?;
    }
    Ok(())
}

const WEEK: u32 = 7 * 24 * 3600;
const DECADE: u32 = 3650 * 24 * 3600;

fn texts(settings: &Settings) -> Result<(), ConfigError> {
    const NAME: &str = "a lower-case DNS name";
    let election = &settings.leader_election;
    require(is_name(&election.lease_name), "leaderElection.leaseName", &election.lease_name, NAME)?;
    if let Some(namespace) = &election.namespace {
        require(is_label(namespace), "leaderElection.namespace", namespace, NAME)?;
    }
    let hold = &settings.admission.hold;
    require(hold.chars().count() <= 200, "admission.hold", hold, "a text of at most 200 characters")?;
    require(is_name(&settings.ledger.name), "ledger.name", &settings.ledger.name, NAME)?;
    let placeholders = &settings.placeholders;
    let class = &placeholders.priority_class_name;
    require(is_name(class), "placeholders.priorityClassName", class, NAME)?;
    require(!placeholders.image.is_empty(), "placeholders.image", &placeholders.image, "the name of an image")?;
    let address = &settings.http.address;
    require(address.parse::<SocketAddr>().is_ok(), "http.address", address, "an address and a port: 0.0.0.0:8080")?;
    let level = &settings.log.level;
    require(EnvFilter::try_new(level).is_ok(), "log.level", level, "error, warn, info, debug, trace or a filter")
}

/// A DNS-1123 subdomain, no longer than a label may be.
fn is_name(text: &str) -> bool {
    text.len() <= 63 && text.split('.').all(is_label)
}

fn require(holds: bool, path: &str, value: &dyn std::fmt::Display, rule: &'static str) -> Result<(), ConfigError> {
    if holds { Ok(()) } else { Err(ConfigError::OutOfRange { path: path.to_owned(), value: value.to_string(), rule }) }
}
