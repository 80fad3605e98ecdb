//! The keeper's own account, with the rights that the chart gives it and no others, and the policies of that chart: what no rule of its roles allows,
//! no test of a keeper can show to work.

use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::OnceLock;

use k8s_openapi::api::admissionregistration::v1::{ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::authorization::v1::SubjectAccessReview;
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::{Client, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::chart::{KEEPER, keeper};
use crate::world::{eventually, unique};

const NAME: &str = "slowlane";

static KUBECONFIG: OnceLock<PathBuf> = OnceLock::new();

/// The keeper's way to the API server.
pub(crate) fn kubeconfig() -> &'static str {
    KUBECONFIG.get().and_then(|file| file.to_str()).expect("the account is made with the first world")
}

/// Makes the account with its rights in all namespaces, and a kubeconfig with a token of it.
pub(crate) async fn install(client: &Client) {
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": KEEPER}});
    apply(&Api::<Namespace>::all(client.clone()), &namespace).await;
    let policies = Api::<ValidatingAdmissionPolicy>::all(client.clone());
    let bindings = Api::<ValidatingAdmissionPolicyBinding>::all(client.clone());
    let accounts = Api::<ServiceAccount>::namespaced(client.clone(), KEEPER);
    let shown = ["serviceaccount", "rbac", "policies"].map(|name| format!("templates/{name}.yaml"));
    let arguments: Vec<&str> = shown.iter().flat_map(|file| ["--show-only", file]).collect();
    for object in keeper(&arguments) {
        match object["kind"].as_str().expect("it has a kind") {
            "ServiceAccount" => apply(&accounts, &object).await,
            "ClusterRole" => apply(&Api::<ClusterRole>::all(client.clone()), &object).await,
            "ClusterRoleBinding" => apply(&Api::<ClusterRoleBinding>::all(client.clone()), &object).await,
            "ValidatingAdmissionPolicy" => apply(&policies, &object).await,
            "ValidatingAdmissionPolicyBinding" => apply(&bindings, &object).await,
            _ => {}
        }
    }
    let wanted = TokenRequestSpec { expiration_seconds: Some(7200), ..TokenRequestSpec::default() };
    let wanted = TokenRequest { spec: wanted, ..TokenRequest::default() };
    let made = accounts.create_token_request(NAME, &PostParams::default(), &wanted).await.expect("a token");
    let token = made.status.expect("it was made").token;
    KUBECONFIG.set(write(&token)).expect("the account is made once");
}

/// Gives the account, in this namespace, the rights that it has in its own where it is installed.
pub(crate) async fn admit(client: &Client, namespace: &str) {
    for mut object in keeper(&["--show-only", "templates/rbac.yaml"]) {
        object["metadata"]["namespace"] = json!(namespace);
        match object["kind"].as_str().expect("it has a kind") {
            "Role" => apply(&Api::<Role>::namespaced(client.clone(), namespace), &object).await,
            "RoleBinding" => apply(&Api::<RoleBinding>::namespaced(client.clone(), namespace), &object).await,
            _ => {}
        }
    }
    let reviews: Api<SubjectAccessReview> = Api::all(client.clone());
    let question = json!({"spec": {"user": format!("system:serviceaccount:{KEEPER}:{NAME}"), "resourceAttributes":
        {"namespace": namespace, "group": "coordination.k8s.io", "resource": "leases", "verb": "create"}}});
    let question: SubjectAccessReview = serde_json::from_value(question).expect("a question");
    eventually(|| async {
        let answer = reviews.create(&PostParams::default(), &question).await.map_err(|error| error.to_string())?;
        let status = answer.status.unwrap_or_default();
        if status.allowed { Ok(()) } else { Err(format!("{status:?}")) }
    })
    .await;
}

pub(crate) async fn apply<K>(api: &Api<K>, object: &Value)
where
    K: Resource<DynamicType = ()> + Serialize + DeserializeOwned + Clone + Debug,
{
    let name = object["metadata"]["name"].as_str().expect("it has a name");
    api.patch(name, &PatchParams::apply("test").force(), &Patch::Apply(object)).await.expect("it is taken");
}

/// The kubeconfig of the tests with another user in it.
fn write(token: &str) -> PathBuf {
    let file = std::env::var("KUBECONFIG").expect("KUBECONFIG is set");
    let text = std::fs::read_to_string(file).expect("it can be read");
    let mut config: Value = serde_yaml::from_str(&text).expect("it is YAML");
    config["users"][0]["user"] = json!({"token": token});
    let file = std::env::temp_dir().join(unique("keeper-kubeconfig"));
    std::fs::write(&file, config.to_string()).expect("a file");
    file
}
