//! Telemetry for the operator: logs, metrics, and traces.
//!
//! Metrics are kept as long as the process lives, are read at the admin port, and leave by OTLP where an endpoint is
//! set; traces leave by OTLP alone. The names are those of OpenTelemetry's conventions where there are any.
//!
//! Invariants: a subscriber is always installed, since the libraries' own events take a slow road without one. Nothing
//! here holds a secret, a workspace's id, or anything else without bound; a collector that is away or slow costs a
//! bounded queue and one line.
//!
//! Not here: what is worth telling. Each part says so itself.

mod export;
mod logs;
pub mod metrics;
mod resource;
pub mod trace;

use std::io::IsTerminal as _;

use tracing_subscriber::{layer::SubscriberExt as _, util::SubscriberInitExt as _};

pub use export::{ExportFault, Exports};

use crate::config::LogConfig;

/// Installs the log of a process that does not serve. A process has one: a second call changes nothing.
pub fn install(config: &LogConfig) {
    told_twice(log(config, false).try_init().is_err());
}

/// The same for a process that serves, with what leaves by OTLP as the `OTEL_*` variables say. Needs a runtime.
pub fn install_with_exports(config: &LogConfig) -> Result<Exports, ExportFault> {
    let exports = Exports::from_environment()?;
    let layer = exports.layer();
    told_twice(log(config, layer.is_some()).with(layer).try_init().is_err());
    Ok(exports)
}

fn log(config: &LogConfig, traced: bool) -> impl logs::Log + use<> {
    logs::subscriber(
        config,
        traced,
        std::io::stderr,
        std::io::stderr().is_terminal(),
    )
}

fn told_twice(failed: bool) {
    if failed {
        tracing::debug!("a subscriber was already installed");
    }
}
