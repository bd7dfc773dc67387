//! What the operator reads: log lines on standard error.
//!
//! Invariants: data goes to standard output, so lines go to standard error; a subscriber is always installed, since the
//! libraries' own events take a slow road without one. No line is written for a call that succeeds.
//!
//! Absent: traces and metrics.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

use crate::config::{LogConfig, LogFormat};

/// Installs the subscriber of this process. A process has one: a second call changes nothing.
pub fn install(config: &LogConfig) {
    let filter = EnvFilter::try_new(&config.filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let installed = match config.format {
        LogFormat::Pretty => lines.try_init(),
        LogFormat::Json => lines.json().try_init(),
    };
    if installed.is_err() {
        tracing::debug!("a subscriber was already installed");
    }
}
