//! AWS KMS. The only place that knows its SDK.
//!
//! Invariants: every call has a time-out and passes the gate; data keys are wrapped and unwrapped under a KMS key that
//! is named by its ARN, never by an alias, which may move between two calls. What is stored as ARN is what the KMS
//! returned, and that is what was asked for. A region that fails is no other region's fault.
//!
//! Not here: wiping of what the SDK read from the wire; it keeps its own buffers.

mod credentials;
mod fault;
mod gate;
mod names;
mod sdk;

use std::{collections::BTreeMap, time::Duration};

use aws_config::{BehaviorVersion, Region, retry::RetryConfig, timeout::TimeoutConfig};
use aws_sdk_kms::{
    Client,
    config::{Builder, StalledStreamProtectionConfig},
    primitives::Blob,
    types::{DataKeySpec, KeyMetadata, KeySpec, KeyState},
};
use zeroize::Zeroizing;

pub use sdk::AwsSettings;
pub(super) use sdk::region_of;

use self::{
    credentials::Patient,
    fault::Asked,
    gate::Gate,
    names::Names,
    sdk::{load, map, with_access_key},
};
use super::{Allowed, EncryptionContext, KmsError, KmsFault, LookedUp, Wrapped, observed};
use crate::domain::{clock::Clock, kms_key::KmsKeyName};

const CONNECT: Duration = Duration::from_millis(500);
const ATTEMPT: Duration = Duration::from_millis(500);
const OPERATION: Duration = Duration::from_millis(1200);
const ATTEMPTS: u32 = 2;
const BACKOFF: Duration = Duration::from_millis(50);

/// A key of AWS KMS, and those before it.
#[derive(Debug)]
pub struct AwsKms {
    here: Regional,
    /// For previous keys of other regions.
    elsewhere: BTreeMap<String, Regional>,
    names: Names,
}

/// The KMS of one region.
#[derive(Debug)]
struct Regional {
    client: Client,
    region: String,
    gate: Gate,
}

impl AwsKms {
    /// Finds region and credentials and looks the key up. A fault of the configuration ends the start; a KMS that does not
    /// answer is not: then the names are looked up later.
    pub async fn open(settings: AwsSettings, clock: Clock) -> Result<Self, KmsError> {
        let AwsSettings {
            key,
            previous,
            region,
            endpoint_url,
            calls_per_second,
            access_key,
        } = settings;
        let mut loader = aws_config::defaults(BehaviorVersion::latest());
        if let Some(region) = region.or_else(|| key.region().map(str::to_owned)) {
            loader = loader.region(Region::new(region));
        }
        if let Some(url) = endpoint_url {
            loader = loader.endpoint_url(url);
        }
        let (sdk, region) = load(with_access_key(loader, access_key)).await?;
        let credentials = Patient::of(&sdk)?;
        credentials.try_once(key.as_str(), &region).await?;
        let kms_in = |region: &str| {
            let timeouts = TimeoutConfig::builder()
                .connect_timeout(CONNECT)
                .operation_attempt_timeout(ATTEMPT)
                .operation_timeout(OPERATION)
                .build();
            let retries = RetryConfig::standard()
                .with_max_attempts(ATTEMPTS)
                .with_initial_backoff(BACKOFF);
            let config = Builder::from(&sdk)
                .region(Region::new(region.to_owned()))
                .credentials_provider(credentials.clone())
                .timeout_config(timeouts)
                .retry_config(retries)
                // The bodies are small, and the time-outs end what stalls.
                .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
                .build();
            let gate = Gate::new(calls_per_second, clock.clone());
            Regional {
                client: Client::from_conf(config),
                region: region.to_owned(),
                gate,
            }
        };
        let regions = previous
            .iter()
            .filter_map(KmsKeyName::region)
            .filter(|other| *other != region);
        let kms = Self {
            here: kms_in(&region),
            elsewhere: regions
                .map(|other| (other.to_owned(), kms_in(other)))
                .collect(),
            names: Names::new(key, previous),
        };
        match kms.look_up().await.all() {
            Err(error) if error.fault() != KmsFault::Outage && !kms.names.current_is_good() => {
                Err(error)
            }
            Err(error) => {
                tracing::warn!(%error, "starting all the same; byokd asks on in the background");
                Ok(kms)
            }
            Ok(()) => Ok(kms),
        }
    }

    pub(super) fn name(&self) -> &str {
        self.names.key().as_str()
    }

    pub(super) fn current(&self) -> Option<String> {
        self.names.current()
    }

    pub(super) fn allows(&self, arn: &str) -> Allowed {
        self.names.allows(arn)
    }

    pub(super) fn is_looked_up(&self) -> bool {
        self.names.current_is_good() && self.names.not_yet_known().is_empty()
    }

    /// Each name by itself: what one of them is says nothing of the others.
    pub(super) async fn look_up(&self) -> LookedUp {
        let current = self.look_up_current().await;
        let mut previous = Ok(());
        for name in self.names.not_yet_known() {
            match self.describe(&name).await {
                Ok(found) => self.names.found(&name, &found.arn, false),
                Err(error) => previous = previous.and(Err(error.of_a_name())),
            }
        }
        LookedUp { current, previous }
    }

    async fn look_up_current(&self) -> Result<(), KmsError> {
        let key = self.names.key();
        let found = self.describe(key).await?;
        self.names.found(key, &found.arn, true);
        self.names.judge_current(found.usable.is_ok());
        found.usable
    }

