//! The catalog file, as TOML spells it.
//!
//! Not here: checks (`load`).

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Payer;
use crate::domain::protocol::Protocol;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CatalogText {
    pub(super) version: String,
    pub(super) default_model: String,
    pub(super) providers: BTreeMap<String, ProviderText>,
    pub(super) models: BTreeMap<String, FamilyText>,
    #[serde(default)]
    pub(super) purposes: BTreeMap<String, PurposeText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProviderText {
    pub(super) protocol: Protocol,
    pub(super) hosts: Vec<String>,
    #[serde(default)]
    pub(super) headers: Vec<String>,
    pub(super) default_model: Option<String>,
    pub(super) byo_fee: Option<PriceText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FamilyText {
    pub(super) provider: String,
    pub(super) ids: Vec<IdText>,
    pub(super) credits: Option<PriceText>,
    pub(super) byo_fee: Option<PriceText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IdText {
    pub(super) id: String,
    #[serde(default)]
    pub(super) aliases: Vec<String>,
    pub(super) retires: Option<toml::value::Datetime>,
    pub(super) successor: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PriceText {
    pub(super) unit: String,
    pub(super) micros_per_call: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PurposeText {
    pub(super) payer: Payer,
}
