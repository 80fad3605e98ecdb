//! Which waiting job starts next, and why the others do not. Pure: knows jobs by number only, no API and no clock.
//!
//! `queue` keeps the waiting jobs in order, `lane` the queues that are alike to every cluster, `entry` counts what each operation
//! and cluster holds, `lock` who holds permits, `claim` says for whom what is free is kept, `pace` how many may stand in line
//! before the spark-operator, `gate` joins them, `pick` finds who starts next, `deal` how many executors each of them gets,
//! `pool` says how many executors a cluster holds, `reason` puts into words what holds a queue, `told`
//! keeps such words.

mod claim;
mod deal;
mod entry;
mod gate;
mod lane;
mod lock;
mod pace;
mod pick;
mod pool;
mod queue;
mod reason;
mod slab;
mod told;

pub use entry::{ClusterEntry, OperationEntry, Reservation, ShareUse, Vacancy};
pub use gate::{Gate, Grant};
pub use pool::Pool;
pub use queue::{JobNumber, Queue, QueueKey, QueueNumber, Rank, Round};
pub use reason::held_words;
pub(crate) use slab::Slab;
