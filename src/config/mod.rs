//! The settings file: one typed structure, every value with a default. Knows YAML and ranges;
//! does not know what the values are used for. A wrong file is refused with the path of what is wrong in it.

mod check;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{self, Hold, Span};
use crate::text::clean;

/// Why the settings were refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /** Which file. */
        path: PathBuf,
        /** Why. */
        source: std::io::Error,
    },
    /// It is no YAML, or a value has the wrong type.
    #[error("{0}")]
    Malformed(#[from] serde_yaml::Error),
    /// It has a key that means nothing.
    #[error("{path}: unknown field, expected one of {known}")]
    UnknownKey {
        /** The key's path. */
        path: String,
        /** The keys that there are. */
        known: String,
    },
    /// A value is out of its range.
    #[error("{path}: {value} is out of range: {rule}")]
    OutOfRange {
        /** The key's path. */
        path: String,
        /** What stands there. */
        value: String,
        /** What would be right. */
        rule: &'static str,
    },
}

/// The settings file as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Settings {
    /// Who leads.
    pub leader_election: LeaderElection,
    /// The ledger.
    pub ledger: LedgerSettings,
    /// Who starts when.
    pub admission: Admission,
    /// Permits of locks by their names; they hold everywhere.
    pub locks: BTreeMap<String, u32>,
    /// What becomes of `SparkApplication`s that no job declared.
    pub undeclared: Undeclared,
    /// What happens to runs.
    pub runs: Runs,
    /// What holds warm executors.
    pub placeholders: PlaceholderSettings,
    /// How long closed runs' applications stay.
    pub tombstones: Tombstones,
    /// How the API server is written to.
    pub writer: WriterSettings,
    /// How often statuses are written.
    pub status: StatusSettings,
    /// Health and metrics.
    pub http: Http,
    /// Logs.
    pub log: Log,
}

/// Who leads: a Lease, renewed and taken over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct LeaderElection {
    /// Name of the Lease.
    pub lease_name: String,
    /// Its namespace and the ledger's; left out: the keeper's own.
    pub namespace: Option<String>,
    /// Another replica takes over when the lease has not changed for this long.
    pub lease_seconds: u32,
    /// The leader stops writing when it could not renew for this long.
    pub renew_deadline_seconds: u32,
    /// How often the lease is renewed or looked at.
    pub retry_seconds: u32,
}

impl Default for LeaderElection {
    fn default() -> Self {
        Self {
            lease_name: "slowlane".into(),
            namespace: None,
            lease_seconds: 15,
            renew_deadline_seconds: 10,
            retry_seconds: 2,
        }
    }
}

/// The ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct LedgerSettings {
    /// Name of the `RunLedger`.
    pub name: String,
    /// Runs that it may hold at once.
    pub max_live_runs: u32,
}

impl Default for LedgerSettings {
    fn default() -> Self {
        Self { name: "slowlane".into(), max_live_runs: 1000 }
    }
}

/// Who starts when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Admission {
    /// How long a job that does not fit is passed over before room is reserved for it.
    pub waiting_bound_seconds: u32,
    /// How much longer a job has to have waited to stand equal to one of the next higher priority class.
    pub aging_seconds_per_class: u32,
    /// How long nothing is admitted after the ledger was lost, and how long a refused create is tried again.
    pub quarantine_seconds: u32,
    /// How long a job that may take much of a cluster waits for others that come with it, to be decided on together.
    pub gather_seconds: u32,
    /// Why nothing starts anywhere, for people; empty: jobs start.
    pub hold: String,
}

impl Default for Admission {
    fn default() -> Self {
        Self {
            waiting_bound_seconds: 600,
            aging_seconds_per_class: 86_400,
            quarantine_seconds: 60,
            gather_seconds: 1,
            hold: String::new(),
        }
    }
}

/// Two hundred characters.
const MOST_BYTES_OF_A_REASON: usize = 800;

impl Admission {
    /// Who holds everything: the settings. Since when they do nobody can tell: a mounted file is as old as its pod, or as the last
    /// change of any setting.
    fn held(&self) -> Option<Hold> {
        let why = clean(&self.hold, MOST_BYTES_OF_A_REASON);
        (!why.is_empty()).then(|| Hold { by: "the settings".into(), since: None, why: Some(why.into()) })
    }
}

/// What happens to runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Runs {
    /// How long pods may outlive their run's end before the application is deleted to remove them.
    pub lingering_seconds: u32,
    /// Within what time of its start a driver has to run, where neither the job nor its Operation says.
    pub start_timeout_seconds: u32,
    /// How long an application may stay untouched by the spark-operator before that counts as absent.
    pub operator_absent_seconds: u32,
}

