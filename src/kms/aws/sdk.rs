//! The settings of AWS KMS, and the SDK configuration made from them.

use std::num::NonZeroU32;

use aws_config::{ConfigLoader, SdkConfig};
use aws_sdk_kms::config::Credentials;

use crate::{
    domain::kms_key::KmsKeyName,
    kms::{EncryptionContext, KmsError, KmsFault},
};

/// Which KMS key, and where it is.
pub struct AwsSettings {
    /// The key that wraps.
    pub key: KmsKeyName,
    /// Keys that did, and unwrap still.
    pub previous: Vec<KmsKeyName>,
    /// The region; `None`: the ARN's, else what the SDK finds.
    pub region: Option<String>,
    /// Where the KMS is reached; `None`: the region's own endpoint.
    pub endpoint_url: Option<String>,
    /// Calls a second, at the most.
    pub calls_per_second: NonZeroU32,
    /// An access key's id and secret; `None`: what the SDK's default chain finds.
    pub access_key: Option<(String, String)>,
}

pub(super) fn with_access_key(
    loader: ConfigLoader,
    access_key: Option<(String, String)>,
) -> ConfigLoader {
    match access_key {
        Some((id, secret)) => {
            loader.credentials_provider(Credentials::new(id, secret, None, None, "byokd"))
        }
        None => loader,
    }
}

pub(super) async fn load(loader: ConfigLoader) -> Result<(SdkConfig, String), KmsError> {
    let sdk = loader.load().await;
    let region = sdk.region().map(|region| region.as_ref().to_owned()).ok_or_else(|| {
        KmsError::new(
            KmsFault::Denied,
            "AWS KMS needs a region: set kms.region, or AWS_REGION, or name the key by its ARN in kms.key",
        )
    })?;
    Ok((sdk, region))
}

pub(in crate::kms) fn region_of(arn: &str) -> Option<String> {
    KmsKeyName::parse(arn)?.region().map(str::to_owned)
}

pub(super) fn map(context: EncryptionContext) -> std::collections::HashMap<String, String> {
    context
        .pairs()
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}
