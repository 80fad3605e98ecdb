//! Status as a JSON patch: replaced whole, so that nothing of an older one is left behind, and only on the object that is
//! meant. A UID in a merge patch for `/status` is no precondition (the API server takes the stored one without a word);
//! a `test` is, inside the same transaction.

use serde::Serialize;
use serde_json::{Value, json};

/// The patch that makes this the status of the object that has this UID.
pub(super) fn status_patch(status: &impl Serialize, uid: &str) -> Value {
    json!([
        {"op": "test", "path": "/metadata/uid", "value": uid},
        {"op": "add", "path": "/status", "value": status},
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_uid_is_tested_before_the_status_is_replaced() {
        let patch = status_patch(&json!({"state": "Queued"}), "u");
        assert_eq!(patch[0], json!({"op": "test", "path": "/metadata/uid", "value": "u"}));
        assert_eq!(patch[1], json!({"op": "add", "path": "/status", "value": {"state": "Queued"}}));
    }
}
