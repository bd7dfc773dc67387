//! The binary. The library has everything, so that nothing is compiled twice.

use std::process::ExitCode;

fn main() -> ExitCode {
    byokd::cli::main()
}
