//! The keeper's Helm release as a platform team handles it: upgraded, removed, installed again.

use std::process::Command;

const NAMESPACE: &str = "slowlane-system";
const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/charts/slowlane");

/// New pods take over from the old ones, with a changed annotation.
pub(crate) fn upgrade() {
    let change = "podAnnotations.upgraded=yes";
    helm(&["upgrade", "slowlane", CHART, "--reset-then-reuse-values", "--set", change, "--wait", "--timeout", "3m"]);
}

/// Removes the keeper; its drain step comes before.
pub(crate) fn remove() {
    helm(&["uninstall", "slowlane", "--wait", "--timeout", "5m"]);
}

/// Installs it again as `e2e/up` does.
pub(crate) fn install() {
    run(&mut Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/e2e/install-keeper")));
}

fn helm(arguments: &[&str]) {
    run(Command::new("helm").args(arguments).args(["--namespace", NAMESPACE]));
}

fn run(command: &mut Command) {
    let output = command.output().expect("it is installed");
    let words = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&words));
}
