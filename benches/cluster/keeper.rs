//! The shipped keeper as a process, with the settings that it comes with.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use kube::Client;
use serde_json::json;

use crate::Bench;
use crate::process::Process;
use crate::stage::KEEPERS;

/// How its settings differ from the shipped ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// Not at all.
    None,
    /// It drops tombstones that are older than a second.
    DropsTombstones,
}

/// How long anything may take that is waited for.
const PATIENCE: Duration = Duration::from_mins(15);
/// A status of an operation or a cluster is written two seconds after what it tells of.
const AFTERMATH: Duration = Duration::from_secs(3);

/// One replica that leads.
pub(crate) struct Keeper {
    child: Child,
    http: Client,
    folder: PathBuf,
    /// From its start until it may admit jobs.
    pub(crate) ready_ms: f64,
}

impl Keeper {
    /// Starts it, and waits until it leads and may admit jobs.
    pub(crate) async fn start(bench: &Bench, change: Change) -> Self {
        let folder = bench.options.run.join("keeper");
        std::fs::create_dir_all(&folder).expect("a folder");
        let address = free_address();
        let keep = if change == Change::DropsTombstones { 1 } else { 3600 };
        let settings = json!({"leaderElection": {"namespace": KEEPERS}, "http": {"address": address},
            "tombstones": {"keepSeconds": keep}});
        let file = folder.join("settings.yaml");
        std::fs::write(&file, settings.to_string()).expect("a settings file");
        let log = File::options().create(true).append(true).open(folder.join("log")).expect("a log");
        let started = Instant::now();
        let child = Command::new(env!("CARGO_BIN_EXE_slowlane"))
            .args(["run", "--settings"])
            .arg(&file)
            .env("POD_NAME", "keeper")
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn()
            .expect("the keeper starts");
        let config = kube::Config::new(format!("http://{address}").parse().expect("an address"));
        let http = Client::try_from(config).expect("a client");
        let mut keeper = Self { child, http, folder, ready_ms: 0.0 };
        keeper.until("it may admit jobs", async |metrics| sum(metrics, "slowlane_admitting", "") > 0.0).await;
        keeper.ready_ms = crate::milliseconds(started, Instant::now());
        keeper
    }

    /// Its process.
    pub(crate) fn process(&self) -> Process {
        Process(self.child.id())
    }

    /// Waits until nothing is alive, on its way or to be said any more.
    pub(crate) async fn settled(&self) {
        let mut quiet_since = None;
        self.until("it has nothing to do", async |metrics| {
            if is_quiet(metrics) {
                quiet_since.get_or_insert_with(Instant::now).elapsed() >= AFTERMATH
            } else {
                quiet_since = None;
                false
            }
        })
        .await;
    }

    /// Waits until so many jobs wait in its queues.
    pub(crate) async fn queued(&self, number: f64) {
        self.until("all jobs wait", async |metrics| sum(metrics, "slowlane_jobs_waiting", "") >= number).await;
    }

    /// Waits until no tombstone is left.
    pub(crate) async fn without_tombstones(&self) {
        self.until("tombstones go", async |metrics| sum(metrics, "slowlane_tombstones", "") == 0.0).await;
    }

    async fn until(&self, what: &str, mut holds: impl AsyncFnMut(&str) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let request = http::Request::get("/metrics").body(Vec::new()).expect("a request");
            if let Ok(metrics) = self.http.request_text(request).await
                && holds(&metrics).await
            {
                return;
            }
            assert!(Instant::now() < deadline, "{what}: not in time, see {}", self.folder.display());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Tells it to stop, and waits until it has: it gives the Lease back.
    pub(crate) async fn stop(&mut self) {
        let told = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        assert!(told.is_ok_and(|status| status.success()), "it can be told to stop");
        while self.child.try_wait().expect("it can be waited for").is_none() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn is_quiet(metrics: &str) -> bool {
    let zero = |name: &str, part: &str| sum(metrics, name, part) == 0.0;
    let nothing_alive = zero("slowlane_runs_alive", "") && zero("slowlane_jobs_waiting", "");
    nothing_alive && zero("slowlane_writer_in_flight", "") && zero("slowlane_writer_waiting", "")
}

/// The sum of all series of a metric whose labels contain `part`.
fn sum(metrics: &str, name: &str, part: &str) -> f64 {
    let of_metric =
        |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{'])) && line.contains(part);
    metrics.lines().filter(of_metric).filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
}

fn free_address() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").to_string()
}
