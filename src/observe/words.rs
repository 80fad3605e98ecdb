//! Somebody else's text made fit for logs, statuses and events.

use std::error::Error;

use crate::text::clean;

const ERROR_BYTES: usize = 500;

/// What an error of the client says: the API server's own words where there are any, else the whole chain of causes.
#[must_use]
pub fn words(error: &kube::Error) -> String {
    if let kube::Error::Api(status) = error {
        let message = if status.message.is_empty() { &status.reason } else { &status.message };
        return clean(&format!("{} {message}", status.code), ERROR_BYTES);
    }
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let more = inner.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = inner.source();
    }
    clean(&text, ERROR_BYTES)
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    #[test]
    fn the_api_server_is_quoted_in_its_own_words() {
        let status = Status::failure("no such thing\n", "NotFound").with_code(404);
        assert_eq!(words(&kube::Error::Api(status.boxed())), "404 no such thing");
    }
}
