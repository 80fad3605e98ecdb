//! The custom resources of the API group `slowlane.dev`, as people write them.
//!
//! This room knows shapes: fields, schema bounds, CEL rules, printer columns. It decides nothing and talks to nobody;
//! turning what was written into the checked types of the domain is somebody else's work.

pub mod convert;
pub mod v1alpha1;

/// The API group of every kind of this project.
pub const GROUP: &str = "slowlane.dev";

/// The one version that is served and stored.
pub const VERSION: &str = "v1alpha1";
