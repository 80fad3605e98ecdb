//! The built program as a process of its own: started, asked over HTTP, told to stop, killed.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::account;
use crate::world::{PATIENCE, World, unique};

/// One replica.
pub(crate) struct Keeper {
    process: Child,
    folder: PathBuf,
    address: String,
    namespace: String,
}

/// Times that let a test end soon.
fn settings(namespace: &str, address: &str) -> Value {
    json!({
        "leaderElection": {"namespace": namespace, "leaseSeconds": 4, "renewDeadlineSeconds": 3, "retrySeconds": 1},
        "admission": {"quarantineSeconds": 3, "gatherSeconds": 0},
        "runs": {"lingeringSeconds": 1, "operatorAbsentSeconds": 5},
        "status": {"delaySeconds": 0, "detailSeconds": 1},
        "http": {"address": address},
        "log": {"format": "text", "level": "info,slowlane=debug"},
    })
}

impl Keeper {
    /// A replica whose lease and ledger are in the test's namespace. It has the rights that the chart gives it.
    pub(crate) fn start(world: &World) -> Self {
        Self::start_through(world, account::kubeconfig())
    }

    /// A replica that reaches the API server by another kubeconfig.
    pub(crate) fn start_through(world: &World, kubeconfig: &str) -> Self {
        Self::start_with(world, kubeconfig, |_| {})
    }

    /// A replica with other settings.
    pub(crate) fn start_with(world: &World, kubeconfig: &str, edit: impl FnOnce(&mut Value)) -> Self {
        let folder = std::env::temp_dir().join(unique("slowlane-keeper"));
        std::fs::create_dir_all(&folder).expect("a folder");
        let address = free_address();
        let file = folder.join("settings.yaml");
        let mut settings = settings(&world.namespace, &address);
        edit(&mut settings);
        std::fs::write(&file, settings.to_string()).expect("a settings file");
        let log = File::create(folder.join("log")).expect("a log");
        let process = Command::new(env!("CARGO_BIN_EXE_slowlane"))
            .args(["run", "--settings"])
            .arg(&file)
            .env("KUBECONFIG", kubeconfig)
            .env("POD_NAME", "keeper")
            .stderr(log)
            .spawn()
            .expect("the program starts");
        Self { process, folder, address, namespace: world.namespace.clone() }
    }

    /// Changes its settings file.
    pub(crate) fn edit_settings(&self, edit: impl FnOnce(&mut Value)) {
        let mut changed = settings(&self.namespace, &self.address);
        edit(&mut changed);
        std::fs::write(self.folder.join("settings.yaml"), changed.to_string()).expect("a settings file");
    }

    /// Asks it over HTTP: the status code and the body.
    pub(crate) async fn ask(&self, path: &str) -> (u16, String) {
        let config = kube::Config::new(format!("http://{}", self.address).parse().expect("an address"));
        let client = kube::Client::try_from(config).expect("a client");
        let request = http::Request::get(path).body(Vec::new()).expect("a request");
        match client.request_text(request).await {
            Ok(body) => (200, body),
            Err(kube::Error::Api(status)) => (status.code, status.message.clone()),
            Err(_) => (0, String::new()),
        }
    }

    /// Waits until it is ready.
    pub(crate) async fn ready(&self) {
        let deadline = Instant::now() + PATIENCE;
        while self.ask("/readyz").await.0 != 200 {
            assert!(Instant::now() < deadline, "not ready: {:?}", self.ask("/readyz").await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The sum of all series of a metric whose labels contain `part`.
    pub(crate) async fn metric(&self, name: &str, part: &str) -> f64 {
        let (_, text) = self.ask("/metrics").await;
        let lines = text.lines().filter(|line| line.starts_with(name) && line.contains(part));
        lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
    }

    /// Runs `slowlane drain` with its settings: whether it went well, and what it printed.
    pub(crate) fn drain(&self) -> (bool, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_slowlane"))
            .args(["drain", "--settings"])
            .arg(self.folder.join("settings.yaml"))
            .env("KUBECONFIG", account::kubeconfig())
            .output()
            .expect("the program starts");
        let words = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&words).into_owned())
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Kill -9.
    pub(crate) fn kill(&mut self) {
        self.process.kill().expect("it can be killed");
        self.process.wait().expect("it ends");
    }

    /// SIGTERM, and what it ends with.
    pub(crate) async fn terminate(&mut self) -> ExitStatus {
        let told = Command::new("kill").args(["-TERM", &self.id().to_string()]).status();
        assert!(told.expect("kill is installed").success());
        self.ended().await
    }

    /// Waits until it ends by itself.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.process.try_wait().expect("it can be waited for") {
                return status;
            }
            assert!(Instant::now() < deadline, "it does not end");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.process.try_wait().expect("it can be waited for").is_some()
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            println!("--- log of a keeper\n{}---", self.log());
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn free_address() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").to_string()
}
