//! Spark applications that no job declared: they take what they take, and nobody asked.

use super::name::{ObjectKey, Uid};
use super::resources::Resources;

/// A `SparkApplication` that no job declared, as long as it takes something.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Stranger {
    /// Namespace and name.
    pub key: ObjectKey,
    /// Its UID.
    pub uid: Uid,
    /// What its pods request, or may come to request.
    pub takes: Resources,
    /// Its size cannot be read, or has no bound: it takes this much at least.
    pub is_guessed: bool,
}
