//! How long and how many: the bounds of the schema that whoever writes an object must keep.
//!
//! Lengths are in characters. A writer cuts to them; the API server refuses what is beyond.

/// A URI: `result.uri`, `status.resultUri`.
pub const URI: u32 = 1024;

/// A message: `status.message`, `status.runs[].message`.
pub const MESSAGE: u32 = 2048;

/// A blocker's message: `status.queue.blockers[].message`.
pub const BLOCKER_MESSAGE: u32 = 1024;

/// A condition's message.
pub const CONDITION_MESSAGE: u32 = 4096;

/// A reason, and a condition's type: one word in CamelCase.
pub const WORD: u32 = 64;

/// A duration as text: `status.waited`, `status.took`.
pub const DURATION: u32 = 32;

/// Entries of `status.queue.blockers`.
pub const BLOCKERS: u32 = 16;

/// Entries of a blocker's `holders`.
pub const BLOCKER_HOLDERS: u32 = 10;

/// Entries of `status.runs`.
pub const RUNS: u32 = 64;

/// Entries of `status.conditions`.
pub const CONDITIONS: u32 = 16;

/// Keys of a ledger's `clusters`: one for each holder at most.
pub const LEDGER_CLUSTERS: u32 = 1000;

/// Keys of a ledger's `limits`: an operation for each holder, and 200 clusters that limit their jobs. The API server
/// refuses rules that may cost more than those of 1,250 keys.
pub const LEDGER_LIMITS: u32 = 1200;

/// Holders of one limit in a ledger.
pub const LEDGER_HOLDERS: u32 = 1000;

/// A holder's text: the name of its job may have 253 characters, and its eight locks 63 each.
pub const LEDGER_TEXT: u32 = 1024;

/// Keys of a ledger's `locks`: the eight of each holder at most, each of the settings and of a cluster.
pub const LEDGER_LOCKS: u32 = 16_000;

/// Keys of a ledger's `shares`: one for each holder at most.
pub const LEDGER_SHARES: u32 = 1000;

/// Keys of a ledger's `bills`: an operation on a cluster for each of the last writes that let go of its runs.
pub const LEDGER_BILLS: u32 = 1000;

/// A bill's text.
pub const LEDGER_BILL: u32 = 128;

/// Core-seconds and GiB-seconds: what every reader of JSON takes for a whole number.
pub const USAGE: i64 = (1 << 53) - 1;

/// Arguments of an application taken together.
pub const ARGUMENTS_TOTAL: u32 = 65_536;
