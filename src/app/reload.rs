//! The settings file is read again when it changes. A good one holds at once, a bad one changes nothing and says why.

use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::watch;

use crate::config::{ConfigError, Settings};
use crate::observe::Metrics;

/// How often the file is looked at: a mounted `ConfigMap` is replaced, which tells nobody.
const LOOK: Duration = Duration::from_secs(5);

/// Looks at the file for ever. What can only be had by a restart is named in the log and left as it was.
pub(super) async fn follow(file: PathBuf, mut known: Settings, tell: watch::Sender<Settings>, metrics: Metrics) {
    let mut read = std::fs::read_to_string(&file).ok();
    loop {
        tokio::time::sleep(LOOK).await;
        // A small local file: no need of a thread. It may be missing for a moment while it is replaced.
        let Ok(text) = std::fs::read_to_string(&file) else { continue };
        if read.as_ref() == Some(&text) {
            continue;
        }
        let parsed = Settings::parse(&text);
        read = Some(text);
        metrics.settings_valid.set(i64::from(parsed.is_ok()));
        match parsed {
            Ok(settings) => {
                say_what_needs_a_restart(&known, &settings);
                tracing::info!(file = %file.display(), "the settings file was read again");
                known = settings;
                tell.send_replace(known.clone());
            }
            Err(error) => refuse(&file, &error),
        }
    }
}

fn refuse(file: &std::path::Path, error: &ConfigError) {
    tracing::error!(file = %file.display(), error = %error, "the settings file is refused: the last good one stays in force");
}

fn say_what_needs_a_restart(before: &Settings, after: &Settings) {
    let parts = [
        ("leaderElection", before.leader_election == after.leader_election),
        ("ledger.name", before.ledger.name == after.ledger.name),
        ("placeholders", before.placeholders == after.placeholders),
        ("writer", before.writer == after.writer),
        ("http", before.http == after.http),
        ("log", before.log == after.log),
    ];
    for (part, _) in parts.into_iter().filter(|(_, same)| !same) {
        tracing::warn!(part, "this part of the settings holds only after a restart");
    }
}
