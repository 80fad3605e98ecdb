//! What the keeper writes for a job, taken from a job of its own: `raw` sends the same.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use slowlane::model::child_name;

use crate::Bench;
use crate::burst::{BURST, hand_in};
use crate::keeper::{Change, Keeper};
use crate::stage::{HandedIn, applications_url, jobs_url, ledgers_url};

/// Bodies in which a job's name and UID stand for those of another one.
pub(crate) struct Template {
    application: Text,
    waiting: Text,
    ended: Text,
    /// The ledger with one holder.
    ledger: Value,
    /// That holder's run.
    holder: String,
}

struct Text {
    of: HandedIn,
    json: String,
}

impl Text {
    fn new(of: &HandedIn, json: &Value) -> Self {
        Self { of: of.clone(), json: json.to_string() }
    }

    fn about(&self, job: &HandedIn) -> Value {
        let text = self.json.replace(&application_name(&self.of), &application_name(job));
        let text = text.replace(&self.of.name, &job.name).replace(&self.of.uid, &job.uid);
        serde_json::from_str(&text).expect("names are names")
    }
}

/// The name of a job's first application.
pub(crate) fn application_name(job: &HandedIn) -> String {
    child_name(&job.name, &job.uid, 1)
}

/// The key of a job's first run in the ledger.
pub(crate) fn run_key(job: &HandedIn) -> String {
    format!("{}.1", job.uid)
}

impl Template {
    /// A job's application.
    pub(crate) fn application(&self, job: &HandedIn) -> Value {
        self.application.about(job)
    }

    /// The status of a job that waits.
    pub(crate) fn waiting(&self, job: &HandedIn) -> Value {
        self.waiting.about(job)
    }

    /// The status of a job that has succeeded.
    pub(crate) fn ended(&self, job: &HandedIn) -> Value {
        self.ended.about(job)
    }

    /// A ledger with these holders and this limit.
    pub(crate) fn ledger(&self, holders: &BTreeSet<String>, limit: u32) -> Value {
        let mut spec = self.ledger.clone();
        let number = holders.len();
        for (key, entry) in spec["limits"].as_object_mut().into_iter().flatten() {
            let text = entry["holders"][&self.holder].take();
            entry["holders"] = holders.iter().map(|run| (run.clone(), text.clone())).collect();
            if key.starts_with("op/") {
                entry["limit"] = limit.into();
            }
        }
        if number == 0 {
            spec["limits"] = Value::Object(serde_json::Map::new());
            spec["clusters"] = Value::Object(serde_json::Map::new());
        }
        for counted in spec["clusters"].as_object_mut().into_iter().flat_map(|all| all.values_mut()) {
            for unit in ["executors", "milliCores", "memoryMiB"] {
                counted[unit] = (counted[unit].as_u64().unwrap_or(0) * number as u64).into();
            }
        }
        spec
    }
}

/// Lets a keeper run three jobs in one slot, and keeps what it writes.
pub(crate) async fn take(bench: &Bench) -> Template {
    bench.sight.lengthen_first(Duration::from_secs(5));
    bench.stage.operation(BURST, Some(1)).await;
    let mut keeper = Keeper::start(bench, Change::None).await;
    let mut handed_in = hand_in(bench, BURST, 3);
    let mut jobs = Vec::new();
    while let Some(job) = handed_in.recv().await {
        jobs.push(job);
    }
    let waits = until_one_waits(bench, &jobs).await;
    let ledger = bench.stage.get(&format!("{}/slowlane", ledgers_url())).await["spec"].clone();
    bench.sight.until_ended(3).await;
    keeper.settled().await;
    let first = jobs.iter().min_by_key(|job| bench.sight.times(&job.name).map(|times| times.created)).expect("one ran");
    let mut application = bench.stage.get(&format!("{}/{}", applications_url(), application_name(first))).await;
    application.as_object_mut().expect("an object").remove("status");
    for unset in ["creationTimestamp", "generation", "managedFields", "resourceVersion", "uid"] {
        application["metadata"].as_object_mut().expect("an object").remove(unset);
    }
    let ended = bench.stage.get(&format!("{}/{}", jobs_url(), first.name)).await["status"].clone();
    let template = Template {
        application: Text::new(first, &application),
        waiting: waits,
        ended: Text::new(first, &ended),
        holder: run_key(first),
        ledger,
    };
    keeper.stop().await;
    bench.stage.clear().await;
    template
}

async fn until_one_waits(bench: &Bench, jobs: &[HandedIn]) -> Text {
    loop {
        for job in jobs {
            let status = bench.stage.get(&format!("{}/{}", jobs_url(), job.name)).await["status"].clone();
            if status["state"] == "Queued" {
                return Text::new(job, &status);
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
