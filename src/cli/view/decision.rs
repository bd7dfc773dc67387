//! The parts of a decision: who pays, where the call goes, whose key it is, which models there are.
//!
//! Absent: the credential. Only `resolve` has one, and keeps it to itself.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

use super::{
    super::output::Table,
    value::{millionths, short},
};
use crate::contract::v1;

/// Who pays.
#[derive(Serialize)]
pub(in super::super) struct BillingView {
    mode: &'static str,
    charge: Option<ChargeView>,
}

#[derive(Serialize)]
struct ChargeView {
    unit: String,
    micros_per_call: i64,
    catalog_version: String,
}

impl From<v1::Billing> for BillingView {
    fn from(billing: v1::Billing) -> Self {
        Self {
            mode: billing.mode().as_str_name(),
            charge: billing.charge.map(|charge| ChargeView {
                unit: charge.unit,
                micros_per_call: charge.micros_per_call,
                catalog_version: charge.catalog_version,
            }),
        }
    }
}

impl fmt::Display for BillingView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&short(self.mode))?;
        match &self.charge {
            Some(charge) => write!(
                f,
                ", {} {} a call",
                millionths(charge.micros_per_call),
                charge.unit
            ),
            None => Ok(()),
        }
    }
}

/// Where a call goes.
#[derive(Serialize)]
pub(in super::super) struct EndpointView {
    base_url: String,
    headers: BTreeMap<String, String>,
    auth_header: String,
    auth_prefix: String,
}

impl From<v1::Endpoint> for EndpointView {
    fn from(endpoint: v1::Endpoint) -> Self {
        Self {
            base_url: endpoint.base_url,
            headers: endpoint.headers.into_iter().collect(),
            auth_header: endpoint.auth_header,
            auth_prefix: endpoint.auth_prefix,
        }
    }
}

impl EndpointView {
    /// Adds its lines to a table of names and values.
    pub(in super::super) fn fields(&self, table: &mut Table) {
        table.field("endpoint", self.base_url.as_str());
        for (name, value) in &self.headers {
            table.field("header", format!("{name}: {value}"));
        }
        if !self.auth_header.is_empty() {
            table.field(
                "auth",
                format!("{}: {}<key>", self.auth_header, self.auth_prefix),
            );
        }
    }
}

/// Whose key it is.
#[derive(Serialize)]
pub(in super::super) struct KeyReferenceView {
    source: &'static str,
    key_id: String,
    generation: u64,
}

impl From<v1::KeyReference> for KeyReferenceView {
    fn from(key: v1::KeyReference) -> Self {
        Self {
            source: key.source().as_str_name(),
            key_id: key.key_id,
            generation: key.generation,
        }
    }
}

impl fmt::Display for KeyReferenceView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&short(self.source))?;
        if self.key_id.is_empty() {
            return Ok(());
        }
        write!(f, " {} (generation {})", self.key_id, self.generation)
    }
}

/// A model that a workspace may or may not use.
#[derive(Serialize)]
pub(in super::super) struct ModelView {
    family: String,
    provider: String,
    model: String,
    available: bool,
    unavailable_reason: String,
    selected: bool,
    billing: Option<BillingView>,
    in_catalog: bool,
    retires: String,
    successor: String,
}

impl From<v1::Model> for ModelView {
    fn from(model: v1::Model) -> Self {
        Self {
            family: model.family,
            provider: model.provider,
            model: model.model,
            available: model.available,
            unavailable_reason: model.unavailable_reason,
            selected: model.selected,
            billing: model.billing.map(BillingView::from),
            in_catalog: model.in_catalog,
            retires: model.retires,
            successor: model.successor,
        }
    }
}

/// Models as a table.
pub(in super::super) struct Models<'a>(pub(in super::super) &'a [ModelView]);

impl fmt::Display for Models<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("no models\n");
        }
        let mut table = Table::new(&[
            "PROVIDER",
            "FAMILY",
            "MODEL",
            "AVAILABLE",
            "SELECTED",
            "BILLING",
            "RETIRES",
        ]);
        for model in self.0 {
            table.row([
                model.provider.clone(),
                model.family.clone(),
                model.model.clone(),
                if model.available {
                    "yes".to_owned()
                } else {
                    model.unavailable_reason.clone()
                },
                if model.selected {
                    "yes".to_owned()
                } else {
                    String::new()
                },
                model
                    .billing
                    .as_ref()
                    .map(ToString::to_string)
                    .unwrap_or_default(),
                retirement(model),
            ]);
        }
        write!(f, "{table}")
    }
}

fn retirement(model: &ModelView) -> String {
    if model.retires.is_empty() || model.successor.is_empty() {
        return model.retires.clone();
    }
    format!("{}, then {}", model.retires, model.successor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_reads_the_same_for_people_and_programs() -> Result<(), serde_json::Error> {
        let models = [ModelView::from(v1::Model {
            family: "gpt-4o-mini".to_owned(),
            provider: "openai".to_owned(),
            model: "gpt-4o-mini-2024-07-18".to_owned(),
            available: true,
            billing: Some(v1::Billing {
                mode: v1::BillingMode::Byo.into(),
                charge: Some(v1::Charge {
                    unit: "USD".to_owned(),
                    micros_per_call: 1_000,
                    catalog_version: "2026-11".to_owned(),
                }),
            }),
            in_catalog: true,
            retires: "2027-01-14".to_owned(),
            successor: "gpt-6-luna".to_owned(),
            ..Default::default()
        })];
        let text = Models(&models).to_string();
        assert!(
            text.contains(
                "yes        -         BYO, 0.001 USD a call  2027-01-14, then gpt-6-luna"
            ),
            "{text}"
        );
        let json = serde_json::to_value(&models)?;
        let mode = json
            .pointer("/0/billing/mode")
            .and_then(|mode| mode.as_str());
        assert_eq!(mode, Some("BILLING_MODE_BYO"));
        Ok(())
    }
}
