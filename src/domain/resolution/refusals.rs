//! The refusals that more than one place makes: one text and one set of facts for each.
//!
//! Not here: refusals of one place; they stand there.

use crate::domain::{
    error::{Error, Reason},
    names::{ProviderName, PurposeName},
};

/// `PROVIDER_UNKNOWN`: the catalog does not have it.
pub fn provider_unknown(provider: &ProviderName) -> Error {
    Error::new(
        Reason::ProviderUnknown,
        format!("no provider {provider} is configured"),
    )
    .in_field("provider")
    .with("provider", provider.as_str())
}

/// `PROVIDER_DISABLED`: it left the catalog.
pub fn provider_disabled(provider: &ProviderName) -> Error {
    Error::new(
        Reason::ProviderDisabled,
        format!("the provider {provider} is no longer configured; its keys can only be listed and deleted"),
    )
    .with("provider", provider.as_str())
}

/// `ENDPOINT_NO_LONGER_ALLOWED`: the key's host or headers left the catalog.
pub fn endpoint_no_longer_allowed(provider: &ProviderName) -> Error {
    Error::new(
        Reason::EndpointNoLongerAllowed,
        format!(
            "the key for {provider} is bound to a host or header that the catalog no longer allows; set the key again"
        ),
    )
    .with("provider", provider.as_str())
}

/// `MODEL_UNKNOWN`, with advice.
pub fn model_unknown(model: &str, advice: &str) -> Error {
    Error::new(
        Reason::ModelUnknown,
        format!("the catalog does not know the model {model}; {advice}"),
    )
    .in_field("model")
    .with("model", model)
}

/// `PURPOSE_UNKNOWN`.
pub fn purpose_unknown(purpose: &PurposeName) -> Error {
    Error::new(
        Reason::PurposeUnknown,
        format!("the catalog has no purpose {purpose}; its operator adds it under [purposes]"),
    )
    .in_field("purpose")
    .with("purpose", purpose.as_str())
}

/// `RECORD_CORRUPT`: the key's row cannot be read; nothing else of its holder is touched.
pub fn key_damaged(whose: &str, provider: &ProviderName) -> Error {
    Error::new(
        Reason::RecordCorrupt,
        format!("{whose} for {provider} is stored in a damaged record; set it again, and inform the operator"),
    )
    .with("provider", provider.as_str())
}
