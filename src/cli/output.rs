//! Standard output and standard error.
//!
//! Invariants: a closed pipe is success, because its reader has read enough; a control character is replaced before it
//! reaches a terminal.

use std::io::{self, Write};

use clap::ValueEnum;

/// How an answer is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum OutputFormat {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
}

/// Writes text to standard output.
pub(super) fn write_stdout(text: &str) -> io::Result<()> {
    write(&mut io::stdout().lock(), text)
}

/// Writes text to standard error. A failure there cannot be reported anywhere.
pub(super) fn write_stderr(text: &str) {
    let _ = write(&mut io::stderr().lock(), text);
}

fn write(to: &mut impl Write, text: &str) -> io::Result<()> {
    let written = to.write_all(printable(text).as_bytes());
    match written.and_then(|()| to.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}

/// A model's name comes from a provider and may hold control sequences of a terminal.
fn printable(text: &str) -> String {
    text.replace(|c: char| c.is_control() && c != '\n', "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_control_sequence_is_replaced_and_a_closed_pipe_is_fine() {
        struct ClosedPipe;
        impl Write for ClosedPipe {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        assert_eq!(printable("a\u{1b}[2Jb\n"), "a\u{fffd}[2Jb\n");
        assert!(write(&mut ClosedPipe, "x").is_ok());
    }
}
