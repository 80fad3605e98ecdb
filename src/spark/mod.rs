//! Spark's side of a run: what is created for it, how large it really is, and how its end is read.
//!
//! Everything here is a pure function of its arguments. This room knows the spark-operator's `SparkApplication`, Spark's
//! own rules and the application that users and administrators describe; it does not know queues, limits or the API
//! server. What comes back from a cluster (statuses, termination messages) is somebody else's text and is read as such.

mod application;
mod build;
mod error;
mod failure;
mod grant;
mod keys;
pub mod marks;
mod outcome;
mod outline;
mod pods;
mod reserved;
mod size;
mod sizes;
mod stranger;
mod substitute;
mod types;
mod uri;

pub use application::{Application, check, check_size, referenced_parameters, refers_to_result, size_outline};
pub use build::{BuildInput, Run, build, declared_result, placeholder};
pub use error::BuildError;
pub use failure::{MAX_SENTENCE, exception, failure_sentence};
pub use grant::{Grant, NotAGrant};
pub use keys::{Place, Refusal, refused, refused_hadoop};
pub use outcome::{DriverEnd, PodPhase, ReportedResult, driver_end};
pub use outline::outline;
pub use pods::{DRIVER_CONTAINER, EXECUTOR_CONTAINER};
pub use reserved::{is_label_value, refused_env, refused_key};
pub use size::{cpu_quantity, memory_quantity};
pub use stranger::{StrangerSize, stranger_size};
pub use types::{
    ApplicationState, DriverInfo, GROUP, KIND, PLURAL, SparkApplication, StateAndMessage, Status, VERSION, api_resource,
};
pub use uri::{MAX_URI, UriRefused, check_result_uri};
