//! What Spark shall run: the application part of an Operation, and a `ComputeCluster`'s template for it.
//!
//! Field names are those of `SparkApplication` (`sparkoperator.k8s.io/v1beta2`) wherever they mean the same. What is
//! not here is left out on purpose: no field is shaped like a pod spec, nothing names a Secret, and jars are never
//! resolved from a package repository while a job runs.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Toleration;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{bounds, rules, schema};

/// The pattern of a memory size as Spark reads it: a whole number and a unit of 1024s, `512m`, `4g`.
const SPARK_MEMORY: &str = "^[1-9][0-9]{0,9}([kKmMgGtT][bB]?)$";

/// The language of an application; it decides how Spark starts it and how much memory it takes beside the heap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum ApplicationType {
    /// A Python script; `mainApplicationFile` is a `.py` file.
    Python,
    /// A jar written in Scala; `mainClass` names the class.
    Scala,
    /// A jar written in Java; `mainClass` names the class.
    Java,
}

/// A Spark application: what to run, with which configuration and how large.
///
/// Every field is optional in a `ComputeCluster`'s template; an Operation must give `type` and `mainApplicationFile`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApplicationSpec {
    /// Language of the application: `Python`, `Scala` or `Java`.
    #[schemars(with = "ApplicationType")]
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub type_: Option<ApplicationType>,

    /// File that Spark runs: a `.py` script or a jar, as a URI the driver can read (`local:///...` is inside the
    /// image, `s3a://...` in the object store).
    #[schemars(length(min = 1, max = 1024))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub main_application_file: Option<String>,

    /// Fully qualified class to run. For `Scala` and `Java` only.
    #[schemars(length(min = 1, max = 512))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub main_class: Option<String>,

    /// Arguments of the application, in order. `$(params.x)`, `$(job.name)`, `$(job.namespace)`, `$(job.uid)` and
    /// `$(run.number)` are replaced by their values. At most 64 KiB in all.
    #[schemars(length(max = 256), inner(length(max = 8192)))]
    #[x_kube(validation = rules::at_most_in_all("arguments", bounds::ARGUMENTS_TOTAL))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arguments: Vec<String>,

    /// Version of Spark in the image, for example `4.0.1`.
    #[schemars(regex(pattern = r"^[0-9]+\.[0-9]+(\.[0-9]+)?([-.][0-9A-Za-z.-]+)?$"), length(max = 64))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spark_version: Option<String>,

    /// Container image of driver and executors.
    #[schemars(length(min = 1, max = 512))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,

    /// Spark properties (`spark.sql.shuffle.partitions: "64"`). Keys that would change what was granted, who runs it
    /// or where (master, namespace, instances, memory, pod templates, secrets, ...) are refused.
    #[schemars(schema_with = "schema::texts::<256, 8192>")]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub spark_conf: BTreeMap<String, String>,

    /// Hadoop properties, written without the prefix `spark.hadoop.`.
    #[schemars(schema_with = "schema::texts::<256, 8192>")]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub hadoop_conf: BTreeMap<String, String>,

    /// Files that go with the application.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deps: Option<Dependencies>,

    /// Size and labels of the driver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<SparkPod>,

    /// Size and labels of each executor. How many there are is what the cluster grants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executor: Option<SparkPod>,

    /// `ServiceAccount` of the driver, in the job's namespace.
    #[schemars(regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"), length(max = 253))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account: Option<String>,

    /// Environment of driver and executors. In values, `$(params.x)` and `$(job.*)` are replaced as in `arguments`.
    #[schemars(schema_with = "schema::texts::<128, 8192>")]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
}

/// Files that go with an application, as URIs.
///
/// Maven coordinates and repositories are not offered: what a job runs must not depend on what a server on the
/// internet answers at that moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Dependencies {
    /// Jars on the class path of driver and executors.
    #[schemars(length(max = 128), inner(length(min = 1, max = 1024)))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub jars: Vec<String>,

    /// Files placed in the working directory of each executor.
    #[schemars(length(max = 128), inner(length(min = 1, max = 1024)))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,

    /// `.py`, `.zip` and `.egg` files on the Python path.
    #[schemars(length(max = 128), inner(length(min = 1, max = 1024)))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub py_files: Vec<String>,

    /// Archives unpacked in the working directory of each executor.
    #[schemars(length(max = 128), inner(length(min = 1, max = 1024)))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub archives: Vec<String>,
}

/// Size, labels and nodes of a driver or of each executor.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SparkPod {
    /// Cores as Spark counts them: tasks that run at once in an executor. At least 1.
    #[schemars(range(min = 1, max = 1024))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cores: Option<i32>,

    /// Memory of the JVM heap in Spark's notation (1024s): `512m`, `4g`.
    #[schemars(regex(pattern = SPARK_MEMORY))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<String>,

    /// Memory beside the heap, in the same notation. Left out: Spark's own rule, 10 % of `memory` (40 % for Python)
    /// and at least 384 MiB.
    #[schemars(regex(pattern = SPARK_MEMORY))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_overhead: Option<String>,

    /// Processor request of the pod, a Kubernetes quantity (`500m`). Left out: `cores`.
    #[schemars(schema_with = "schema::cpu")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub core_request: Option<Quantity>,

    /// Processor limit of the pod, a Kubernetes quantity. Left out: no limit.
    #[schemars(schema_with = "schema::cpu")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub core_limit: Option<Quantity>,

    /// Labels that the pod's node has to have.
    #[schemars(schema_with = "schema::texts::<16, 63>")]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,

    /// Taints of nodes that the pod bears, as in a pod's own `tolerations`.
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tolerations: Vec<Toleration>,

    /// Labels of the pod. Keys under `slowlane.dev/` and of Spark and its operator are theirs.
    #[schemars(schema_with = "schema::texts::<64, 63>")]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,

    /// Annotations of the pod. Keys under `slowlane.dev/` are the keeper's.
    #[schemars(schema_with = "schema::texts::<64, 4096>")]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// Size of a driver or of each executor. It stands above that of the template and of the Operation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SparkPodSize {
    /// Cores as Spark counts them: tasks that run at once in an executor. At least 1. They are requested unless somebody gives a
    /// `coreRequest`, the Operation included.
    #[schemars(range(min = 1, max = 1024))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cores: Option<i32>,

    /// Memory of the JVM heap in Spark's notation (1024s): `512m`, `4g`.
    #[schemars(regex(pattern = SPARK_MEMORY))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<String>,

    /// Memory beside the heap, in the same notation.
    #[schemars(regex(pattern = SPARK_MEMORY))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_overhead: Option<String>,

    /// Processor request of the pod, a Kubernetes quantity (`500m`).
    #[schemars(schema_with = "schema::cpu")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub core_request: Option<Quantity>,

    /// Processor limit of the pod, a Kubernetes quantity.
    #[schemars(schema_with = "schema::cpu")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub core_limit: Option<Quantity>,
}
