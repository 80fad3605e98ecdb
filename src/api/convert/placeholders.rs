//! The Deployment whose pods hold a cluster's warm executors: they do nothing, and whatever is real displaces them. Pure.

use k8s_openapi::api::apps::v1::Deployment;
use kube::core::ObjectMeta;
use serde_json::{Value, json};

use crate::api::v1alpha1::ComputeCluster;
use crate::config::PlaceholderSettings;
use crate::model::{Name, PlaceholdersSeen};
use crate::spark::marks::{
    CLUSTER_ANNOTATION, DESIRED_ANNOTATION, MANAGED_BY, MANAGED_BY_LABEL, POOL_LABEL, label_value,
};
use crate::text::clean;

/// What a quota or Pod Security says, cut to so many bytes.
const MOST_WORDS: usize = 300;

/// It owns no file and needs none.
const NOBODY: u32 = 65532;

/// The Deployment's name: one a cluster, whatever its name's length.
#[must_use]
pub fn placeholders_name(cluster: &str) -> String {
    format!("slowlane-warm-{}", label_value(cluster))
}

/// The Deployment, as it is applied. `None`: the cluster does not say what an executor is.
#[must_use]
pub fn deployment(
    name: &Name,
    uid: &str,
    cluster: &ComputeCluster,
    warm: u64,
    desired: u64,
    settings: &PlaceholderSettings,
) -> Option<Value> {
    let unit = cluster.spec.executor.as_ref()?;
    let executor = cluster.spec.template.as_ref().and_then(|template| template.executor.clone()).unwrap_or_default();
    let labels = json!({POOL_LABEL: label_value(name), MANAGED_BY_LABEL: MANAGED_BY});
    let size = json!({"cpu": unit.cores, "memory": unit.memory});
    Some(json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": placeholders_name(name),
            "labels": labels,
            "annotations": {CLUSTER_ANNOTATION: &**name, DESIRED_ANNOTATION: desired.to_string()},
            // It goes with its cluster.
            "ownerReferences": [{
                "apiVersion": "slowlane.dev/v1alpha1", "kind": "ComputeCluster", "name": &**name, "uid": uid,
            }],
        },
        "spec": {
            "replicas": warm,
            "revisionHistoryLimit": 0,
            // Never more of them than there are to be.
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": {POOL_LABEL: label_value(name)}},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "priorityClassName": settings.priority_class_name,
                    "nodeSelector": executor.node_selector,
                    "tolerations": executor.tolerations,
                    "automountServiceAccountToken": false,
                    "enableServiceLinks": false,
                    "terminationGracePeriodSeconds": 0,
                    "securityContext": {
                        "runAsNonRoot": true,
                        "runAsUser": NOBODY,
                        "runAsGroup": NOBODY,
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                    "containers": [{
                        "name": "warm",
                        "image": settings.image,
                        "resources": {"requests": size, "limits": {"memory": unit.memory}},
                        "securityContext": {
                            "allowPrivilegeEscalation": false,
                            "readOnlyRootFilesystem": true,
                            "capabilities": {"drop": ["ALL"]},
                        },
                    }],
                },
            },
        },
    }))
}

/// What is seen of such a Deployment; `None`: it does not say of which cluster it is.
#[must_use]
pub fn placeholders(meta: &ObjectMeta, deployment: &Deployment) -> Option<PlaceholdersSeen> {
    let number = |number: Option<i32>| u64::try_from(number.unwrap_or(0)).unwrap_or(0);
    let status = deployment.status.as_ref();
    let refused = status.and_then(|status| {
        let failed = status.conditions.iter().flatten();
        failed.into_iter().find(|it| it.type_ == "ReplicaFailure" && it.status == "True")
    });
    Some(PlaceholdersSeen {
        cluster: cluster_of_placeholders(meta)?,
        // Left out, there is one.
        replicas: number(deployment.spec.as_ref()?.replicas.or(Some(1))),
        ready: number(status.and_then(|status| status.ready_replicas)),
        desired: meta
            .annotations
            .as_ref()
            .and_then(|all| all.get(DESIRED_ANNOTATION))
            .and_then(|text| text.parse().ok()),
        refused: refused.and_then(|it| it.message.as_deref()).map(|words| clean(words, MOST_WORDS).into()),
    })
}

/// The cluster that its annotation names.
#[must_use]
pub fn cluster_of_placeholders(meta: &ObjectMeta) -> Option<Name> {
    meta.annotations.as_ref()?.get(CLUSTER_ANNOTATION).map(|name| name.as_str().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(spec: Value) -> ComputeCluster {
        ComputeCluster::new("business", serde_json::from_value(spec).unwrap())
    }

    #[test]
    fn a_placeholder_is_as_large_as_an_executor_and_goes_where_executors_go() {
        let spec = json!({
            "executors": {"max": 9}, "executor": {"cores": 2, "memory": "4Gi"}, "warmCapacity": "Placeholder",
            "template": {"executor": {"nodeSelector": {"pool": "spark"}, "tolerations": [{"key": "spark", "operator": "Exists"}]}},
        });
        let settings = PlaceholderSettings::default();
        let made = deployment(&"business".into(), "u", &cluster(spec), 3, 8, &settings).unwrap();
        let read: Deployment = serde_json::from_value(made.clone()).unwrap();
        let seen = placeholders(&read.metadata, &read).unwrap();
        assert_eq!((&*seen.cluster, seen.replicas, seen.ready, seen.desired), ("business", 3, 0, Some(8)));
        let pod = read.spec.unwrap().template.spec.unwrap();
        assert_eq!(pod.node_selector.unwrap().get("pool").map(String::as_str), Some("spark"));
        assert_eq!(pod.tolerations.unwrap().len(), 1);
        assert_eq!(
            made["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"],
            json!({"cpu": "2", "memory": "4Gi"})
        );
        assert_eq!(pod.priority_class_name.as_deref(), Some("slowlane-placeholder"));
        assert!(deployment(&"x".into(), "u", &cluster(json!({})), 1, 1, &settings).is_none());
    }

    #[test]
    fn each_cluster_has_a_name_of_its_own_for_it() {
        assert_eq!(placeholders_name("business"), "slowlane-warm-business");
        let long = ["a".repeat(62) + ".b", "a".repeat(62) + ".c"].map(|name| placeholders_name(&name));
        assert!(long[0] != long[1] && long.iter().all(|name| name.len() <= 80), "{long:?}");
        assert_ne!(placeholders_name("a.b"), placeholders_name("a-b"));
    }
}
