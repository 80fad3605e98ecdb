//! `/healthz`, `/readyz`, `/metrics` over plain HTTP. Knows what the others reported; asks nobody.

use std::future::Future;
use std::net::SocketAddr;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

use crate::observe::{Health, Metrics};

/// Why nothing can be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address is taken or not ours.
    #[error("http.address: cannot listen on {address}: {source}")]
    Bind {
        /** The address. */
        address: String,
        /** Why. */
        source: std::io::Error,
    },
    /// The server ended.
    #[error("the HTTP server ended: {0}")]
    Ended(#[from] std::io::Error),
}

#[derive(Clone)]
struct Shown {
    health: Health,
    metrics: Metrics,
}

/// Listens.
///
/// # Errors
/// When the address cannot be bound.
pub async fn listen(address: &str) -> Result<(TcpListener, SocketAddr), ServeError> {
    let bind = |source| ServeError::Bind { address: address.to_owned(), source };
    let listener = TcpListener::bind(address).await.map_err(bind)?;
    let local = listener.local_addr().map_err(bind)?;
    Ok((listener, local))
}

/// Serves until `stop` ends.
///
/// # Errors
/// When the listener breaks.
pub async fn serve(
    listener: TcpListener,
    health: Health,
    metrics: Metrics,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    let router = Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(show_metrics))
        .with_state(Shown { health, metrics });
    Ok(axum::serve(listener, router).with_graceful_shutdown(stop).await?)
}

async fn healthz(State(shown): State<Shown>) -> Response {
    if shown.health.alive() {
        "ok\n".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the engine is stuck\n").into_response()
    }
}

async fn readyz(State(shown): State<Shown>) -> Response {
    match shown.health.ready() {
        Ok(()) => "ok\n".into_response(),
        Err(missing) => (StatusCode::SERVICE_UNAVAILABLE, format!("{missing}\n")).into_response(),
    }
}

async fn show_metrics(State(shown): State<Shown>) -> Response {
    ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], shown.metrics.render()).into_response()
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use std::time::Duration;

    use tokio::sync::watch;

    use super::*;
    use crate::clock::Clock;
    use crate::lease::Leadership;

    async fn ask(address: SocketAddr, path: &'static str) -> String {
        let asking = tokio::task::spawn_blocking(move || {
            let mut stream = TcpStream::connect(address).unwrap();
            let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer
        });
        asking.await.unwrap()
    }

    #[tokio::test]
    async fn answers_the_three_questions() {
        let clock = Clock::start();
        let (_publish, leadership) = watch::channel(Leadership::none(clock.instant()));
        let health = Health::new(clock, Duration::from_secs(15), leadership);
        let (listener, address) = listen("127.0.0.1:0").await.unwrap();
        let server = tokio::spawn(serve(listener, health, Metrics::new(), std::future::pending()));
        assert!(ask(address, "/healthz").await.starts_with("HTTP/1.1 200"));
        let ready = ask(address, "/readyz").await;
        assert!(ready.starts_with("HTTP/1.1 503") && ready.contains("lease was not seen"), "{ready}");
        assert!(ask(address, "/metrics").await.contains("slowlane_build_info"));
        server.abort();
    }
}
