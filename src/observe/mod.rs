//! What people and machines see of the keeper: logs, metrics, Kubernetes Events, health. Knows how to say things; never
//! decides anything, and never says a secret: whole objects are not logged.

mod bill;
mod event;
mod health;
mod log;
mod metrics;
mod words;

pub use event::{event, pool_event, stranger_event};
pub use health::{Health, NotReady};
pub use log::{LogError, start_logging};
pub use metrics::Metrics;
pub use words::words;
