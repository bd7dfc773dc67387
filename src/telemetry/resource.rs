//! The OpenTelemetry resource of this process, from the `OTEL_*` variables.
//!
//! Not here: where anything goes (`export`).

use std::env;

use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;

/// Who this is: `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`, and byokd's own name and version beneath them.
pub(super) fn resource() -> Resource {
    let builder = Resource::builder()
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    let named = set("OTEL_SERVICE_NAME").is_some()
        || set("OTEL_RESOURCE_ATTRIBUTES").is_some_and(|all| {
            all.split(',')
                .any(|one| one.trim().starts_with("service.name="))
        });
    if named {
        builder.build()
    } else {
        builder.with_service_name("byokd").build()
    }
}

/// A variable that says something.
pub(super) fn set(variable: &str) -> Option<String> {
    env::var(variable)
        .ok()
        .filter(|value| !value.trim().is_empty())
}
