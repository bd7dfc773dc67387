//! The shipped catalog, with the demo provider in place of the vendors.
//!
//! Not here: models and prices; they are those of the shipped catalog.

use toml::{Table, Value};

use super::error::DemoError;
use crate::domain::catalog::Catalog;

const SHIPPED: &str = include_str!("../domain/catalog/catalog.toml");

/// The catalog's text, and the same text parsed. Each provider's one host is `provider_url` and the path of its SDK.
pub(super) fn pointing_at(provider_url: &str) -> Result<(String, Catalog), DemoError> {
    let failed = |cause: String| DemoError::new("cannot write the demo's catalog", cause);
    let mut table: Table = SHIPPED
        .parse()
        .map_err(|error: toml::de::Error| failed(error.to_string()))?;
    let providers = table.get_mut("providers").and_then(Value::as_table_mut);
    for (name, provider) in providers.into_iter().flatten() {
        // The SDKs of OpenAI's protocol take a base URL with the version, Anthropic's one without.
        let version = match provider.get("protocol").and_then(Value::as_str) {
            Some("anthropic") => "",
            _ => "/v1",
        };
        let host = Value::String(format!("{provider_url}/{name}{version}"));
        if let Some(provider) = provider.as_table_mut() {
            provider.insert("hosts".to_owned(), Value::Array(vec![host]));
        }
    }
    let text = toml::to_string(&table).map_err(|error| failed(error.to_string()))?;
    let catalog = Catalog::parse(&text).map_err(|faults| failed(faults.to_string()))?;
    Ok((text, catalog))
}
