//! The command line of the keeper's own program. Parses, calls, prints errors for people, and says by its exit code how
//! it went: 0 well, 1 it failed, 2 it was called or set up wrongly.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::app;
use crate::config::{ConfigError, Settings};
use crate::generate;
use crate::observe::{LogError, start_logging};

/// The job keeper for Spark on Kubernetes.
#[derive(Debug, Parser)]
#[command(name = "slowlane", about, disable_version_flag = true)]
struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Run the keeper until it is told to stop (SIGTERM).
    Run {
        /// Settings file (YAML); without it, everything has its default.
        #[arg(long, value_name = "FILE", env = "SLOWLANE_SETTINGS")]
        settings: Option<PathBuf>,
    },
    /// Leave the cluster: stop whoever leads, and let every SparkApplication go that the keeper holds. What runs goes on.
    Drain {
        /// Settings file (YAML); without it, everything has its default.
        #[arg(long, value_name = "FILE", env = "SLOWLANE_SETTINGS")]
        settings: Option<PathBuf>,
    },
    /// Check a settings file and say what is wrong with it.
    CheckSettings {
        /// Settings file (YAML).
        file: PathBuf,
    },
    /// Write every generated file of the repository.
    Generate {
        /// Root of the repository.
        #[arg(long, value_name = "DIR", default_value = ".")]
        root: PathBuf,
    },
    /// Print the version.
    Version,
}

#[derive(Debug, thiserror::Error)]
enum CliError {
    #[error("settings: {0}")]
    Settings(#[from] ConfigError),
    #[error("settings: {0}")]
    Log(#[from] LogError),
    #[error("{0}")]
    Generate(#[from] generate::Error),
    #[error("{0}")]
    Drain(#[from] app::DrainError),
    #[error("cannot start: {0}")]
    Runtime(#[from] std::io::Error),
}

impl CliError {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Settings(_) | Self::Log(_) => 2,
            Self::Generate(_) | Self::Drain(_) | Self::Runtime(_) => 1,
        }
    }
}

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    match act(Arguments::parse().action) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("slowlane: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn act(action: Action) -> Result<(), CliError> {
    match action {
        Action::Run { settings } => run(settings),
        Action::Drain { settings } => drain(settings.as_deref()),
        Action::CheckSettings { file } => Ok(Settings::load(&file).map(|_| println!("{}: ok", file.display()))?),
        Action::Generate { root } => {
            generate::write(&root)?.iter().for_each(|path| println!("{}", path.display()));
            Ok(())
        }
        Action::Version => {
            println!("slowlane {}", env!("CARGO_PKG_VERSION"));
            Ok(())
        }
    }
}

fn run(file: Option<PathBuf>) -> Result<(), CliError> {
    let settings = file.as_deref().map_or_else(|| Ok(Settings::default()), Settings::load)?;
    start_logging(&settings.log)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let ended = runtime.block_on(app::run(settings, file));
    if let Err(error) = ended {
        // Not by returning: dropping the runtime would let tasks run on until their next await.
        tracing::error!(error = %error, "the keeper ends");
        eprintln!("slowlane: {error}");
        std::process::exit(1);
    }
    Ok(())
}

fn drain(file: Option<&Path>) -> Result<(), CliError> {
    let settings = file.map_or_else(|| Ok(Settings::default()), Settings::load)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let drained = runtime.block_on(app::drain(&settings, |step| println!("{step}")))?;
    let app::Drained { applications, alive } = drained;
    println!("drained: {applications} SparkApplications let go, {alive} of them go on by themselves; the ledger stays");
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }
}
