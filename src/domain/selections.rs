//! Selections after the paying key has changed.
//!
//! Invariants: a selection stays if the workspace's key can use the model, or if there is no key or no list that refuses
//! it. Otherwise it is cleared.
//!
//! Not here: choosing a model (`ops::select_model`).

use std::collections::BTreeMap;

use time::OffsetDateTime;

use super::{
    catalog::Catalog, change::Draft, error::Error, names::ProviderName, resolution::usable,
};

/// Clears the selections that the workspace's keys cannot use, of one provider or of all. Returns the cleared models by
/// provider.
pub fn clear_unusable(
    draft: &mut Draft,
    catalog: &Catalog,
    only: Option<&ProviderName>,
    now: OffsetDateTime,
) -> Result<BTreeMap<String, String>, Error> {
    let workspace = draft.workspace()?;
    let unusable: Vec<_> = workspace
        .selections
        .iter()
        .filter(|(provider, _)| only.is_none_or(|only| only == *provider))
        .filter(|(provider, selection)| {
            workspace.keys.get(*provider).is_some_and(|key| {
                let fresh = key.fresh_models(now);
                usable(catalog, provider, &selection.model, fresh, now.date()).is_err()
            })
        })
        .map(|(provider, selection)| (provider.clone(), selection.model.to_string()))
        .collect();
    for (provider, _) in &unusable {
        draft.select(provider, None);
    }
    let cleared = unusable.into_iter();
    Ok(cleared
        .map(|(provider, model)| (provider.to_string(), model))
        .collect())
}
