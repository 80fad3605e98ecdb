//! Version `v1alpha1` of the API, a file a kind.
//!
//! Two rules hold for every type here. What is absent is left out when written, so that a null is never stored. And no
//! type refuses unknown fields when it is read: an older keeper must be able to read what a newer one has written.

#![expect(unreachable_pub, reason = "KubeSchema repeats each type inside a function of its own")]

mod application;
mod schema;

pub use application::{ApplicationSpec, ApplicationType, Dependencies, SparkPod};
