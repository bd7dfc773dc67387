//! The parts of a decision: who pays, where the call goes, whose key it is.
//!
//! Not here: the credential. Only `resolve` has one.

use std::collections::BTreeMap;

use super::{
    table::Table,
    value::{millionths, short},
};
use crate::contract::v1;

pub(in crate::cli) fn billing(billing: &v1::Billing) -> String {
    let mode = short(billing.mode().as_str_name());
    match &billing.charge {
        Some(charge) => format!(
            "{mode}, {} {} a call",
            millionths(charge.micros_per_call),
            charge.unit
        ),
        None => mode,
    }
}

/// Adds the lines of an endpoint to a table of names and values.
pub(in crate::cli) fn endpoint_fields(endpoint: &v1::Endpoint, table: &mut Table) {
    table.field("endpoint", endpoint.base_url.as_str());
    for (name, value) in BTreeMap::from_iter(&endpoint.headers) {
        table.field("header", format!("{name}: {value}"));
    }
    if !endpoint.auth_header.is_empty() {
        table.field(
            "auth",
            format!("{}: {}<key>", endpoint.auth_header, endpoint.auth_prefix),
        );
    }
}

pub(in crate::cli) fn key_reference(key: &v1::KeyReference) -> String {
    let source = short(key.source().as_str_name());
    if key.key_id.is_empty() {
        return source;
    }
    format!("{source} {} (generation {})", key.key_id, key.generation)
}
