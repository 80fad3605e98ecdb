//! Events in: one watch for each kind, trimmed, checked, without repetitions, straight into the engine's inputs.

mod follow;
mod object;
mod seen;

pub use object::{Object, View};
