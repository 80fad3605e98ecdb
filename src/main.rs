//! The keeper's process. Everything is in the library; here is only the way in.

use std::process::ExitCode;

fn main() -> ExitCode {
    slowlane::cli::main()
}
