//! What different clients meet: unknown fields, nulls, free parameters, long names, selectors, and typed reading.

use kube::ResourceExt;
use serde_json::{Value, json};
use slowlane::api::v1alpha1::{ComputeCluster, ManagedJob, Operation, RunLedger};

use crate::{
    harness::{Fields, GROUP, Server, unique},
    specimen,
    table::{Kind, at},
};

async fn create(server: &Server, namespace: &str, spec: &Value) -> Value {
    server.create(&Kind::Job.path(namespace), &Kind::Job.object(spec), Fields::Strict, false).await.accepted()
}

#[tokio::test]
async fn a_strict_client_is_told_of_an_unknown_field() {
    let server = Server::connect().await;
    let path = Kind::Job.path(&server.namespace().await);
    let object = Kind::Job.object(&json!({"operation": "daily", "priorty": "High"}));
    let answer = server.create(&path, &object, Fields::Strict, true).await;
    assert_eq!(answer.code, 400);
    assert!(answer.message().contains("unknown field \"spec.priorty\""), "{}", answer.message());
}

#[tokio::test]
async fn another_client_is_warned_and_the_field_is_dropped() {
    let server = Server::connect().await;
    let path = Kind::Job.path(&server.namespace().await);
    let object = Kind::Job.object(&json!({"operation": "daily", "priorty": "High"}));
    let answer = server.create(&path, &object, Fields::Warn, false).await;
    assert!(
        answer.warnings.iter().any(|text| text.contains("unknown field") && text.contains("spec.priorty")),
        "{answer:?}"
    );
    assert_eq!(answer.accepted()["spec"], json!({"operation": "daily"}));
}

#[tokio::test]
async fn what_later_versions_may_offer_is_unknown_today() {
    let server = Server::connect().await;
    let path = Kind::Job.path(&server.namespace().await);
    let later = ["application", "retry", "dependsOn", "forEach", "queueTimeoutSeconds"];
    for field in later {
        let mut object = Kind::Job.object(&json!({"operation": "daily"}));
        object["spec"][field] = json!({});
        assert_eq!(server.create(&path, &object, Fields::Strict, true).await.code, 400, "{field}");
    }
}

#[tokio::test]
async fn packages_and_pod_templates_are_not_offered() {
    let server = Server::connect().await;
    let path = Kind::Operation.path(&server.namespace().await);
    for (parent, field) in [
        ("deps", "packages"),
        ("deps", "repositories"),
        ("driver", "template"),
        ("driver", "envFrom"),
        ("executor", "instances"),
    ] {
        let mut object =
            Kind::Operation.object(&json!({"application": {"type": "Python", "mainApplicationFile": "local:///a.py"}}));
        object["spec"]["application"][parent] = json!({field: []});
        let answer = server.create(&path, &object, Fields::Strict, true).await;
        assert_eq!(answer.code, 400);
        assert!(
            answer.message().contains(&format!("unknown field \"spec.application.{parent}.{field}\"")),
            "{}",
            answer.message()
        );
    }
}

#[tokio::test]
async fn a_size_says_nothing_but_how_large_things_are() {
    let server = Server::connect().await;
    for (pointer, field) in [("", "image"), ("/executors", "size"), ("/driver", "labels"), ("/executor", "env")] {
        let mut size = json!({"executors": {"max": 4}, "driver": {}, "executor": {}});
        size.pointer_mut(pointer).expect("it is there")[field] = json!("x");
        let object = Kind::Cluster.object(&json!({"sizes": {"M": size}}));
        let answer = server.create(&Kind::Cluster.path(""), &object, Fields::Strict, true).await;
        assert_eq!(answer.code, 400);
        let unknown = format!("unknown field \"spec.sizes.M{}.{field}\"", pointer.replace('/', "."));
        assert!(answer.message().contains(&unknown), "{}", answer.message());
    }
}

#[tokio::test]
async fn an_explicit_null_is_not_stored() {
    let server = Server::connect().await;
    let namespace = server.namespace().await;
    let job = create(
        &server,
        &namespace,
        &json!({"operation": "daily", "clusterName": null, "executors": {"max": 1, "min": null}}),
    )
    .await;
    assert_eq!(job["spec"], json!({"operation": "daily", "executors": {"max": 1}}));
}

#[tokio::test]
async fn parameters_are_kept_as_they_are() {
    let server = Server::connect().await;
    let namespace = server.namespace().await;
    let parameters = json!({
        "text": "a",
        "list": [1, 2.5, {"deep": {"er": [null, true]}}],
        "none": null,
        "big": 9_007_199_254_740_993_i64,
    });
    let job = create(&server, &namespace, &json!({"operation": "daily", "parameters": parameters})).await;
    assert_eq!(job["spec"]["parameters"], parameters);
}

