//! The models of a workspace.

use super::{decision::billing, table::Table};
use crate::contract::v1;

pub(in crate::cli) fn models(models: &[v1::Model]) -> String {
    let mut table = Table::new(&[
        "PROVIDER",
        "FAMILY",
        "MODEL",
        "AVAILABLE",
        "SELECTED",
        "BILLING",
        "RETIRES",
    ]);
    for model in models {
        let available = if model.available {
            "yes"
        } else {
            &model.unavailable_reason
        };
        table.row([
            model.provider.clone(),
            model.family.clone(),
            model.model.clone(),
            available.to_owned(),
            if model.selected { "yes" } else { "" }.to_owned(),
            model.billing.as_ref().map(billing).unwrap_or_default(),
            retirement(model),
        ]);
    }
    table.or_if_empty("no models\n")
}

fn retirement(model: &v1::Model) -> String {
    if model.retires.is_empty() || model.successor.is_empty() {
        return model.retires.clone();
    }
    format!("{}, then {}", model.retires, model.successor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_shows_its_price_and_its_successor() {
        let model = v1::Model {
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
        };
        let text = models(&[model]);
        assert!(
            text.contains(
                "yes        -         BYO, 0.001 USD a call  2027-01-14, then gpt-6-luna"
            ),
            "{text}"
        );
        assert_eq!(models(&[]), "no models\n");
    }
}
