//! A proxy in front of the API server that breaks what it is told to break. It speaks plain HTTP and lends its own
//! credentials, so a kubeconfig that names it needs none.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use kube::{Client, Config};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::world::unique;

/// What happens to a request instead of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is answered with this code and not passed on.
    Refuse(u16),
    /// It is passed on, and its answer never comes.
    LoseAnswer,
    /// It is not passed on, and no answer comes.
    Hang,
    /// It is passed on, and the connection is cut instead of an answer.
    CutAnswer,
}

struct Rule {
    method: Method,
    path: String,
    fault: Fault,
    times: usize,
}

#[derive(Clone)]
struct Shared {
    client: Client,
    rules: Arc<Mutex<Vec<Rule>>>,
    passed: Arc<AtomicUsize>,
}

/// A running proxy. Ends when it is dropped.
pub(crate) struct Proxy {
    address: String,
    shared: Shared,
    task: JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn start() -> Self {
        let mut config = Config::infer().await.expect("KUBECONFIG is set");
        config.default_retry = false;
        let client = Client::try_from(config).expect("a client");
        let shared = Shared { client, rules: Arc::default(), passed: Arc::default() };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let router = Router::new().fallback(pass).with_state(shared.clone());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") });
        Self { address, shared, task }
    }

    /// Breaks the next requests of this method whose path contains `path`.
    pub(crate) fn fail(&self, method: Method, path: &str, fault: Fault, times: usize) {
        self.rules().push(Rule { method, path: path.to_owned(), fault, times });
    }

    /// Requests that came here.
    pub(crate) fn requests(&self) -> usize {
        self.shared.passed.load(Ordering::SeqCst)
    }

    /// A client that goes through it and repeats nothing.
    pub(crate) fn client(&self) -> Client {
        let mut config = Config::new(format!("http://{}", self.address).parse().expect("an address"));
        config.default_retry = false;
        Client::try_from(config).expect("a client")
    }

    /// A kubeconfig for another process.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        let text = json!({"apiVersion": "v1", "kind": "Config", "current-context": "proxy",
            "clusters": [{"name": "proxy", "cluster": {"server": format!("http://{}", self.address)}}],
            "users": [{"name": "nobody", "user": {}}],
            "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "nobody"}}]});
        let file = std::env::temp_dir().join(unique("kubeconfig"));
        std::fs::write(&file, text.to_string()).expect("a file");
        file
    }

    fn rules(&self) -> std::sync::MutexGuard<'_, Vec<Rule>> {
        self.shared.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn fault(&self, method: &Method, path: &str) -> Option<Fault> {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let rule =
            rules.iter_mut().find(|rule| rule.times > 0 && rule.method == method && path.contains(&rule.path))?;
        rule.times -= 1;
        Some(rule.fault)
    }
}

async fn pass(State(shared): State<Shared>, request: Request) -> Response {
    shared.passed.fetch_add(1, Ordering::SeqCst);
    match shared.fault(request.method(), request.uri().path()) {
        None => forward(&shared, request).await,
        Some(Fault::Refuse(code)) => refuse(code),
        Some(Fault::Hang) => never().await,
        Some(Fault::LoseAnswer) => {
            forward(&shared, request).await;
            never().await
        }
        Some(Fault::CutAnswer) => {
            forward(&shared, request).await;
            let broken = futures::stream::once(async { Err::<String, _>(std::io::Error::other("cut")) });
            Response::new(Body::from_stream(broken))
        }
    }
}

async fn forward(shared: &Shared, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    parts.headers.remove(header::HOST);
    parts.headers.remove(header::CONTENT_LENGTH);
    let bytes = axum::body::to_bytes(body, usize::MAX).await.expect("a body");
    let uri = parts.uri.path_and_query().expect("a path").as_str().parse().expect("a path is an address");
    parts.uri = uri;
    let request = http::Request::from_parts(parts, kube::client::Body::from(bytes.to_vec()));
    match shared.client.send(request).await {
        Ok(answer) => answer.map(Body::new),
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    }
}

fn refuse(code: u16) -> Response {
    let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "broken on purpose", "reason": "", "code": code});
    let code = StatusCode::from_u16(code).expect("a status code");
    (code, [(header::CONTENT_TYPE, "application/json")], status.to_string()).into_response()
}

async fn never() -> Response {
    tokio::time::sleep(Duration::from_mins(10)).await;
    StatusCode::GATEWAY_TIMEOUT.into_response()
}
