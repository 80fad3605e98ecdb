//! The API server, asked as anybody: by impersonation, by a real token, or without any credentials.

use http::{Method, Request, request::Builder};
use kube::client::Body;
use kube::config::AuthInfo;
use kube::{Client, Config};
use serde_json::{Value, json};
use slowlane::api::v1alpha1::definitions;

use crate::answer::Answer;
use crate::ask::Row;
use crate::install::install;
use crate::people::{Identity, People};
use crate::spark::spark_definition;

/// What is sent.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) content_type: &'static str,
    pub(crate) body: Value,
}

pub(crate) const APPLY: &str = "application/apply-patch+yaml";
const JSON: &str = "application/json";

/// By this, `e2e/check-rights` tells what is asked here in the keeper's name from what the keeper does.
const USER_AGENT: &str = "slowlane-rights";

impl Call {
    pub(crate) fn new(method: Method, path: impl Into<String>, body: Value) -> Self {
        Self { method, path: path.into(), content_type: JSON, body }
    }

    /// A server-side apply: creates the object or changes it.
    pub(crate) fn apply(path: impl Into<String>, body: Value) -> Self {
        let path = format!("{}?fieldManager=rights&force=true", path.into());
        Self { method: Method::PATCH, path, content_type: APPLY, body }
    }
}

pub(crate) struct Server {
    /// Member of `system:masters`, who may be anybody.
    master: Client,
    /// Nobody at all.
    bare: Client,
}

impl Server {
    /// Connects by `KUBECONFIG`, and installs the definitions, the spark-operator's too.
    pub(crate) async fn connect() -> Self {
        let config = Config::infer().await.expect("KUBECONFIG names a running API server");
        let mut bare = config.clone();
        bare.auth_info = AuthInfo::default();
        let master = Client::try_from(config).expect("a client");
        let mut all = definitions();
        all.push(spark_definition());
        install(master.clone(), all).await;
        Self { master, bare: Client::try_from(bare).expect("a client") }
    }

    /// Sends a row's request, as the one whom it is about.
    pub(crate) async fn ask(&self, people: &People, row: &Row) -> Answer {
        let mut call = row.call.clone();
        if call.method != Method::GET {
            call.path = format!("{}{}dryRun=All", call.path, if call.path.contains('?') { '&' } else { '?' });
        }
        let request = Request::builder().header("user-agent", USER_AGENT);
        match people.identity(row.who) {
            Identity::Master => send(&self.master, request, &call).await,
            Identity::Anonymous => send(&self.bare, request, &call).await,
            Identity::Token { token, .. } => {
                send(&self.bare, request.header("authorization", format!("Bearer {token}")), &call).await
            }
            Identity::Impersonated { name, groups } => {
                let request = request.header("impersonate-user", name);
                let request = groups.iter().fold(request, |request, group| request.header("impersonate-group", *group));
                send(&self.master, request, &call).await
            }
        }
    }

    /// Does something that nobody refuses.
    pub(crate) async fn call(&self, call: &Call) -> Answer {
        send(&self.master, Request::builder(), call).await
    }

    /// Reads something that is there.
    pub(crate) async fn get(&self, path: &str) -> Value {
        self.call(&Call::new(Method::GET, path, Value::Null)).await.accepted()
    }

    /// Sees to it that an object stands there as it is written.
    pub(crate) async fn put(&self, path: &str, object: &Value) -> Value {
        self.call(&Call::apply(path, object.clone())).await.accepted()
    }

    /// A token of a `ServiceAccount`, bound to a pod of it or to nothing.
    pub(crate) async fn token(&self, namespace: &str, account: &str, pod: Option<&Value>) -> String {
        let bound = pod.map(|pod| {
            let meta = &pod["metadata"];
            json!({"apiVersion": "v1", "kind": "Pod", "name": meta["name"], "uid": meta["uid"]})
        });
        let body = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
            "spec": {"expirationSeconds": 3600, "boundObjectRef": bound}});
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token");
        let made = self.call(&Call::new(Method::POST, path, body)).await.accepted();
        made["status"]["token"].as_str().expect("a token").to_owned()
    }
}

async fn send(client: &Client, request: Builder, call: &Call) -> Answer {
    let body = if call.body.is_null() { Vec::new() } else { serde_json::to_vec(&call.body).expect("JSON") };
    let request = request.method(&call.method).uri(&call.path).header("content-type", call.content_type);
    let request = request.header("accept", JSON).body(Body::from(body)).expect("a request");
    Answer::read(client.send(request).await.expect("the server answers")).await
}
