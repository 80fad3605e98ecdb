//! A daemon of the local cluster, killed and started again as it was. Knows how `e2e/local/up.sh` starts them: each has a
//! file with its process id in the cluster's folder, and a mark in its environment.

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::world::{World, eventually};

const MARK: &str = "SLOWLANE_DAEMON_OF";

/// One daemon that was killed.
pub(crate) struct Killed {
    name: &'static str,
    folder: PathBuf,
    command: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
}

/// Kill -9 of the daemon with this name.
pub(crate) async fn kill(name: &'static str) -> Killed {
    let folder = cluster_folder();
    let id = fs::read_to_string(folder.join(format!("{name}.pid"))).expect("it was started by e2e/up");
    let process = Path::new("/proc").join(id.trim());
    let words = |file: &str| split(&fs::read(process.join(file)).expect("it runs"), 0);
    let environment: Vec<_> = words("environ").into_iter().filter_map(variable).collect();
    let marked = environment.iter().any(|(name, value)| name == MARK && Path::new(value) == folder);
    assert!(marked, "process {} is no daemon of {}", id.trim(), folder.display());
    let command = words("cmdline");
    assert!(Command::new("kill").args(["-KILL", id.trim()]).status().expect("kill is installed").success());
    // One that this test has started itself stays as a zombie.
    eventually(|| async {
        let state = fs::read_to_string(process.join("stat")).unwrap_or_default();
        if state.is_empty() || state.contains(") Z ") { Ok(()) } else { Err(state) }
    })
    .await;
    Killed { name, folder, command, environment }
}

impl Killed {
    /// Starts it again with the same command and environment.
    #[expect(clippy::zombie_processes, reason = "it outlives the test")]
    pub(crate) fn start(self) {
        let Self { name, folder, command, environment } = self;
        let log = folder.join(format!("log/{name}.log"));
        let log = || File::options().append(true).open(&log).expect("it has a log");
        let started = Command::new("setsid")
            .args(command)
            .env_clear()
            .envs(environment)
            .stdin(Stdio::null())
            .stdout(log())
            .stderr(log())
            .spawn()
            .expect("it starts");
        fs::write(folder.join(format!("{name}.pid")), started.id().to_string()).expect("its id is written");
    }
}

/// An API server takes a while to start, on a busy machine a long one.
const START: Duration = Duration::from_mins(3);

/// Waits until the API server answers, and has found its store.
pub(crate) async fn server_is_ready(world: &World) {
    let deadline = Instant::now() + START;
    loop {
        let request = http::Request::get("/readyz").body(Vec::new()).expect("a request");
        let answer = tokio::time::timeout(Duration::from_secs(2), world.client.request_text(request)).await;
        if matches!(answer, Ok(Ok(_))) {
            return;
        }
        assert!(Instant::now() < deadline, "the API server is not ready: {answer:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Where the cluster under test keeps everything.
fn cluster_folder() -> PathBuf {
    let kubeconfig = PathBuf::from(std::env::var("KUBECONFIG").expect("KUBECONFIG is set"));
    kubeconfig.parent().and_then(Path::parent).expect("a cluster of e2e/up has a folder").to_owned()
}

fn split(bytes: &[u8], at: u8) -> Vec<OsString> {
    let words = bytes.split(|byte| *byte == at).filter(|word| !word.is_empty());
    words.map(|word| OsString::from_vec(word.to_vec())).collect()
}

fn variable(text: OsString) -> Option<(OsString, OsString)> {
    let bytes = text.into_vec();
    let at = bytes.iter().position(|byte| *byte == b'=')?;
    Some((OsString::from_vec(bytes[..at].to_vec()), OsString::from_vec(bytes[at + 1..].to_vec())))
}
