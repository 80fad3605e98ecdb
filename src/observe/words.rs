//! Somebody else's text made fit for logs, statuses and events.

use std::error::Error;

/// Text without control characters, cut at a character so that it has at most so many bytes.
#[must_use]
pub fn clean(text: &str, bytes: usize) -> String {
    let mut cleaned = String::with_capacity(text.len().min(bytes));
    for c in text.chars().map(|c| if c.is_control() { ' ' } else { c }) {
        if cleaned.len() + c.len_utf8() > bytes {
            break;
        }
        cleaned.push(c);
    }
    cleaned
}

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
    fn text_is_cut_at_a_character_and_has_no_control_characters() {
        assert_eq!(clean("a\tb\u{1b}c", 10), "a b c");
        assert_eq!(clean("ää", 3), "ä");
    }

    #[test]
    fn the_api_server_is_quoted_in_its_own_words() {
        let status = Status::failure("no such thing\n", "NotFound").with_code(404);
        assert_eq!(words(&kube::Error::Api(status.boxed())), "404 no such thing ");
    }
}
