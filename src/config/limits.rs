//! The `[limits]` section: bounds on connections, calls, deadlines and cached workspaces.
//!
//! Not here: limits on test calls (`checks`) and on calls to the KMS (`kms`).

use serde::{Deserialize, Serialize};

/// How much is served at once and kept in memory, and for how long.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// Connections at once.
    pub connections: u32,
    /// Calls at once on one connection.
    pub streams_per_connection: u32,
    /// Calls at once in all. Beyond half of it lists are refused, beyond three quarters changes, beyond it everything.
    pub calls: u32,
    /// How many calls a second a connection may give up on before it is closed.
    pub resets_per_second: u32,
    /// How long a call without a deadline may take, in milliseconds.
    pub default_deadline_ms: u64,
    /// How long any call may take, in milliseconds.
    pub longest_deadline_ms: u64,
    /// Maximum age of a connection in seconds, ± 10 %. byokd then sends GOAWAY.
    pub connection_age_seconds: u64,
    /// Workspaces in memory; the rarely used ones beyond it are read from the database on each use.
    pub workspaces: u32,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            connections: 2_000,
            streams_per_connection: 256,
            calls: 2_000,
            resets_per_second: 1_000,
            default_deadline_ms: 25_000,
            longest_deadline_ms: 30_000,
            connection_age_seconds: 30 * 60,
            workspaces: 100_000,
        }
    }
}

impl LimitsConfig {
    pub(super) fn faults(&self) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        let mut unless = |holds: bool, setting: &'static str, fault: &str| {
            if !holds {
                faults.push((setting, fault.to_owned()));
            }
        };
        let some = |count: u32| (1..=1_000_000).contains(&count);
        unless(
            some(self.connections),
            "limits.connections",
            "must be 1 to 1000000",
        );
        unless(
            (1..=10_000).contains(&self.streams_per_connection),
            "limits.streams_per_connection",
            "must be 1 to 10000",
        );
        unless(
            (4..=1_000_000).contains(&self.calls),
            "limits.calls",
            "must be 4 to 1000000",
        );
        unless(
            some(self.resets_per_second),
            "limits.resets_per_second",
            "must be 1 to 1000000",
        );
        unless(
            (1_000..=60_000).contains(&self.longest_deadline_ms),
            "limits.longest_deadline_ms",
            "must be 1000 to 60000",
        );
        unless(
            (100..=self.longest_deadline_ms).contains(&self.default_deadline_ms),
            "limits.default_deadline_ms",
            "must be 100 to limits.longest_deadline_ms",
        );
        unless(
            (10..=86_400).contains(&self.connection_age_seconds),
            "limits.connection_age_seconds",
            "must be 10 to 86400",
        );
        unless(
            (1_000..=10_000_000).contains(&self.workspaces),
            "limits.workspaces",
            "must be 1000 to 10000000",
        );
        faults
    }
}
