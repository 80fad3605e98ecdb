//! The charts as Helm renders them, brought to the API server: roles, bindings, accounts, policies.

use std::time::{Duration, Instant};

use http::Method;
use serde_json::Value;

use crate::ask::{Expected, PATIENCE, Place, Row, denied_by};
use crate::helm::{keeper, render};
use crate::people::People;
use crate::server::{Call, Server};
use crate::spark::spark_chart;

/// Where the spark-operator is.
pub(crate) const SPARK_OPERATOR: &str = "spark-operator";

const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";
const ADMISSION: &str = "/apis/admissionregistration.k8s.io/v1";
const NETWORK: &str = "/apis/networking.k8s.io/v1";

/// The keeper's chart, with drivers allowed in `jobs`.
fn keeper_chart(jobs: &str) -> Vec<Value> {
    let namespaces = format!("jobNamespaces={{{jobs}}}");
    let network = "networkPolicies.keeper.enabled=true,networkPolicies.runs.enabled=true";
    keeper(&["--set", &namespaces, "--set", network])
}

/// The rights of the spark-operator, as the local cluster installs it.
fn spark_operator_chart() -> Vec<Value> {
    let values = concat!(env!("CARGO_MANIFEST_DIR"), "/e2e/local/spark-operator.values.yaml");
    let only =
        ["--show-only", "templates/controller/rbac.yaml", "--show-only", "templates/controller/serviceaccount.yaml"];
    render("spark-operator", &spark_chart(), SPARK_OPERATOR, &[["--values", values].as_slice(), &only].concat())
}

/// The policies of the keeper's chart.
pub(crate) fn policies(jobs: &str) -> Vec<Value> {
    let all = keeper_chart(jobs).into_iter();
    all.filter(|object| object["kind"] == "ValidatingAdmissionPolicy").collect()
}

/// The longest part of a rule's message that is the same for everybody.
pub(crate) fn fixed_words(rule: &Value) -> String {
    if let Some(message) = rule["message"].as_str() {
        return message.to_owned();
    }
    let expression = rule["messageExpression"].as_str().expect("every rule has a message");
    let literals = expression.split('\'').skip(1).step_by(2);
    literals.max_by_key(|literal| literal.len()).expect("it has words").trim().to_owned()
}

/// Where an object stands; `None` for kinds that no right hangs on.
fn place(object: &Value) -> Option<Place> {
    let namespaced = |prefix, plural| {
        let namespace = object["metadata"]["namespace"].as_str().expect("it has a namespace");
        Place::within(namespace, prefix, plural)
    };
    let place = match object["kind"].as_str()? {
        "ServiceAccount" => namespaced("/api/v1", "serviceaccounts"),
        "Role" => namespaced(RBAC, "roles"),
        "RoleBinding" => namespaced(RBAC, "rolebindings"),
        "ClusterRole" => Place::everywhere(RBAC, "clusterroles"),
        "ClusterRoleBinding" => Place::everywhere(RBAC, "clusterrolebindings"),
        "NetworkPolicy" => namespaced(NETWORK, "networkpolicies"),
        "ValidatingAdmissionPolicy" => Place::everywhere(ADMISSION, "validatingadmissionpolicies"),
        "ValidatingAdmissionPolicyBinding" => Place::everywhere(ADMISSION, "validatingadmissionpolicybindings"),
        _ => return None,
    };
    Some(place.at(object["metadata"]["name"].as_str()?))
}

fn is_policy(object: &Value) -> bool {
    object["kind"].as_str().is_some_and(|kind| kind.starts_with("ValidatingAdmissionPolicy"))
}

async fn put_all(server: &Server, objects: impl Iterator<Item = Value>) {
    for object in objects {
        if let Some(place) = place(&object) {
            server.put(&place.path(), &object).await;
        }
    }
}

/// Brings both charts' accounts and roles to the server, and the network policies.
pub(crate) async fn grant(server: &Server, jobs: &str) {
    put_all(server, keeper_chart(jobs).into_iter().filter(|object| !is_policy(object))).await;
    put_all(server, spark_operator_chart().into_iter()).await;
}

/// Takes away the policies that another run may have left, until none of them refuses anything.
pub(crate) async fn withdraw_policies(server: &Server, people: &People, rows: &[Row]) {
    for object in keeper_chart("anywhere").iter().filter(|object| is_policy(object)) {
        let path = place(object).expect("it stands somewhere").path();
        let answer = server.call(&Call::new(Method::DELETE, path, Value::Null)).await;
        assert!(answer.is_ok() || answer.code == 404, "{}", answer.message());
    }
    probe(server, people, rows, false).await;
}

/// Brings the policies to the server, until each of them refuses what it shall.
pub(crate) async fn enforce_policies(server: &Server, people: &People, rows: &[Row]) {
    put_all(server, keeper_chart("anywhere").into_iter().filter(is_policy)).await;
    probe(server, people, rows, true).await;
}

/// Waits until the first row that each policy should refuse is refused by it, or is not.
async fn probe(server: &Server, people: &People, rows: &[Row], in_force: bool) {
    let mut probed = Vec::new();
    for row in rows {
        let Expected::ByPolicy(policy, _) = row.expected else { continue };
        if probed.contains(&policy) {
            continue;
        }
        probed.push(policy);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = server.ask(people, row).await;
            if answer.message().contains(&denied_by(policy)) == in_force {
                break;
            }
            assert!(Instant::now() < deadline, "{policy} in force: {in_force} wanted: {answer:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
