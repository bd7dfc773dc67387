//! The entry of the binary: arguments in, exit code out.
//!
//! Invariants: the process hides its memory before it reads a secret. The runtime is built here, in the library, so
//! that no async code is compiled a second time into the binary.

use std::{env, ffi::OsString, process::ExitCode};

use clap::Parser as _;
use tokio::runtime::Runtime;

use super::{command::CommandLine, failure::Failure, output::OutputFormat, refusal};
use crate::process;

/// Runs the command line of this process and reports its outcome.
pub fn main() -> ExitCode {
    if let Err(error) = process::seclude() {
        return Failure::local(error).report(OutputFormat::default());
    }
    let arguments: Vec<OsString> = env::args_os().collect();
    let line = match CommandLine::try_parse_from(&arguments) {
        Ok(line) => line,
        Err(error) => return refusal::report(&error, &arguments),
    };
    let format = line.global.output;
    let ended = Runtime::new()
        .map_err(Failure::local)
        .and_then(|runtime| runtime.block_on(line.run()));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(format),
    }
}
