//! The binary: it calls the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    byokd::cli::main()
}
