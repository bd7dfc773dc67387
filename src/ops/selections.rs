//! What becomes of selections when the paying key changes.
//!
//! Invariant: a selection survives supersede and toggle if the workspace's key can use it, else it is cleared and the
//! answer says so. Where there is no key, or no list that refuses, it survives.
//!
//! Absent: choosing one (`select_model`).

use std::collections::BTreeMap;

use super::AppState;
use crate::domain::{change::Draft, error::Error, names::ProviderName, resolution::usable};

/// Clears the selections that the workspace's keys cannot use, of one provider or of all; answers them by provider.
pub(super) fn clear_unusable(
    draft: &mut Draft,
    state: &AppState,
    only: Option<&ProviderName>,
) -> Result<BTreeMap<String, String>, Error> {
    let now = state.clock.now();
    let workspace = draft.workspace()?;
    let unusable: Vec<_> = workspace
        .selections
        .iter()
        .filter(|(provider, _)| only.is_none_or(|only| only == *provider))
        .filter(|(provider, selection)| {
            let key = workspace.keys.get(*provider);
            key.is_some_and(|key| {
                let fresh = key.fresh_models(now);
                usable(
                    &state.catalog,
                    provider,
                    &selection.model,
                    fresh,
                    now.date(),
                )
                .is_err()
            })
        })
        .map(|(provider, selection)| (provider.clone(), selection.model.to_string()))
        .collect();
    let mut cleared = BTreeMap::new();
    for (provider, model) in unusable {
        draft.select(&provider, None);
        cleared.insert(provider.to_string(), model);
    }
    Ok(cleared)
}