    async fn describe(&self, name: &KmsKeyName) -> Result<Described, KmsError> {
        let there = self.kms_in(name.region());
        let asked = there.asked("DescribeKey", name.as_str());
        let call = there.client.describe_key().key_id(name.as_str()).send();
        let call = there
            .gate
            .pass(async { call.await.map_err(|error| asked.failed(&error)) });
        let answer = observed("describe_key", call).await;
        let answer = answer.map_err(|error| asked.of_an_alias(error, name))?;
        let metadata = answer.key_metadata.ok_or_else(|| asked.incomplete())?;
        let arn = metadata.arn.clone().ok_or_else(|| asked.incomplete())?;
        Ok(Described {
            usable: usable(&metadata, &arn, &asked),
            arn,
        })
    }

    pub(super) async fn generate(
        &self,
        context: EncryptionContext,
    ) -> Result<(Zeroizing<Vec<u8>>, Wrapped), KmsError> {
        let current = self.known_current()?;
        let asked = self.here.asked("GenerateDataKey", &current);
        let call = self
            .here
            .client
            .generate_data_key()
            .key_id(&current)
            .key_spec(DataKeySpec::Aes256)
            .set_encryption_context(Some(map(context)))
            .send();
        let answer = self
            .here
            .gate
            .pass(async { call.await.map_err(|error| asked.failed(&error)) })
            .await?;
        let secret = answer.plaintext.ok_or_else(|| asked.incomplete())?;
        let blob = answer
            .ciphertext_blob
            .ok_or_else(|| asked.incomplete())?
            .into_inner();
        let secret = Zeroizing::new(secret.into_inner());
        let kms_key_arn = asked.is_under(&current, answer.key_id)?;
        Ok((secret, Wrapped { blob, kms_key_arn }))
    }

    pub(super) async fn unwrap(
        &self,
        wrapped: &Wrapped,
        context: EncryptionContext,
    ) -> Result<Zeroizing<Vec<u8>>, KmsError> {
        let there = self.kms_in(region_of(&wrapped.kms_key_arn).as_deref());
        let asked = there.asked("Decrypt", &wrapped.kms_key_arn);
        let call = there
            .client
            .decrypt()
            .key_id(&wrapped.kms_key_arn)
            .ciphertext_blob(Blob::new(wrapped.blob.as_slice()))
            .set_encryption_context(Some(map(context)))
            .send();
        let answer = there
            .gate
            .pass(async { call.await.map_err(|error| asked.failed(&error)) })
            .await?;
        Ok(Zeroizing::new(
            answer
                .plaintext
                .ok_or_else(|| asked.incomplete())?
                .into_inner(),
        ))
    }

    pub(super) async fn rewrap(
        &self,
        wrapped: &Wrapped,
        context: EncryptionContext,
    ) -> Result<Wrapped, KmsError> {
        let (from, to) = (&wrapped.kms_key_arn, self.known_current()?);
        if self.allows(from) != Allowed::Yes {
            return Err(KmsError::corrupt(format!(
                "a data key is under the KMS key {from}, which is neither kms.key nor one of kms.previous_keys"
            )));
        }
        if region_of(from) != region_of(&to) {
            let text = format!(
                "{from} and {to} are in two regions, between which KMS rewraps nothing; use --data-keys"
            );
            return Err(KmsError::new(KmsFault::Denied, text));
        }
        let asked = self.here.asked("ReEncrypt", from);
        let call = self
            .here
            .client
            .re_encrypt()
            .ciphertext_blob(Blob::new(wrapped.blob.as_slice()))
            .source_key_id(from)
            .set_source_encryption_context(Some(map(context)))
            .destination_key_id(&to)
            .set_destination_encryption_context(Some(map(context)))
            .send();
        let answer = self
            .here
            .gate
            .pass(async { call.await.map_err(|error| asked.failed(&error)) })
            .await?;
        Ok(Wrapped {
            blob: answer
                .ciphertext_blob
                .ok_or_else(|| asked.incomplete())?
                .into_inner(),
            kms_key_arn: asked.is_under(&to, answer.key_id)?,
        })
    }

    /// Whether AWS KMS failed so often that it is left alone for a while.
    pub(super) fn rests(&self) -> bool {
        self.here.gate.refuses_now()
    }

    fn known_current(&self) -> Result<String, KmsError> {
        self.current().ok_or_else(|| {
            let text = format!(
                "the KMS has not said yet which key {} is; byokd asks on (kms:DescribeKey)",
                self.name()
            );
            KmsError::new(KmsFault::Outage, text)
        })
    }

    fn kms_in(&self, region: Option<&str>) -> &Regional {
        region
            .and_then(|region| self.elsewhere.get(region))
            .unwrap_or(&self.here)
    }
}

impl Regional {
    fn asked<'a>(&'a self, operation: &'static str, key: &'a str) -> Asked<'a> {
        Asked {
            operation,
            key,
            region: &self.region,
        }
    }
}

struct Described {
    arn: String,
    usable: Result<(), KmsError>,
}

/// Whether a key can wrap data keys, as its description says.
fn usable(metadata: &KeyMetadata, arn: &str, asked: &Asked<'_>) -> Result<(), KmsError> {
    if let Some(spec) = metadata
        .key_spec
        .as_ref()
        .filter(|spec| **spec != KeySpec::SymmetricDefault)
    {
        let text =
            format!("the KMS key {arn} is {spec}; name a symmetric key for encryption in kms.key");
        return Err(KmsError::new(KmsFault::Denied, text));
    }
    let Some(state) = &metadata.key_state else {
        return Ok(());
    };
    match state {
        KeyState::Enabled | KeyState::Updating => Ok(()),
        KeyState::Disabled
        | KeyState::PendingDeletion
        | KeyState::PendingReplicaDeletion
        | KeyState::PendingImport => Err(asked.in_state(arn, state.as_str())),
        _ => Err(KmsError::new(
            KmsFault::Outage,
            format!("the KMS key {arn} is {}", state.as_str()),
        )),
    }
}

#[cfg(test)]
mod tests;
