//! Which waiting job starts next, and why the others do not. Pure: knows jobs by number only, no API and no clock.
//!
//! `queue` keeps the waiting jobs in order, `entry` counts what each operation and cluster holds, `gate` joins both and picks, `reason` puts into words what holds
//! a queue.

mod entry;
mod gate;
mod queue;
mod reason;

pub use entry::{ClusterEntry, OperationEntry, Vacancy};
pub use gate::{Gate, Grant};
pub use queue::{JobNumber, Queue, QueueKey, QueueNumber, Rank};
