//! Slowlane, the job keeper for Spark on Kubernetes.

#[cfg(feature = "controller")]
pub mod api;
#[cfg(feature = "controller")]
pub mod generate;
#[cfg(feature = "controller")]
pub mod spark;
