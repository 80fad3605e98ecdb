//! The API server as it is measured: what it counted, and its CPU time.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::process::Process;
use crate::stage::Stage;

/// Requests by `resource/subresource` and verb.
pub(crate) type Counts = BTreeMap<(String, String), f64>;

/// The API server and its etcd.
pub(crate) struct Server {
    stage: Stage,
    api: Process,
    etcd: Process,
}

impl Server {
    /// The one whose pid files are in a cluster's folder.
    pub(crate) fn new(stage: Stage, run: &Path) -> Self {
        let process = |name: &str| {
            let text = fs::read_to_string(run.join(name)).expect("the cluster has pid files");
            Process(text.trim().parse().expect("a pid"))
        };
        Self { stage, api: process("apiserver.pid"), etcd: process("etcd.pid") }
    }

    /// CPU time of the API server and of etcd so far, in milliseconds.
    pub(crate) fn cpu_ms(&self) -> (f64, f64) {
        (self.api.cpu_ms(), self.etcd.cpu_ms())
    }

    /// Writes so far.
    pub(crate) async fn writes(&self) -> Counts {
        let mut counts = self.requests().await;
        counts.retain(|(_, verb), _| matches!(&**verb, "POST" | "PUT" | "PATCH" | "APPLY" | "DELETE"));
        counts
    }

    /// Requests so far; a watch counts when it ends.
    pub(crate) async fn requests(&self) -> Counts {
        let text = self.stage.text("/metrics").await.expect("the API server tells its metrics");
        let mut counts = Counts::new();
        for line in text.lines().filter_map(|line| line.strip_prefix("apiserver_request_total{")) {
            let Some((labels, value)) = line.rsplit_once("} ") else { continue };
            let label = |name: &str| {
                let at = labels.find(&format!("{name}=\""))? + name.len() + 2;
                labels[at..].split('"').next().filter(|value| !value.is_empty())
            };
            let verb = label("verb").unwrap_or_default();
            // What is no resource is asked by who measures.
            let Some(resource) = label(",resource") else { continue };
            let resource = label("subresource").map_or(resource.to_owned(), |part| format!("{resource}/{part}"));
            *counts.entry((resource, verb.to_owned())).or_default() += value.parse().unwrap_or(0.0);
        }
        counts
    }
}

/// What was counted between two looks.
pub(crate) fn between(before: &Counts, after: &Counts) -> Counts {
    let more = |(key, count): (&(String, String), &f64)| {
        let more = count - before.get(key).copied().unwrap_or(0.0);
        (more > 0.0).then(|| (key.clone(), more))
    };
    after.iter().filter_map(more).collect()
}
