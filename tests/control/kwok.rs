//! kwok: as the spark-operator of all namespaces, for more applications than a fake in this process could play (it makes no
//! pods: an application ends when its status says so), and as the kubelets of nodes that real pods are put on.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command};

use crate::world::{World, unique};

/// Ends when it is dropped.
pub(crate) struct Kwok {
    process: Child,
    log: PathBuf,
}

impl Kwok {
    /// The spark-operator. The definition of `SparkApplication` has to be served by now.
    pub(crate) fn operator() -> Self {
        // It does not start without nodes to manage; there are none.
        Self::start(concat!(env!("CARGO_MANIFEST_DIR"), "/e2e/local/stages.yaml"), "--manage-all-nodes")
    }

    /// The kubelets of a test's own nodes.
    pub(crate) fn kubelets(world: &World) -> Self {
        let nodes = format!("--manage-nodes-with-label-selector=test={}", world.namespace);
        Self::start(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/control/day/kubelets.yaml"), &nodes)
    }

    fn start(stages: &str, nodes: &str) -> Self {
        let log = std::env::temp_dir().join(unique("kwok"));
        let process = Command::new("kwok")
            .args(["--config", stages, nodes, "--kubeconfig"])
            .arg(std::env::var("KUBECONFIG").expect("KUBECONFIG is set"))
            .stderr(File::create(&log).expect("a log"))
            .spawn()
            .expect("kwok is built by e2e/up control, and on the PATH of e2e/shell");
        Self { process, log }
    }
}

impl Drop for Kwok {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            let log = fs::read_to_string(&self.log).unwrap_or_default();
            let end: Vec<&str> = log.lines().rev().take(5).collect();
            println!("--- the end of kwok's log, the last line first\n{}\n---", end.join("\n"));
        }
        let _ = fs::remove_file(&self.log);
    }
}
