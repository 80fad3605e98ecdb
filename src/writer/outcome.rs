//! What an answer of the API server (or its absence) means. Pure.
//!
//! The one question that matters: *may it have happened?* When that is not known for sure to be no, the answer is
//! [`Failure::Unknown`], and nothing is built on it before a quorum read.

use std::error::Error as _;

use kube::core::Status;
use kube::core::response::reason;

use crate::command::Failure;
use crate::observe::words;

/// A failure, and whether it says that the API server has too much to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) failure: Failure,
    pub(super) overloaded: bool,
}

impl Verdict {
    fn calm(failure: Failure) -> Self {
        Self { failure, overloaded: false }
    }

    /// No answer in time.
    pub(super) fn timed_out() -> Self {
        Self { failure: Failure::Unknown("no answer in time".into()), overloaded: true }
    }

    /// The lease forbids to send anything.
    pub(super) fn fenced() -> Self {
        Self::calm(Failure::NotSent("the lease is too short for another request".into()))
    }
}

/// Classifies what the client says went wrong.
pub(super) fn classify(error: &kube::Error) -> Verdict {
    let said = words(error).into();
    match error {
        kube::Error::Api(status) => of_status(status, said),
        kube::Error::Auth(_) => Verdict::calm(Failure::NotSent(said)),
        kube::Error::BuildRequest(_) | kube::Error::HttpError(_) => Verdict::calm(Failure::Denied(said)),
        _ if never_connected(error) => Verdict::calm(Failure::NotSent(said)),
        _ => Verdict::calm(Failure::Unknown(said)),
    }
}

fn of_status(status: &Status, said: Box<str>) -> Verdict {
    match status.code {
        404 if names_an_object(status) => Verdict::calm(Failure::Gone),
        404 => Verdict::calm(Failure::KindMissing),
        409 if is_other_uid(status) => Verdict::calm(Failure::Gone),
        409 => Verdict::calm(Failure::Conflict(said)),
        422 if is_failed_test(status) => Verdict::calm(Failure::Gone),
        403 if is_leaving_kind(status) => Verdict::calm(Failure::KindMissing),
        403 if is_terminating(status) => Verdict::calm(Failure::NamespaceTerminating),
        403 if lacks_a_right(status) => Verdict::calm(Failure::NotSent(said)),
        403 | 422 if is_taken_for_another(status) => Verdict::calm(Failure::NotSent(said)),
        429 => Verdict { failure: Failure::NotSent(said), overloaded: true },
        // 401: the token is being rotated. 410: a list's continuation is too old.
        401 | 410 => Verdict::calm(Failure::NotSent(said)),
        400..500 => Verdict::calm(Failure::Denied(said)),
        504 => Verdict { failure: Failure::Unknown(said), overloaded: true },
        _ => Verdict::calm(Failure::Unknown(said)),
    }
}

/// Whether a creation failed because something stands under the name already.
pub(super) fn already_exists(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 409 && status.reason == reason::ALREADY_EXISTS)
}

/// A missing object is named in the details; a missing kind is answered by the plain text `404 page not found`, or, by
/// some proxies, as `the server could not find the requested resource` without a name.
fn names_an_object(status: &Status) -> bool {
    status.details.as_ref().is_some_and(|details| !details.name.is_empty())
}

fn is_terminating(status: &Status) -> bool {
    let causes = status.details.as_ref().map(|details| details.causes.as_slice()).unwrap_or_default();
    causes.iter().any(|cause| cause.reason == "NamespaceTerminating")
}

/// The definition is being deleted: nothing of the kind can be created.
fn is_leaving_kind(status: &Status) -> bool {
    status.message.contains("while custom resource definition is terminating")
}

/// The authorizer's own words: the keeper may not do this at all, whatever it says about which object. An API server that
/// has just come up knows no roles for a moment, so no job is judged by it.
fn lacks_a_right(status: &Status) -> bool {
    status.message.contains(" is forbidden: User \"") && status.message.contains("\" cannot ")
}

/// The policies that Slowlane ships let the keeper do all that it does. One that refuses it names another account as the
/// keeper's (an upgrade is under way, or the manifests were changed): no job is judged by that either.
fn is_taken_for_another(status: &Status) -> bool {
    let shipped = ["ledger", "status", "applications", "pods", "use-operation", "use-service-account"];
    let refused = |name: &&str| status.message.contains(&format!("ValidatingAdmissionPolicy 'slowlane-{name}' "));
    status.message.contains("denied request") && shipped.iter().any(refused)
}

/// The object that was meant is gone: another one has its name.
fn is_other_uid(status: &Status) -> bool {
    ["Precondition failed: UID in precondition", "the UID in the precondition"]
        .iter()
        .any(|words| status.message.contains(words))
}

/// A test in a JSON patch failed. Only UIDs are tested: the object that was meant is gone.
fn is_failed_test(status: &Status) -> bool {
    let causes = status.details.as_ref().is_some_and(|details| !details.causes.is_empty());
    !causes && status.message == "the server rejected our request due to an error in our request"
}

