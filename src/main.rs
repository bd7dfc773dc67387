//! The binary: arguments in, exit code out. Everything else is the library's.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    byokd::cli::run(std::env::args_os()).await
}
