//! ListPlatformKeys: the operator's keys, masked, from the database.

use crate::{
    app_state::AppState,
    domain::{error::Error, resolution::key_damaged},
    view::KeyView,
};

/// The platform's keys.
#[derive(Debug)]
pub struct PlatformKeys {
    /// Sorted by provider.
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
    let keys = platform.keys.iter();
    Ok(PlatformKeys {
        keys: keys
            .map(|(provider, key)| state.key_view(provider, key))
            .collect(),
        revision: platform.revision,
    })
}