/// The request never left: connections are refused, or cannot be made. Anything that is not surely of this kind counts
/// as sent.
fn never_connected(error: &kube::Error) -> bool {
    let mut cause = error.source();
    while let Some(inner) = cause {
        let refused = inner
            .downcast_ref::<std::io::Error>()
            .is_some_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused);
        // The client library does not export its own "not connected"; this is how it prints it.
        if refused || inner.to_string() == "client error (Connect)" {
            return true;
        }
        cause = inner.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use kube::core::response::{StatusCause, StatusDetails};

    use super::*;

    fn details(name: &str, causes: &[&str]) -> StatusDetails {
        let cause =
            |reason: &&str| StatusCause { reason: (*reason).into(), message: String::new(), field: String::new() };
        StatusDetails {
            name: name.into(),
            group: String::new(),
            kind: String::new(),
            uid: String::new(),
            causes: causes.iter().map(cause).collect(),
            retry_after_seconds: 0,
        }
    }

    fn answer(code: u16, reason: &str, message: &str, details: Option<StatusDetails>) -> Verdict {
        let status = Status { details, ..Status::failure(message, reason).with_code(code) };
        classify(&kube::Error::Api(status.boxed()))
    }

    fn failure(code: u16, reason: &str, message: &str, details: Option<StatusDetails>) -> Failure {
        answer(code, reason, message, details).failure
    }

    #[test]
    fn a_missing_object_is_told_from_a_missing_kind() {
        assert_eq!(failure(404, "NotFound", "x not found", Some(details("x", &[]))), Failure::Gone);
        let text = "404 page not found";
        assert_eq!(failure(404, "Failed to parse error data", text, None), Failure::KindMissing);
        let text = "x is forbidden: create not allowed while custom resource definition is terminating";
        assert_eq!(failure(403, "Forbidden", text, Some(details("x", &[]))), Failure::KindMissing);
        let text = "the server could not find the requested resource";
        assert_eq!(failure(404, "NotFound", text, Some(details("", &[]))), Failure::KindMissing);
    }

    #[test]
    fn a_terminating_namespace_is_told_from_a_refusal() {
        let terminating = details("x", &["NamespaceTerminating"]);
        assert_eq!(failure(403, "Forbidden", "no", Some(terminating)), Failure::NamespaceTerminating);
        assert_eq!(failure(403, "Forbidden", "no", Some(details("x", &[]))), Failure::Denied("403 no".into()));
        assert_eq!(failure(422, "Invalid", "bad\nfield", None), Failure::Denied("422 bad field".into()));
    }

    #[test]
    fn a_right_that_is_missing_is_no_verdict_on_the_object() {
        let by =
            |words: &str| failure(403, "Forbidden", &format!("sparkapplications \"x\" is forbidden: {words}"), None);
        let user = "User \"system:serviceaccount:s:slowlane\" cannot create resource \"sparkapplications\"";
        assert!(matches!(by(user), Failure::NotSent(_)));
        for words in ["exceeded quota: pods", "ValidatingAdmissionPolicy 'x' denied request: User \"a\" cannot"] {
            assert!(matches!(by(words), Failure::Denied(_)), "{words}");
        }
        let own =
            "ValidatingAdmissionPolicy 'slowlane-ledger' with binding 'slowlane-ledger' denied request: the keeper's";
        assert!(matches!(by(own), Failure::NotSent(_)));
        assert!(matches!(failure(422, "Invalid", own, None), Failure::NotSent(_)));
        let another = "ValidatingAdmissionPolicy 'slowlane-quota' with binding 'x' denied request: too much";
        assert!(matches!(by(another), Failure::Denied(_)));
    }

    #[test]
    fn another_uid_means_that_ours_is_gone() {
        let text = "Operation cannot be fulfilled: Precondition failed: UID in precondition: a, UID in object meta: b";
        assert_eq!(failure(409, "Conflict", text, None), Failure::Gone);
        let text =
            "the UID in the precondition (a) does not match the UID in record (b). The object might have been deleted";
        assert_eq!(failure(409, "Conflict", text, None), Failure::Gone);
        let text = "the server rejected our request due to an error in our request";
        assert_eq!(failure(422, "Invalid", text, Some(details("", &[]))), Failure::Gone);
        let text = "the object has been modified";
        assert_eq!(failure(409, "Conflict", text, None), Failure::Conflict(format!("409 {text}").into()));
    }

    #[test]
    fn what_was_turned_away_did_not_happen_and_what_broke_may_have() {
        for (code, overloaded) in [(401, false), (410, false), (429, true)] {
            let verdict = answer(code, "", "x", None);
            assert!(matches!(verdict.failure, Failure::NotSent(_)) && verdict.overloaded == overloaded, "{code}");
        }
        for (code, overloaded) in [(500, false), (502, false), (503, false), (504, true)] {
            let verdict = answer(code, "", "x", None);
            assert!(matches!(verdict.failure, Failure::Unknown(_)) && verdict.overloaded == overloaded, "{code}");
        }
    }

    #[tokio::test]
    async fn a_refused_connection_did_not_happen() {
        let client = kube::Client::try_from(kube::Config::new("http://127.0.0.1:9".parse().unwrap())).unwrap();
        let error = client.apiserver_version().await.unwrap_err();
        assert!(matches!(classify(&error).failure, Failure::NotSent(_)), "{error:?}");
    }

    #[tokio::test]
    async fn a_cut_connection_may_have() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            use std::io::Read;
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 1000]);
        });
        let client = kube::Client::try_from(kube::Config::new(format!("http://{address}").parse().unwrap())).unwrap();
        let error = client.apiserver_version().await.unwrap_err();
        assert!(matches!(classify(&error).failure, Failure::Unknown(_)), "{error:?}");
    }
}
