//! Which waiting job starts next, and why the others do not. Pure: knows jobs by number only, no API and no clock.
//!
//! `queue` keeps the waiting jobs in order, `gate` knows limits and room and picks, `reason` puts into words what holds
//! a queue.

mod gate;
mod queue;
mod reason;

pub use gate::{ClusterEntry, Gate, Grant, OperationEntry, Vacancy};
pub use queue::{JobNumber, Queue, QueueKey, QueueNumber, Rank};
