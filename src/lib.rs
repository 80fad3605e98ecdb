//! Slowlane, the job keeper for Spark on Kubernetes.
//!
//! The pure core (`model`, `admission`, `lifecycle`, `index`, `engine`, `command`) decides; everything else carries
//! events in and commands out. The core compiles and is tested alone with `--no-default-features`.

pub mod admission;
pub mod command;
pub mod engine;
pub mod index;
pub mod lifecycle;
pub mod model;

#[cfg(feature = "controller")]
pub mod api;
#[cfg(feature = "controller")]
pub mod app;
#[cfg(feature = "controller")]
pub mod cli;
#[cfg(feature = "controller")]
pub mod clock;
#[cfg(feature = "controller")]
pub mod config;
#[cfg(feature = "controller")]
pub mod expression;
#[cfg(feature = "controller")]
pub mod generate;
#[cfg(feature = "controller")]
pub mod lease;
#[cfg(feature = "controller")]
pub mod observe;
#[cfg(feature = "controller")]
pub mod serve;
#[cfg(feature = "controller")]
pub mod spark;
#[cfg(feature = "controller")]
pub mod text;
#[cfg(feature = "controller")]
pub mod watch;
#[cfg(feature = "controller")]
pub mod writer;
