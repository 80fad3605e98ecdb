//! A proxy in front of the API server that breaks what it is told to break. It speaks plain HTTP and lends its own
//! credentials, so a kubeconfig that names it needs none.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::{StreamExt, stream};
use kube::{Client, Config};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
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

/// What happens to everything but the lease, until it changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weather {
    /// Nothing.
    Fair,
    /// Requests are answered with this code and not passed on; watches that stand go on.
    Refusing(u16),
    /// No request is passed on or answered; watches that stand never say anything again.
    Hanging,
    /// Requests are passed on; a watch never says anything, also not later.
    Mute,
    /// Requests are passed on; a watch breaks off as soon as it stands.
    Cutting,
}

/// The side of a write on which the keeper dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// It was sent and does not arrive.
    Before,
    /// It arrives and works; its answer does not come.
    After,
}

/// Waits for a write that counts.
struct Trap {
    writes_left: usize,
    moment: Moment,
    sprung: Option<oneshot::Sender<()>>,
}

/// What a trap does to a request.
enum Trapped {
    /// It is the one.
    At(Moment),
    /// It came after the one.
    Held,
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
    trap: Arc<Mutex<Option<Trap>>>,
    weather: watch::Sender<Weather>,
    passed: Arc<AtomicUsize>,
    writes: Arc<AtomicUsize>,
    silenced: Arc<AtomicUsize>,
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
        let (weather, _) = watch::channel(Weather::Fair);
        let shared = Shared {
            client,
            rules: Arc::default(),
            trap: Arc::default(),
            weather,
            passed: Arc::default(),
            writes: Arc::default(),
            silenced: Arc::default(),
        };
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

    /// Lets all requests pass again.
    pub(crate) fn mend(&self) {
        self.rules().clear();
    }

    /// Changes what happens to everything but the lease.
    pub(crate) fn weather(&self, weather: Weather) {
        self.shared.weather.send_replace(weather);
    }

    /// Stops everything at the n-th write of a ledger, an application or a job's status: nothing but that one passes from
    /// then on, and that one only where the moment is after it. Tells when it has come to that.
    pub(crate) fn set_trap(&self, nth: usize, moment: Moment) -> oneshot::Receiver<()> {
        let (sprung, told) = oneshot::channel();
        *lock(&self.shared.trap) = Some(Trap { writes_left: nth, moment, sprung: Some(sprung) });
        told
    }

    /// Takes the trap away, sprung or not.
    pub(crate) fn clear_trap(&self) {
        *lock(&self.shared.trap) = None;
    }

    /// Requests that came here.
    pub(crate) fn requests(&self) -> usize {
        self.shared.passed.load(Ordering::SeqCst)
    }

    /// Writes that came here, those of the lease aside: whether it is still held is told by trying.
    pub(crate) fn writes(&self) -> usize {
        self.shared.writes.load(Ordering::SeqCst)
    }

    /// Watches that fell silent for good.
    pub(crate) fn silenced(&self) -> usize {
        self.shared.silenced.load(Ordering::SeqCst)
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
        lock(&self.shared.rules)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn fault(&self, method: &Method, path: &str) -> Option<Fault> {
        let weather = *self.weather.borrow();
        match weather {
            Weather::Refusing(code) if !path.contains("/leases") => return Some(Fault::Refuse(code)),
            Weather::Hanging if !path.contains("/leases") => return Some(Fault::Hang),
            _ => {}
        }
        let mut rules = lock(&self.rules);
        let rule =
            rules.iter_mut().find(|rule| rule.times > 0 && rule.method == method && path.contains(&rule.path))?;
        rule.times -= 1;
        Some(rule.fault)
    }

    /// What the trap does to a request.
    fn trapped(&self, method: &Method, path: &str) -> Option<Trapped> {
        let mut trap = lock(&self.trap);
        let trap = trap.as_mut()?;
        if trap.writes_left == 0 {
            return Some(Trapped::Held);
        }
        let counts = ["/runledgers", "/sparkapplications", "/managedjobs"].iter().any(|kind| path.contains(kind));
        if method == Method::GET || !counts {
            return None;
        }
        trap.writes_left -= 1;
        (trap.writes_left == 0).then_some(Trapped::At(trap.moment))
    }

    /// It has come to that.
    fn spring(&self) {
        let sprung = lock(&self.trap).as_mut().and_then(|trap| trap.sprung.take());
        sprung.and_then(|sprung| sprung.send(()).ok());
    }
}

async fn pass(State(shared): State<Shared>, request: Request) -> Response {
    shared.passed.fetch_add(1, Ordering::SeqCst);
    let is_write = request.method() != Method::GET && !request.uri().path().contains("/leases");
    shared.writes.fetch_add(usize::from(is_write), Ordering::SeqCst);
    match shared.trapped(request.method(), request.uri().path()) {
        None => {}
        Some(Trapped::Held) => return never().await,
        Some(Trapped::At(moment)) => {
            if moment == Moment::After {
                forward(&shared, request).await;
            }
            shared.spring();
            return never().await;
        }
    }
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
    let is_watch = parts.uri.query().is_some_and(|query| query.contains("watch=true"));
    let uri = parts.uri.path_and_query().expect("a path").as_str().parse().expect("a path is an address");
    parts.uri = uri;
    let request = http::Request::from_parts(parts, kube::client::Body::from(bytes.to_vec()));
    match shared.client.send(request).await {
        Ok(answer) if is_watch => answer.map(|body| exposed(Body::new(body), shared)),
        Ok(answer) => answer.map(Body::new),
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    }
}

/// What a watch says, as far as the weather lets it through.
fn exposed(body: Body, shared: &Shared) -> Body {
    let (weather, silenced) = (shared.weather.subscribe(), Arc::clone(&shared.silenced));
    let events = body.into_data_stream().map(|event| event.map_err(std::io::Error::other));
    let said = stream::unfold((events.boxed(), weather, silenced), |(mut events, mut weather, silenced)| async move {
        let is_bad = |weather: &Weather| matches!(weather, Weather::Hanging | Weather::Mute | Weather::Cutting);
        let event = tokio::select! {
            biased;
            bad = async { weather.wait_for(is_bad).await.map(|weather| *weather).ok() } => {
                if bad != Some(Weather::Cutting) {
                    silenced.fetch_add(1, Ordering::SeqCst);
                    return std::future::pending().await;
                }
                Some(Err(std::io::Error::other("cut")))
            }
            event = events.next() => event,
        };
        event.map(|event: Result<Bytes, std::io::Error>| (event, (events, weather, silenced)))
    });
    Body::from_stream(said)
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