impl Default for Runs {
    fn default() -> Self {
        Self { lingering_seconds: 10, start_timeout_seconds: 600, operator_absent_seconds: 60 }
    }
}

/// What holds warm executors: pods that do nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct PlaceholderSettings {
    /// Their image: anything that waits for ever and ends when it is told to.
    pub image: String,
    /// Their `PriorityClass`. Its value is to be below that of whatever is real, and not below the cluster-autoscaler's cut-off.
    pub priority_class_name: String,
}

impl Default for PlaceholderSettings {
    fn default() -> Self {
        Self { image: "registry.k8s.io/pause:3.10".into(), priority_class_name: "slowlane-placeholder".into() }
    }
}

/// What becomes of `SparkApplication`s that no job declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
pub enum Undeclared {
    /// They are neither counted nor reported.
    Ignore,
    /// They take room in the clusters that admit their namespaces, and are reported.
    #[default]
    Report,
    /// The same; and new ones are refused, by the chart's policy.
    Deny,
}

/// How long closed runs' applications stay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Tombstones {
    /// How long each stays.
    pub keep_seconds: u32,
    /// How many may stay; the oldest go first.
    pub max: u32,
}

impl Default for Tombstones {
    fn default() -> Self {
        Self { keep_seconds: 3600, max: 1000 }
    }
}

/// How the API server is written to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct WriterSettings {
    /// Requests in flight at once, at most.
    pub in_flight: u32,
    /// How long one request may take.
    pub request_seconds: u32,
}

impl Default for WriterSettings {
    fn default() -> Self {
        Self { in_flight: 32, request_seconds: 10 }
    }
}

/// How often statuses are written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct StatusSettings {
    /// A state that lasts shorter than this is not written.
    pub delay_seconds: u32,
    /// How often the details of a waiting job may be written again.
    pub detail_seconds: u32,
}

impl Default for StatusSettings {
    fn default() -> Self {
        Self { delay_seconds: 2, detail_seconds: 30 }
    }
}

/// Health and metrics.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Http {
    /// Where `/healthz`, `/readyz` and `/metrics` are served.
    pub address: String,
}

impl Default for Http {
    fn default() -> Self {
        Self { address: "0.0.0.0:8080".into() }
    }
}

/// Logs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Log {
    /// The lowest level that is written, or a filter such as `info,slowlane=debug`.
    pub level: String,
    /// How.
    pub format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "info".into(), format: LogFormat::Json }
    }
}

/// How logs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LogFormat {
    /// One JSON object a line: for machines.
    Json,
    /// For people.
    Text,
}

