//! The keeper's process.
fn main() {}
