//! The API server under test: the definitions installed, plain requests, and whole answers - code, body, warnings.

use std::sync::atomic::{AtomicU32, Ordering};

use http::{Method, Request};
use kube::{Client, client::Body};
use serde_json::{Value, json};
use slowlane::api::v1alpha1::definitions;
use tokio::sync::OnceCell;

use crate::answer::Answer;
use crate::install::install;

/// Prefix of the paths of our API group.
pub(crate) const GROUP: &str = "/apis/slowlane.dev/v1alpha1";

static INSTALLED: OnceCell<()> = OnceCell::const_new();
static NAMES: AtomicU32 = AtomicU32::new(0);

/// How the server treats fields that it does not know.
#[derive(Clone, Copy)]
pub(crate) enum Fields {
    /// Refuse them, as `kubectl` asks for.
    Strict,
    /// Warn and prune, as is usual for clients that say nothing.
    Warn,
}

/// The API server, with our definitions installed.
pub(crate) struct Server {
    client: Client,
}

impl Server {
    /// Connect by `KUBECONFIG`, and install the definitions unless another test has done so.
    pub(crate) async fn connect() -> Self {
        let client = Client::try_default().await.expect("KUBECONFIG names a running API server");
        INSTALLED.get_or_init(|| install(client.clone(), definitions())).await;
        Self { client }
    }

    /// A namespace that no other test uses.
    pub(crate) async fn namespace(&self) -> String {
        let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"generateName": "api-test-"}});
        let made = self.send(Method::POST, "/api/v1/namespaces", "", &body).await.accepted();
        made["metadata"]["name"].as_str().expect("it has a name").to_owned()
    }

    /// Create `object` under the collection `path`; nothing is stored with `dry`.
    pub(crate) async fn create(&self, path: &str, object: &Value, fields: Fields, dry: bool) -> Answer {
        self.send(Method::POST, path, &query(fields, dry), object).await
    }

    /// Replace the object, or its status, at `path`; nothing is stored with `dry`.
    pub(crate) async fn replace(&self, path: &str, object: &Value, dry: bool) -> Answer {
        self.send(Method::PUT, path, &query(Fields::Strict, dry), object).await
    }

    /// Read `path` as plain JSON.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.exchange(Method::GET, path, "application/json", Body::empty()).await
    }

    /// Read the collection at `path` as the table that `kubectl get` prints.
    pub(crate) async fn table(&self, path: &str) -> Value {
        let accept = "application/json;as=Table;v=v1;g=meta.k8s.io";
        self.exchange(Method::GET, path, accept, Body::empty()).await.accepted()
    }

    async fn send(&self, method: Method, path: &str, query: &str, body: &Value) -> Answer {
        let body = Body::from(serde_json::to_vec(body).expect("a value is JSON"));
        self.exchange(method, &format!("{path}?{query}"), "application/json", body).await
    }

    async fn exchange(&self, method: Method, path: &str, accept: &str, body: Body) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("accept", accept)
            .header("content-type", "application/json")
            .body(body)
            .expect("the request is well formed");
        Answer::read(self.client.send(request).await.expect("the server answers")).await
    }
}

fn query(fields: Fields, dry: bool) -> String {
    let validation = match fields {
        Fields::Strict => "Strict",
        Fields::Warn => "Warn",
    };
    format!("fieldValidation={validation}{}", if dry { "&dryRun=All" } else { "" })
}

/// A name that no other object of this run, or of a run before on the same server, has.
pub(crate) fn unique(stem: &str) -> String {
    format!("{stem}-{}-{}", std::process::id(), NAMES.fetch_add(1, Ordering::Relaxed))
}
