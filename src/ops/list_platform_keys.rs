//! ListPlatformKeys: the operator's keys, masked. Read from the database.

use super::{AppState, KeyView};
use crate::domain::{error::Error, resolution::key_damaged};

/// The platform's keys.
#[derive(Debug)]
pub struct PlatformKeys {
    /// By provider.
    pub keys: Vec<KeyView>,
    /// The platform's revision.
    pub revision: u64,
}

/// Lists the platform's keys.
pub async fn list_platform_keys(state: &AppState) -> Result<PlatformKeys, Error> {
    let platform = state.store.platform().await?;
    if let Some(provider) = platform.damaged.first() {
        return Err(key_damaged("the platform's key", provider));
    }
    let condemnation = &state.policy.condemnation;
    Ok(PlatformKeys {
        keys: platform
            .keys
            .iter()
            .map(|(provider, key)| KeyView::new(provider, key, condemnation))
            .collect(),
        revision: platform.revision,
    })
}