impl Settings {
    /// Reads and checks the file.
    ///
    /// # Errors
    /// When it cannot be read, or says something that is not understood.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { path: path.to_path_buf(), source })?;
        Self::parse(&text)
    }

    /// Reads and checks the file's text; an empty one gives the defaults.
    ///
    /// # Errors
    /// When it says something that is not understood.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let written: serde_yaml::Value = serde_yaml::from_str(text)?;
        if written.is_null() {
            return Ok(Self::default());
        }
        let known = serde_yaml::to_value(Self::default())?;
        if let Some(error) = check::unknown_key(&written, &known) {
            return Err(error);
        }
        let settings: Self = serde_yaml::from_str(text)?;
        check::ranges(&settings)?;
        Ok(settings)
    }

    /// The part that the core needs.
    #[must_use]
    pub fn model(&self) -> model::Settings {
        let span = |seconds: u32| Span::seconds(i64::from(seconds));
        let count = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        model::Settings {
            waiting_bound: span(self.admission.waiting_bound_seconds),
            aging: span(self.admission.aging_seconds_per_class),
            quarantine: span(self.admission.quarantine_seconds),
            gathering: span(self.admission.gather_seconds),
            tombstone: span(self.tombstones.keep_seconds),
            max_tombstones: count(self.tombstones.max),
            status_delay: span(self.status.delay_seconds),
            detail_interval: span(self.status.detail_seconds),
            lingering: span(self.runs.lingering_seconds),
            start_timeout: span(self.runs.start_timeout_seconds),
            operator_absent: span(self.runs.operator_absent_seconds),
            held: self.admission.held(),
            locks: self.locks.iter().map(|(name, permits)| (name.as_str().into(), *permits)).collect(),
            counts_undeclared: self.undeclared != Undeclared::Ignore,
            max_live_runs: count(self.ledger.max_live_runs),
        }
    }

    /// How long one request of the writer may take.
    #[must_use]
    pub fn request_time(&self) -> Duration {
        Duration::from_secs(u64::from(self.writer.request_seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        Settings::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn an_empty_file_gives_the_defaults() {
        for text in ["", "\n# nothing\n", "{}"] {
            assert_eq!(Settings::parse(text).unwrap(), Settings::default());
        }
        assert_eq!(Settings::default().model(), model::Settings::default());
    }

    #[test]
    fn what_is_written_replaces_its_default_only() {
        let settings = Settings::parse("tombstones: {keepSeconds: 5}\nlog: {format: text}\n").unwrap();
        assert_eq!(settings.tombstones, Tombstones { keep_seconds: 5, max: 1000 });
        assert_eq!(settings.log.format, LogFormat::Text);
    }

    #[test]
    fn locks_may_have_any_names() {
        let settings = Settings::parse("locks: {lake: 4, mail-2: 0}\n").unwrap();
        assert_eq!(settings.model().locks, BTreeMap::from([("lake".into(), 4), ("mail-2".into(), 0)]));
        assert_eq!(Settings::parse("locks: {}").unwrap(), Settings::default());
    }

    #[test]
    fn the_settings_hold_everything_while_they_say_why() {
        let held = |text: &str| Settings::parse(text).unwrap().model().held.map(|hold| hold.to_string());
        let said = held("admission: {hold: \"maintenance\\nuntil Monday\"}");
        assert_eq!(said.as_deref(), Some("the settings: maintenance until Monday"));
        assert_eq!(held("admission: {hold: ' '}"), None);
        let long = format!("admission: {{hold: {}}}", "ä".repeat(200));
        assert!(held(&long).unwrap().ends_with("ää"));
    }

    #[test]
    fn what_nobody_declared_is_reported_unless_it_is_said_otherwise() {
        assert!(Settings::default().model().counts_undeclared);
        assert!(!Settings::parse("undeclared: Ignore").unwrap().model().counts_undeclared);
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_path() {
        assert_eq!(
            refused("tombstones: {keepSecond: 5}"),
            "tombstones.keepSecond: unknown field, expected one of keepSeconds, max"
        );
        assert!(refused("tombstone: {}").starts_with("tombstone: unknown field, expected one of admission, http,"));
        assert!(refused("tombstones: {3: 5}").starts_with("tombstones.3: unknown field"));
    }

    #[test]
    fn a_wrong_type_is_refused_with_its_path() {
        for (text, start) in [
            ("tombstones: {keepSeconds: soon}", "tombstones.keepSeconds: invalid type"),
            ("tombstones: {keepSeconds: -1}", "tombstones.keepSeconds: invalid type"),
            ("tombstones: [1]", "tombstones: invalid type"),
            ("log: {format: xml}", "log.format: unknown variant `xml`, expected `json` or `text`"),
            ("undeclared: report", "undeclared: unknown variant `report`, expected one of `Ignore`, `Report`, `Deny`"),
            ("leaderElection: {namespace: {}}", "leaderElection.namespace: invalid type"),
            ("locks: {lake: many}", "locks.lake: invalid type"),
            ("locks: {lake: -1}", "locks.lake: invalid type"),
            ("locks: 1", "locks: invalid type"),
            ("- 1", "invalid type: sequence"),
        ] {
            let said = refused(text);
            assert!(said.starts_with(start), "{text}: {said}");
        }
    }

    #[test]
    fn a_value_out_of_its_range_is_refused_with_its_path() {
        let long_hold = format!("admission: {{hold: {}}}", "x".repeat(201));
        for (text, path) in [
            ("leaderElection: {renewDeadlineSeconds: 15}", "leaderElection.renewDeadlineSeconds"),
            ("leaderElection: {retrySeconds: 10}", "leaderElection.retrySeconds"),
            ("leaderElection: {leaseName: Slow_Lane}", "leaderElection.leaseName"),
            ("leaderElection: {leaseName: a..b}", "leaderElection.leaseName"),
            ("leaderElection: {namespace: jobs.}", "leaderElection.namespace"),
            ("leaderElection: {namespace: team.jobs}", "leaderElection.namespace"),
            ("ledger: {name: a-.b}", "ledger.name"),
            ("writer: {inFlight: 0}", "writer.inFlight"),
            ("http: {address: here}", "http.address"),
            ("log: {level: 'slowlane=loud'}", "log.level"),
            ("ledger: {maxLiveRuns: 5000}", "ledger.maxLiveRuns"),
            ("locks: {lake: 1000001}", "locks.lake"),
            ("locks: {Lake: 1}", "locks.Lake"),
            ("locks: {a.b: 1}", "locks.a.b"),
            ("locks: {a-: 1}", "locks.a-"),
            ("locks: {'': 1}", "locks."),
            (long_hold.as_str(), "admission.hold"),
        ] {
            let said = refused(text);
            assert!(said.starts_with(&format!("{path}: ")), "{text}: {said}");
        }
    }
}
