//! Work beside those that serve, from a configuration.
//!
//! Invariant: nothing is claimed, migrated or listened to.
//!
//! Not here: the work itself (`rewrap`).

use std::sync::Arc;

use super::{
    StartError,
    open::{open_keyring, store_settings},
};
use crate::{
    config::Config,
    domain::clock::Clock,
    rewrap::{self, RewrapMode, RewrapProgress, RewrapSummary},
    store::{OpenMode, Store},
};

/// `byokd rewrap`.
pub async fn rewrap(
    config: &Config,
    clock: Clock,
    mode: RewrapMode,
    dry_run: bool,
    restart: bool,
    report: impl FnMut(RewrapProgress),
) -> Result<RewrapSummary, StartError> {
    let store = Arc::new(Store::open(&store_settings(config), OpenMode::Maintain).await?);
    let keyring = open_keyring(config, &store, &clock).await?;
    let summary = rewrap::rewrap(&store, &keyring, mode, dry_run, restart, report).await;
    store.close().await;
    Ok(summary?)
}
