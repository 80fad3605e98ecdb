//! The spark-operator's own chart and definition, as they lie in Go's module cache.

use std::path::PathBuf;
use std::process::Command;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;

/// The folder of the spark-operator's chart.
pub(crate) fn spark_chart() -> PathBuf {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/e2e/local/go/spark-operator");
    let module = Command::new("go")
        .args(["list", "-m", "-f", "{{.Dir}}", "github.com/kubeflow/spark-operator/v2"])
        .current_dir(folder)
        .output()
        .expect("go is installed");
    let module = String::from_utf8(module.stdout).expect("a path");
    PathBuf::from(module.trim()).join("charts/spark-operator-chart")
}

/// The definition of `SparkApplication` as that chart has it.
pub(crate) fn spark_definition() -> CustomResourceDefinition {
    let file = spark_chart().join("crds/sparkoperator.k8s.io_sparkapplications.yaml");
    let text = std::fs::read_to_string(file).expect("the chart is in the module cache");
    serde_yaml::from_str(&text).expect("it is a definition")
}
