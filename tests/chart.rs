//! The chart's values say what the keeper's settings file takes: the same keys, the same defaults, the same ranges.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};
use slowlane::config::Settings;

/// The chart's roles hold in the release's namespace, so the chart does not offer another one.
const NOT_OFFERED: &str = "leaderElection.namespace";

fn read(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/slowlane").join(name)).expect("it is there")
}

fn settings_of_the_values() -> Value {
    let values: Value = serde_yaml::from_str(&read("values.yaml")).expect("the values are YAML");
    values["settings"].clone()
}

fn schema() -> Value {
    let schema: Value = serde_json::from_str(&read("values.schema.json")).expect("the schema is JSON");
    schema["properties"]["settings"]["properties"].clone()
}

/// `section.key` of a two-level object.
fn keys(object: &Value, below: &str) -> BTreeSet<String> {
    let sections = object.as_object().expect("an object").iter();
    let keys = sections.flat_map(|(section, inner)| {
        let inner = if below.is_empty() { inner } else { &inner[below] };
        if section == "undeclared" {
            return vec![section.clone()];
        }
        // Locks have the names that people give them.
        assert!(inner.is_object() || section == "locks", "{section} is no object");
        inner.as_object().into_iter().flat_map(Map::keys).map(move |key| format!("{section}.{key}")).collect::<Vec<_>>()
    });
    keys.filter(|key| key != NOT_OFFERED).collect()
}

#[test]
fn the_values_are_the_defaults_and_name_every_setting() {
    let values = settings_of_the_values();
    let text = serde_yaml::to_string(&values).expect("it was YAML");
    assert_eq!(Settings::parse(&text).expect("the keeper takes the chart's values"), Settings::default());
    let all = serde_json::to_value(Settings::default()).expect("settings are plain");
    assert_eq!(keys(&values, ""), keys(&all, ""));
    assert_eq!(keys(&schema(), "properties"), keys(&all, ""));
}

#[test]
fn the_schema_has_the_ranges_of_the_settings() {
    let takes = |path: &str, number: i64| {
        let (section, key) = path.split_once('.').expect("two words");
        // The times of the election bound each other.
        let others = match path {
            "leaderElection.leaseSeconds" => ", renewDeadlineSeconds: 1, retrySeconds: 0",
            "leaderElection.renewDeadlineSeconds" => ", leaseSeconds: 600, retrySeconds: 0",
            "leaderElection.retrySeconds" => ", leaseSeconds: 600, renewDeadlineSeconds: 599",
            _ => "",
        };
        let refused = Settings::parse(&format!("{section}: {{{key}: {number}{others}}}")).err();
        !refused.is_some_and(|error| error.to_string().starts_with(&format!("{path}:")))
    };
    for (section, inner) in schema().as_object().expect("an object") {
        let any = Map::from_iter([("lake".to_owned(), inner["additionalProperties"].clone())]);
        for (key, rule) in inner["properties"].as_object().unwrap_or(&any) {
            let (Some(least), Some(most)) = (rule["minimum"].as_i64(), rule["maximum"].as_i64()) else { continue };
            let path = format!("{section}.{key}");
            for (number, taken) in [(least - 1, false), (least, true), (most, true), (most + 1, false)] {
                assert_eq!(takes(&path, number), taken, "{path}: {number}");
            }
        }
    }
}

/// Whether the keeper takes a setting, whatever it thinks of others.
fn takes(path: &str, value: &Value) -> bool {
    let text = match path.split_once('.') {
        Some((section, key)) => json!({section: {key: value}}),
        None => json!({path: value}),
    };
    let refused = Settings::parse(&text.to_string()).err();
    !refused.is_some_and(|error| error.to_string().starts_with(&format!("{path}:")))
}

#[test]
fn the_schema_has_the_words_of_the_settings() {
    let schema = schema();
    for (path, rule) in [("undeclared", &schema["undeclared"]), ("log.format", &schema["log"]["properties"]["format"])]
    {
        let words = rule["enum"].as_array().expect("it is one of some words");
        assert!(words.iter().all(|word| takes(path, word)), "{path}: {words:?}");
        // The keeper names all that it knows when it is told another one.
        let other = match path.split_once('.') {
            Some((section, key)) => format!("{section}: {{{key}: other}}"),
            None => format!("{path}: other"),
        };
        let said = Settings::parse(&other).expect_err("it knows no such word").to_string();
        let known: BTreeSet<&str> = said.split('`').skip(3).step_by(2).collect();
        assert_eq!(known, words.iter().filter_map(Value::as_str).collect(), "{path}: {said}");
    }
}

#[test]
fn the_schema_has_the_lengths_of_the_settings() {
    let most = schema()["admission"]["properties"]["hold"]["maxLength"].as_u64().expect("it has one");
    let most = usize::try_from(most).expect("a small one");
    for (length, taken) in [(0, true), (most, true), (most + 1, false)] {
        // Characters count, not bytes.
        assert_eq!(takes("admission.hold", &"\u{fc}".repeat(length).into()), taken, "{length}");
    }
}

/// `e2e/check-charts` has Helm refuse some of these.
#[test]
fn the_schema_has_the_names_of_locks() {
    let names = &schema()["locks"]["propertyNames"];
    assert_eq!(
        names,
        &json!({"maxLength": 63, "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"}),
        "then change this table"
    );
    let (longest, longer) = ("a".repeat(63), "a".repeat(64));
    let good = ["a", "0", "lake", "a-b", "a--b", "9-a", &longest];
    let bad = ["", "A", "laKe", "-a", "a-", "a.b", "a_b", "a b", "\u{fc}", &longer];
    for (name, taken) in good.iter().map(|name| (name, true)).chain(bad.iter().map(|name| (name, false))) {
        let text = json!({"locks": {*name: 1}}).to_string();
        assert_eq!(Settings::parse(&text).is_ok(), taken, "{name:?}");
    }
}

/// The policies are written by hand, and know the keeper's marks by their words.
#[test]
fn the_policies_guard_the_marks_by_which_runs_are_known() {
    use slowlane::spark::marks;
    let policies = read("templates/policies.yaml");
    for mark in [marks::JOB_UID_LABEL, marks::RUN_FINALIZER, marks::RESULT_URI_ANNOTATION] {
        assert!(policies.contains(mark), "{mark} is in no policy");
    }
    for mark in [
        marks::RUN_LABEL,
        marks::OPERATION_LABEL,
        marks::CLUSTER_LABEL,
        marks::JOB_ANNOTATION,
        marks::OPERATION_ANNOTATION,
        marks::CLUSTER_ANNOTATION,
        marks::GRANT_ANNOTATION,
        marks::CORRELATION_ANNOTATION,
        slowlane::api::convert::PLACEHOLDER_ANNOTATION,
    ] {
        assert!(mark.starts_with("slowlane.dev/"), "{mark} is not among what the policies reserve");
    }
}
