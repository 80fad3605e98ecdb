//! Charts as Helm renders them. `e2e/shell` has helm on its PATH, once `e2e/local/build.sh helm` has built it.

use std::path::Path;
use std::process::Command;

use serde::Deserialize;
use serde_json::Value;

/// Where the keeper is installed.
pub(crate) const KEEPER: &str = "slowlane-system";

/// All objects of a release, but for Helm's hooks.
pub(crate) fn render(release: &str, chart: &Path, namespace: &str, arguments: &[&str]) -> Vec<Value> {
    let rendered = Command::new("helm")
        .args(["template", release])
        .arg(chart)
        .args(["--namespace", namespace, "--no-hooks"])
        .args(arguments)
        .output()
        .expect("helm is on PATH");
    let text = String::from_utf8(rendered.stdout).expect("YAML is text");
    assert!(rendered.status.success(), "{}", String::from_utf8_lossy(&rendered.stderr));
    let documents = serde_yaml::Deserializer::from_str(&text);
    let objects = documents.map(|document| Value::deserialize(document).expect("it is YAML"));
    objects.filter(|object| !object.is_null()).collect()
}

/// The keeper's chart.
pub(crate) fn keeper(arguments: &[&str]) -> Vec<Value> {
    render("slowlane", &Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/slowlane"), KEEPER, arguments)
}