#[tokio::test]
async fn a_new_job_has_a_status_that_nobody_has_written() {
    let server = Server::connect().await;
    let namespace = server.namespace().await;
    let mut object = Kind::Job.object(&json!({"operation": "daily"}));
    object["status"] = json!({"state": "Succeeded"});
    let path = Kind::Job.path(&namespace);
    let job = server.create(&path, &object, Fields::Strict, false).await.accepted();
    let job = server.get(&at(&path, &job)).await.accepted();
    assert_eq!(job["status"], json!({"observedGeneration": -1}));
}

#[tokio::test]
async fn a_job_may_have_a_name_of_253_characters() {
    let server = Server::connect().await;
    let path = Kind::Job.path(&server.namespace().await);
    let mut object = Kind::Job.object(&json!({"operation": "daily"}));
    for (length, code) in [(253, 201), (254, 422)] {
        object["metadata"]["name"] = json!("n".repeat(length));
        assert_eq!(server.create(&path, &object, Fields::Strict, true).await.code, code, "{length}");
    }
}

#[tokio::test]
async fn jobs_are_selected_by_operation_and_by_state() {
    let server = Server::connect().await;
    let namespace = server.namespace().await;
    let path = Kind::Job.path(&namespace);
    create(&server, &namespace, &json!({"operation": "daily"})).await;
    let mut job = create(&server, &namespace, &json!({"operation": "hourly"})).await;
    job["status"] = json!({"state": "Running"});
    server.replace(&format!("{}/status", at(&path, &job)), &job, false).await.accepted();
    for selector in ["spec.operation=hourly", "status.state=Running"] {
        let list = server.get(&format!("{path}?fieldSelector={}", selector.replace('=', "%3D"))).await.accepted();
        let names: Vec<_> =
            list["items"].as_array().into_iter().flatten().map(|item| &item["metadata"]["name"]).collect();
        assert_eq!(names, [&job["metadata"]["name"]], "{selector}");
    }
}

#[tokio::test]
async fn a_held_cluster_and_the_default_are_told_apart() {
    let server = Server::connect().await;
    let mut object = Kind::Cluster.object(&json!({}));
    object["metadata"]["name"] = json!(unique("plain"));
    let made = server.create(&Kind::Cluster.path(""), &object, Fields::Strict, true).await.accepted();
    assert_eq!(made["spec"], json!({"stopPolicy": "None", "warmCapacity": "None", "onWindowEnd": "Finish"}));
}

#[tokio::test]
async fn our_types_read_what_is_stored_and_write_it_unchanged() {
    let server = Server::connect().await;
    let namespace = server.namespace().await;
    for kind in [Kind::Job, Kind::Operation, Kind::Cluster, Kind::Ledger] {
        let mut object = kind.object(&specimen::spec(kind));
        if let Some(status) = specimen::status(kind) {
            object["status"] = status;
        }
        let stored = server.create(&kind.path(&namespace), &object, Fields::Strict, true).await.accepted();
        object["metadata"] = stored["metadata"].clone();
        assert_same(&reread(kind, &object), &object, kind.name());
    }
}

/// Read with our types and written again.
fn reread(kind: Kind, object: &Value) -> Value {
    fn round<T: serde::de::DeserializeOwned + serde::Serialize + ResourceExt>(object: &Value) -> Value {
        let typed: T = serde_json::from_value(object.clone()).expect("our type reads it");
        assert!(!typed.name_any().is_empty());
        serde_json::to_value(typed).expect("our type is JSON")
    }
    match kind {
        Kind::Job => round::<ManagedJob>(object),
        Kind::Operation => round::<Operation>(object),
        Kind::Cluster => round::<ComputeCluster>(object),
        Kind::Ledger => round::<RunLedger>(object),
    }
}

/// Equal, but that false for `cancel` is left out and a quantity is a text.
fn assert_same(found: &Value, expected: &Value, path: &str) {
    match (found, expected) {
        (Value::Object(found), Value::Object(expected)) => {
            for (name, value) in expected {
                let path = format!("{path}.{name}");
                match found.get(name) {
                    Some(found) => assert_same(found, value, &path),
                    None => assert_eq!(value, &json!(false), "{path} is lost"),
                }
            }
        }
        (Value::String(found), Value::Number(expected)) => assert_eq!(found, &expected.to_string(), "{path}"),
        (found, expected) => assert_eq!(found, expected, "{path}"),
    }
}

#[tokio::test]
async fn the_reference_that_explain_reads_is_small() {
    let server = Server::connect().await;
    let document = server.get(&format!("/openapi/v3{GROUP}")).await.accepted();
    let schemas = document["components"]["schemas"].as_object().expect("it has schemas");
    let ours = |name: &str| {
        schemas.iter().find(|(key, _)| key.ends_with(&format!(".{name}"))).map(|(_, schema)| schema.to_string().len())
    };
    for kind in ["ManagedJob", "Operation", "ComputeCluster", "RunLedger"] {
        let size = ours(kind).expect("the kind is published");
        assert!(size < 40_000, "{kind} is explained in {size} bytes");
    }
}
