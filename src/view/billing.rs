//! The payer of a call, and the price.

use serde::{Deserialize, Serialize};

use crate::domain::{
    catalog::Catalog,
    resolution::{BillingMode, Grant},
};

/// The payer of a call, and the price.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct BillingView {
    /// The payer.
    pub mode: BillingMode,
    /// `None`: nothing to charge.
    pub charge: Option<ChargeView>,
}

/// A charge per call.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ChargeView {
    /// The unit.
    pub unit: String,
    /// Millionths of the unit.
    pub micros_per_call: i64,
    /// The version of the catalog that has the price.
    pub catalog_version: String,
}

impl BillingView {
    pub(super) fn new(grant: &Grant<'_>, catalog: &Catalog) -> Self {
        Self {
            mode: grant.billing_mode(),
            charge: grant.charge().map(|price| ChargeView {
                unit: price.unit.clone(),
                micros_per_call: price.micros_per_call,
                catalog_version: catalog.version.clone(),
            }),
        }
    }
}
