//! Logs: one line an occurrence, JSON for machines or text for people, to standard error.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::Subscriber;

use crate::config::{Log, LogFormat};

/// Why logging could not be started.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The level makes no sense.
    #[error("log.level: {0}")]
    Level(#[from] tracing_subscriber::filter::ParseError),
    /// Somebody else in this process has started it.
    #[error("logging was started twice")]
    Twice,
}

/// Starts logging for the whole process.
///
/// # Errors
/// When the level makes no sense, or logging was started before.
pub fn start_logging(settings: &Log) -> Result<(), LogError> {
    // kube's own warnings repeat ours, and one of them prints whole objects.
    let filter = EnvFilter::try_new(format!("kube_client=error,kube_runtime=error,{}", settings.level))?;
    let started = match settings.format {
        LogFormat::Json => {
            let json = Subscriber::builder().json().flatten_event(true).with_current_span(false).with_span_list(false);
            tracing::subscriber::set_global_default(json.with_env_filter(filter).with_writer(std::io::stderr).finish())
        }
        LogFormat::Text => tracing::subscriber::set_global_default(
            Subscriber::builder().with_ansi(false).with_env_filter(filter).with_writer(std::io::stderr).finish(),
        ),
    };
    started.map_err(|_| LogError::Twice)
}
