//! A model, and whether the workspace can use it.

use serde::{Deserialize, Serialize};

use super::billing::BillingView;
use crate::domain::{catalog::Catalog, resolution::Offer};

/// A model, and whether the workspace can use it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ModelView {
    /// `None`: outside the catalog.
    pub family: Option<String>,
    /// The provider.
    pub provider: String,
    /// The concrete id.
    pub model: String,
    /// The reason of the refusal; `None`: available.
    pub unavailable_reason: Option<String>,
    /// Whether the workspace selected it.
    pub selected: bool,
    /// `None`: unavailable.
    pub billing: Option<BillingView>,
    /// `YYYY-MM-DD`.
    pub retires: Option<String>,
    /// The id that replaces it.
    pub successor: Option<String>,
}

impl ModelView {
    /// The view of an offer.
    pub fn new(offer: &Offer<'_>, catalog: &Catalog) -> Self {
        let (granted, refused) = match &offer.outcome {
            Ok(decision) => (Some(BillingView::new(&decision.grant, catalog)), None),
            Err(error) => (None, Some(error.reason().as_str().to_owned())),
        };
        Self {
            family: offer.family.map(str::to_owned),
            provider: offer.provider.to_string(),
            model: offer.model.clone(),
            unavailable_reason: refused,
            selected: offer.selected,
            billing: granted,
            retires: offer.id.and_then(|id| Some(id.retires?.to_string())),
            successor: offer.id.and_then(|id| id.successor.clone()),
        }
    }
}
