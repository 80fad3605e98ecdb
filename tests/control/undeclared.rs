//! SparkApplications that no ManagedJob declared: they take room and are told of, and nobody creates them where that is denied.

use k8s_openapi::api::admissionregistration::v1::{ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding};
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::{Client, Config};
use serde_json::{Value, json};
use slowlane::api::v1alpha1::JobState;
use slowlane::spark::api_resource;

use crate::account::apply;
use crate::chart::keeper;
use crate::keeper::Keeper;
use crate::operator::Operator;
use crate::world::{World, eventually, message_of, reason_of};

fn stranger(executors: u32) -> DynamicObject {
    let spec = json!({"type": "Scala", "mode": "cluster", "sparkVersion": "4.0.1", "mainApplicationFile": "local:///a.jar",
        "driver": {"memory": "512m"}, "executor": {"memory": "512m", "instances": executors}});
    let object = json!({"apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "SparkApplication",
        "metadata": {"name": "adhoc"}, "spec": spec});
    serde_json::from_value(object).expect("an application")
}

#[tokio::test]
async fn a_stranger_takes_room_is_told_of_and_leaves_it_when_it_has_ended() {
    let world = World::new().await;
    let size = json!({"spec": {"executors": {"max": 3}}});
    world.clusters().patch(&world.cluster, &PatchParams::default(), &Patch::Merge(size)).await.unwrap();
    world.operation("report", json!({"defaults": {"executors": {"min": 2, "max": 2}}})).await;
    world.applications().create(&PostParams::default(), &stranger(2)).await.unwrap();
    let (keeper, operator) = (Keeper::start(&world), Operator::start(&world));
    keeper.ready().await;
    world.job("daily", "report", json!({})).await;
    let waiting = world.job_that("daily", |job| reason_of(job) == "ClusterOccupied").await;
    let words = "has free: 1 (2 taken by SparkApplications that no ManagedJob declared)";
    assert!(message_of(&waiting).ends_with(words), "{}", message_of(&waiting));
    eventually(|| async {
        let status = world.clusters().get(&world.cluster).await.map_err(|error| error.to_string())?.status;
        let status = status.unwrap_or_default();
        let taken = status.executors.and_then(|executors| executors.strangers);
        let found = status.conditions.iter().find(|one| one.type_ == "UndeclaredApplication").cloned();
        let name = format!("{}/adhoc", world.namespace);
        let is_named = found.as_ref().is_some_and(|one| one.status == "True" && one.message.contains(&name));
        if is_named && taken == Some(2) { Ok(()) } else { Err(format!("{taken:?} {found:?}")) }
    })
    .await;
    eventually(|| async {
        let counted = keeper.metric("slowlane_undeclared_applications", &world.namespace).await;
        if counted > 0.5 { Ok(()) } else { Err(counted) }
    })
    .await;
    eventually(|| async {
        let events = world.api::<Event>().list(&ListParams::default()).await.map_err(|error| error.to_string())?;
        let mut told = events.items.iter().filter(|event| event.reason.as_deref() == Some("UndeclaredApplication"));
        if told.next().is_some() { Ok(()) } else { Err(format!("{} events", events.items.len())) }
    })
    .await;
    let ended = Patch::Merge(json!({"status": {"applicationState": {"state": "COMPLETED"}, "driverInfo": {}}}));
    world.applications().patch_status("adhoc", &PatchParams::default(), &ended).await.unwrap();
    world.job_in("daily", JobState::Succeeded).await;
    assert_eq!(operator.submissions("daily"), 1);
    drop(keeper);
    world.remove().await;
}

/// Somebody who may do everything in the namespace, and is no administrator.
async fn somebody(world: &World) -> Api<DynamicObject> {
    let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "somebody"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "somebody"}]});
    apply(&world.api::<RoleBinding>(), &binding).await;
    let mut config = Config::infer().await.expect("KUBECONFIG names a running API server");
    config.auth_info.impersonate = Some("somebody".into());
    let client = Client::try_from(config).expect("a client");
    Api::namespaced_with(client, &world.namespace, &api_resource())
}

/// The chart's policy and its binding, for this world's namespace only, under a name of its own; with the values of the chart that
/// are set beside `Deny`.
async fn deny(world: &World, set: &str) -> String {
    let name = format!("{}-undeclared", world.namespace);
    let set = format!("settings.undeclared=Deny,{set}");
    let shown = ["--set", &set, "--show-only", "templates/policies.yaml"];
    let objects = keeper(&shown).into_iter().filter(|object| object["metadata"]["name"] == "slowlane-undeclared");
    for mut object in objects {
        object["metadata"]["name"] = json!(name);
        if object["kind"] == "ValidatingAdmissionPolicy" {
            object["spec"]["matchConstraints"]["namespaceSelector"]["matchLabels"] = json!({"test": world.namespace});
            apply(&Api::<ValidatingAdmissionPolicy>::all(world.client.clone()), &object).await;
        } else {
            object["spec"]["policyName"] = json!(name);
            apply(&Api::<ValidatingAdmissionPolicyBinding>::all(world.client.clone()), &object).await;
        }
    }
    name
}

#[tokio::test]
async fn nobody_but_the_keeper_creates_applications_where_that_is_denied() {
    let world = World::new().await;
    world.operation("report", json!({})).await;
    let applications = somebody(&world).await;
    let create = PostParams::default();
    eventually(|| async { applications.create(&create, &stranger(1)).await.map_err(|error| error.to_string()) }).await;
    let name = deny(&world, "policies.undeclaredAllowedIn={elsewhere}").await;
    let trial = PostParams { dry_run: true, ..PostParams::default() };
    let mut other = stranger(1);
    other.metadata.name = Some("other".into());
    let refused = eventually(|| async {
        match applications.create(&trial, &other).await {
            Err(kube::Error::Api(status)) if status.code == 403 => Ok(status.message.clone()),
            answer => Err(format!("{answer:?}")),
        }
    })
    .await;
    assert!(refused.contains("create a ManagedJob of it"), "{refused}");
    // Those that are there are nobody's prisoners.
    let marked = Patch::Merge(json!({"metadata": {"labels": {"team": "a"}, "finalizers": ["example.com/x"]}}));
    applications.patch("adhoc", &PatchParams::default(), &marked).await.unwrap();
    let state = Patch::Merge(json!({"status": {"applicationState": {"state": "RUNNING"}, "driverInfo": {}}}));
    applications.patch_status("adhoc", &PatchParams::default(), &state).await.unwrap();
    applications.delete("adhoc", &DeleteParams::default()).await.unwrap();
    let freed = Patch::Merge(json!({"metadata": {"finalizers": Value::Null}}));
    applications.patch("adhoc", &PatchParams::default(), &freed).await.unwrap();
    let (keeper, operator) = (Keeper::start(&world), Operator::start(&world));
    world.job("daily", "report", json!({})).await;
    world.job_in("daily", JobState::Succeeded).await;
    assert_eq!(operator.submissions("daily"), 1);
    drop(keeper);
    // But where the chart lets people go on.
    deny(&world, &format!("policies.undeclaredAllowedIn={{{}}}", world.namespace)).await;
    eventually(|| async { applications.create(&trial, &other).await.map_err(|error| error.to_string()) }).await;
    let none = DeleteParams::default();
    Api::<ValidatingAdmissionPolicyBinding>::all(world.client.clone()).delete(&name, &none).await.unwrap();
    Api::<ValidatingAdmissionPolicy>::all(world.client.clone()).delete(&name, &none).await.unwrap();
    world.remove().await;
}
