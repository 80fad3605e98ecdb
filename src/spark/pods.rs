//! Pod templates of driver and executors.
//!
//! Everything that the spark-operator's webhook would patch into pods stands here instead, so that runs are the same
//! with and without it. The pods meet Pod Security `restricted`. What Spark adds (image, resources, ports, its own
//! environment and arguments) it adds to these containers, found by their names.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::substitute::for_kubelet;
use crate::api::v1alpha1::SparkPod;

/// User of Spark's images, the official ones as well as those made with Spark's own Dockerfile.
const SPARK_USER: u32 = 185;

/// The container that Spark runs a driver in.
pub const DRIVER_CONTAINER: &str = "spark-kubernetes-driver";
/// The container that Spark runs an executor in.
pub const EXECUTOR_CONTAINER: &str = "spark-kubernetes-executor";

/// What the templates of one run carry.
pub(super) struct Pods<'a> {
    /// Environment of both, by name.
    pub env: &'a BTreeMap<String, String>,
    /// Annotations of both.
    pub annotations: &'a BTreeMap<String, String>,
    /// The driver as declared.
    pub driver: Option<&'a SparkPod>,
    /// The executor as declared.
    pub executor: Option<&'a SparkPod>,
}

impl Pods<'_> {
    /// The driver's template. It keeps its token: it asks the API server for executors.
    pub(super) fn driver(&self) -> Value {
        self.template(DRIVER_CONTAINER, true, self.driver)
    }

    /// The executors' template, without a token: an executor talks to its driver only.
    pub(super) fn executor(&self) -> Value {
        self.template(EXECUTOR_CONTAINER, false, self.executor)
    }

    fn template(&self, container: &str, token: bool, declared: Option<&SparkPod>) -> Value {
        let mut template = json!({
            "metadata": {"annotations": self.annotations},
            "spec": {
                "automountServiceAccountToken": token,
                "enableServiceLinks": false,
                "securityContext": {
                    "runAsNonRoot": true,
                    "runAsUser": SPARK_USER,
                    "runAsGroup": SPARK_USER,
                    "fsGroup": SPARK_USER,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "containers": [{
                    "name": container,
                    "env": self.env_list(),
                    "terminationMessagePolicy": "FallbackToLogsOnError",
                    "securityContext": {
                        "allowPrivilegeEscalation": false,
                        "capabilities": {"drop": ["ALL"]},
                    },
                }],
            },
        });
        // Where it may run is said in the template: the operator would need its webhook for it.
        if let Some(declared) = declared {
            if !declared.node_selector.is_empty() {
                template["spec"]["nodeSelector"] = json!(declared.node_selector);
            }
            if !declared.tolerations.is_empty() {
                template["spec"]["tolerations"] = json!(declared.tolerations);
            }
        }
        template
    }

    fn env_list(&self) -> Vec<Value> {
        self.env.iter().map(|(name, value)| json!({"name": name, "value": for_kubelet(value)})).collect()
    }
}
