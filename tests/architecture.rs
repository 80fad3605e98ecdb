//! The core decides and knows nothing of the world; within it, dependencies go one way.

use std::fs;
use std::path::{Path, PathBuf};

/// The rooms of the core, and which other rooms each may use.
const ROOMS: [(&str, &[&str]); 6] = [
    ("model", &[]),
    ("command.rs", &["model"]),
    ("admission", &["model"]),
    ("lifecycle", &["model"]),
    ("index", &["model", "command", "admission"]),
    ("engine", &["model", "command", "admission", "lifecycle", "index"]),
];

/// What comes from outside: the standard library, and crates that do no I/O here (`jiff` computes with calendars and is never
/// asked for the time or the files of the system). `proptest` is for tests.
const OUTSIDE: [&str; 8] = ["std", "core", "foldhash", "hashbrown", "jiff", "sha2", "thiserror", "proptest"];

#[test]
fn the_core_knows_itself_only_and_looks_one_way() {
    let faults: Vec<String> = ROOMS.into_iter().flat_map(|(room, may_use)| faults_of(room, may_use)).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn what_is_forbidden_is_found() {
    for line in [
        "use kube::Client;",
        "    pub use serde::Serialize;",
        "use crate::engine::Engine;",
        "use crate::{model::Name, api};",
        "fn at() -> crate::spark::Grant {",
        "    let _ = tokio::spawn(x);",
        "use ::axum;",
        "let now = jiff::Timestamp::now();",
    ] {
        assert!(!is_allowed(line, "admission", &["model"]), "{line}");
    }
    for line in
        ["use crate::model::{Name, Uid};", "use crate::admission::Gate;", "use super::x;", "/// As [`kube::Api`]."]
    {
        assert!(is_allowed(line, "admission", &["model"]), "{line}");
    }
}

fn faults_of(room: &str, may_use: &[&str]) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(room);
    let own = room.trim_end_matches(".rs");
    let mut faults = Vec::new();
    let files = files_below(&path);
    assert!(!files.is_empty(), "{room} is gone");
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let wrong = text.lines().enumerate().filter(|(_, line)| !is_allowed(line, own, may_use));
        faults.extend(wrong.map(|(at, line)| format!("{}:{}: {}", file.display(), at + 1, line.trim())));
    }
    faults
}

fn files_below(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|entry| files_below(&entry))
        .filter(|file| file.extension().is_some_and(|ext| ext == "rs"))
        .collect()
}

fn is_allowed(line: &str, own: &str, may_use: &[&str]) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    let rooms_are_allowed = code.match_indices("crate::").all(|(at, word)| {
        let room = first_name(&code[at + word.len()..]);
        room == own || may_use.contains(&room)
    });
    let world_is_absent = ["kube", "k8s_openapi", "tokio", "axum", "serde", "serde_json", "tracing", "futures"]
        .iter()
        .all(|name| !names_crate(code, name));
    let time_is_told = ["Timestamp::now", "Zoned::now", "TimeZone::system", "TimeZone::get", "from_env"]
        .iter()
        .all(|name| !code.contains(name));
    rooms_are_allowed && world_is_absent && time_is_told && is_known_use(code.trim())
}

/// The first name of a path; empty where a list of paths begins, which nothing in the core needs.
fn first_name(path: &str) -> &str {
    path.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).next().unwrap_or_default()
}

fn names_crate(code: &str, name: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || c == '_';
    code.match_indices(name)
        .any(|(at, _)| code[at + name.len()..].starts_with("::") && !code[..at].ends_with(|c| inner(c) || c == ':'))
}

/// A `use` names a room, the standard library or one of the known crates; a re-export, a module next to it.
fn is_known_use(code: &str) -> bool {
    let Some(path) = code.strip_prefix("use ") else { return !code.starts_with("pub use ::") };
    let name = first_name(path);
    let is_type = name.starts_with(|c: char| c.is_ascii_uppercase());
    is_type || ["crate", "super", "self"].contains(&name) || OUTSIDE.contains(&name)
}
