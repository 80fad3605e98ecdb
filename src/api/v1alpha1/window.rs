//! Recurring times of a cluster, and whom it accepts when.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Priority, rules, schema};

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Day {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

/// A named recurring time: `schedule` with `duration`, or `from` and `to` on `days`.
///
/// Where clocks change, a time that is skipped means the moment of the jump, and one that comes twice its first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(
    validation = rules::together("schedule", "duration", "8h"),
    validation = rules::together("from", "to", "18:00"),
    validation = rules::rule(
        ".schedule",
        "has(self.schedule) != has(self.from)",
        "'a window has either schedule and duration, or from and to; %s has %s'\
         .format([self.name, has(self.schedule) ? 'both' : 'neither'])",
    ),
    validation = Rule::new("!has(self.days) || size(self.days) == 0 || has(self.from)")
        .field_path(".days")
        .message("days belong to from and to; a schedule names its days itself")
)]
#[serde(rename_all = "camelCase")]
pub struct WindowSpec {
    /// Its name, by which `accept` means it.
    #[schemars(schema_with = "schema::word")]
    pub name: String,

    /// When it opens: a cron expression of five fields (minute, hour, day of the month, month, day of the week), or
    /// `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`. Where both days are restricted, either suffices.
    #[schemars(length(min = 1, max = 128))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,

    /// How long it stays open after `schedule` opened it: days, hours and minutes, such as `8h`, `1h30m` or `1d`; at most
    /// 31 days. Openings that run into each other are one.
    #[schemars(schema_with = "schema::duration")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,

    /// Days on which it opens. Left out: every day.
    #[schemars(length(min = 1, max = 7))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub days: Vec<Day>,

    /// Time of the day at which it opens: `08:00`.
    #[schemars(schema_with = "schema::time_of_day")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,

    /// Time of the day at which it closes, up to `24:00`; not after `from`: on the next day.
    #[schemars(schema_with = "schema::time_of_day")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,

    /// IANA name of the time zone that its times are in, such as `Europe/Berlin`. Left out: `UTC`.
    #[schemars(length(min = 1, max = 64))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
}

/// Jobs that a cluster accepts: those to which all of it applies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AcceptSpec {
    /// While at least one of these windows is open. Left out: at any time.
    #[schemars(schema_with = "schema::words::<8>")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub during: Vec<String>,

    /// While none of these windows is open.
    #[schemars(schema_with = "schema::words::<8>")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outside: Vec<String>,

    /// Of these priorities. Left out: of any.
    #[schemars(length(min = 1, max = 4))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub priorities: Vec<Priority>,

    /// Of these Operations: `NAME`, in any namespace that the cluster admits, or `NAMESPACE/NAME`. Left out: of any.
    #[schemars(schema_with = "schema::operation_names")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub operations: Vec<String>,

    /// Of which this CEL expression holds: `job.spec.parameters.rows < 1000000`. It sees `job.metadata` (name, namespace,
    /// labels, annotations) and `job.spec` as they stand in the API: what a job leaves out is absent, see `has()`. It is
    /// evaluated when a job arrives, when it is edited, and when the expression is; where that fails, the entry does not
    /// apply, and the waiting job says why. At most 32 levels deep; no macro (`all`, `exists`, `map`, `filter`) within or after
    /// another, and none that looks for each entry of a list `in` another; a job of more than 32 KiB cannot be asked. Left out: whatever they are.
    #[schemars(length(min = 1, max = 1024))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
}
