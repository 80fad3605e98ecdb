//! Whole answers of the API server: code, body, warnings.

use http::Response;
use kube::client::Body;
use serde_json::Value;

/// A whole answer of the server.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) body: Value,
    pub(crate) warnings: Vec<String>,
}

impl Answer {
    pub(crate) async fn read(response: Response<Body>) -> Self {
        let code = response.status().as_u16();
        let warnings = response.headers().get_all("warning").iter();
        let warnings = warnings.filter_map(|value| value.to_str().ok()).map(str::to_owned).collect();
        let bytes = response.into_body().collect_bytes().await.expect("the answer is complete");
        Self { code, body: serde_json::from_slice(&bytes).unwrap_or_default(), warnings }
    }

    pub(crate) fn is_ok(&self) -> bool {
        (200..300).contains(&self.code)
    }

    /// The server's own words for a refusal.
    pub(crate) fn message(&self) -> &str {
        self.body["message"].as_str().unwrap_or_default()
    }

    /// The body, if the request was accepted.
    #[track_caller]
    pub(crate) fn accepted(self) -> Value {
        assert!(self.is_ok(), "refused with {}: {} {:?}", self.code, self.message(), self.warnings);
        self.body
    }
}
