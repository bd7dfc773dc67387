//! The key management service: it wraps data keys and never lets its own key out.
//!
//! Invariants: every call carries an encryption context, so that a blob moved to another bucket or deployment does not
//! unwrap; a blob is unwrapped only under the KMS key that the row names, and only if that key is allowed. A wrong key
//! or a damaged blob is corruption, never an outage; a KMS key whose name was not looked up yet is an outage.
//!
//! Not here: caching, and what an outage means (`keyring`). There is no road from the cloud back to a key file.

mod aws;
mod fault;
mod local;

#[cfg(test)]
#[path = "../tests/support/fake_kms.rs"]
pub(crate) mod fake_kms;

use std::time::Instant;

use tracing::Instrument as _;
use uuid::Uuid;
use zeroize::Zeroizing;

pub use aws::{AwsKms, AwsSettings};
pub use fault::{KmsError, KmsFault};
pub use local::{KeyFiles, LocalKms};

use crate::{
    domain::envelope::DataKeyId,
    telemetry::{metrics, trace},
};

/// The closed list of backends.
#[derive(Debug)]
pub enum Kms {
    /// A key file on this machine.
    Local(LocalKms),
    /// AWS KMS; and the key files that wrapped before it.
    Aws(Box<AwsKms>, KeyFiles),
}

/// What a data key is for; not secret, bound into its wrapping.
#[derive(Clone, Copy, Debug)]
pub struct EncryptionContext {
    /// The deployment.
    pub deployment: Uuid,
    /// Which data key.
    pub data_key: DataKeyId,
}

impl EncryptionContext {
    /// The context as name and value, in the order of the names.
    pub fn pairs(&self) -> [(&'static str, String); 4] {
        [
            ("bucket", self.data_key.bucket.to_string()),
            ("deployment", self.deployment.to_string()),
            ("service", "byokd".to_owned()),
            ("version", self.data_key.version.to_string()),
        ]
    }
}

/// A data key, wrapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrapped {
    /// What the KMS returned.
    pub blob: Vec<u8>,
    /// The KMS key that wrapped it, as the KMS names it.
    pub kms_key_arn: String,
}

/// Whether data keys under a KMS key may be unwrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowed {
    /// It is the current one, or was.
    Yes,
    /// It is a stranger.
    No,
    /// A name in the configuration was not looked up yet; it may be this key's.
    NotYetKnown,
}

/// What came of looking up the names in the configuration.
#[derive(Debug)]
#[must_use]
pub struct LookedUp {
    /// Of the current key: how it does.
    pub current: Result<(), KmsError>,
    /// Of the previous ones: the first failure; it says nothing of the current key.
    pub previous: Result<(), KmsError>,
}

impl LookedUp {
    /// Whether all is well.
    pub fn all(self) -> Result<(), KmsError> {
        self.current.and(self.previous)
    }
}

impl Kms {
    /// Makes a data key: in the clear, and wrapped.
    pub async fn generate(
        &self,
        context: EncryptionContext,
    ) -> Result<(Zeroizing<Vec<u8>>, Wrapped), KmsError> {
        observed("generate_data_key", async {
            match self {
                Self::Local(local) => local.generate(context),
                Self::Aws(aws, _) => aws.generate(context).await,
            }
        })
        .await
    }

    /// Unwraps a data key. One that names a KMS key which is not allowed is refused without a call.
    pub async fn unwrap(
        &self,
        wrapped: &Wrapped,
        context: EncryptionContext,
    ) -> Result<Zeroizing<Vec<u8>>, KmsError> {
        let arn = &wrapped.kms_key_arn;
        match self.allows(arn) {
            Allowed::Yes => {}
            Allowed::No => {
                return Err(KmsError::corrupt(format!(
                    "a data key is under the KMS key {arn}, which is neither kms.key nor one of kms.previous_keys"
                )));
            }
            Allowed::NotYetKnown => {
                return Err(KmsError::new(
                    KmsFault::Outage,
                    format!(
                        "a data key is under the KMS key {arn}, and the KMS has not said yet which keys kms.key and \
                         kms.previous_keys name; byokd asks on (kms:DescribeKey)"
                    ),
                ));
            }
        }
        observed("decrypt", async {
            match self {
                Self::Local(local) => local.unwrap(wrapped, context),
                Self::Aws(_, files) if files.have(arn) => files.unwrap(wrapped, context),
                Self::Aws(aws, _) => aws.unwrap(wrapped, context).await,
            }
        })
        .await
    }

    /// Rewraps a data key under the current KMS key. Between two AWS KMS keys its plaintext never leaves the KMS.
    /// From a key file to AWS KMS there is no such road: new data keys are the way.
    pub async fn rewrap(
        &self,
        wrapped: &Wrapped,
        context: EncryptionContext,
    ) -> Result<Wrapped, KmsError> {
        match self {
            Self::Local(local) => local.rewrap(wrapped, context),
            Self::Aws(_, files) if files.have(&wrapped.kms_key_arn) => Err(KmsError::new(
                KmsFault::Denied,
                format!(
                    "a data key under the key file {} cannot be rewrapped by AWS KMS, because AWS KMS would need its plaintext; \
                     use --data-keys, which seals all records under new data keys",
                    wrapped.kms_key_arn
                ),
            )),
            Self::Aws(aws, _) => observed("re_encrypt", aws.rewrap(wrapped, context)).await,
        }
    }

    /// Proves on a data key that is thrown away that the current KMS key makes and unwraps data keys.
    pub async fn preflight(&self, deployment: Uuid) -> Result<(), KmsError> {
        // No bucket has this number, so that it stands for no data key that is kept.
        let context = EncryptionContext {
            deployment,
            data_key: DataKeyId {
                bucket: u16::MAX,
                version: 0,
            },
        };
        let (made, wrapped) = self.generate(context).await?;
        let unwrapped = self.unwrap(&wrapped, context).await?;
        if *made == *unwrapped {
            Ok(())
        } else {
            Err(KmsError::corrupt(format!(
                "the KMS key {} unwraps another data key than it made",
                wrapped.kms_key_arn
            )))
        }
    }

    /// Looks up again which KMS keys the configuration names. An alias may have moved: then the new key wraps from now
    /// on, and the one before stays allowed.
    pub async fn look_up(&self) -> LookedUp {
        match self {
            Self::Local(_) => LookedUp {
                current: Ok(()),
                previous: Ok(()),
            },
            Self::Aws(aws, _) => aws.look_up().await,
        }
    }

    /// Whether the KMS has said of every name in the configuration which KMS key it is.
    pub fn is_looked_up(&self) -> bool {
        match self {
            Self::Local(_) => true,
            Self::Aws(aws, _) => aws.is_looked_up(),
        }
    }

    /// Whether the current KMS key can rewrap data keys of this one: both are of one kind, and in one
    /// region.
    pub fn can_rewrap(&self, kms_key_arn: &str) -> bool {
        let (is_local, current) = (|arn: &str| arn.starts_with("local:"), self.current());
        let elsewhere = aws::region_of(kms_key_arn)
            .zip(aws::region_of(&current))
            .is_some_and(|(from, to)| from != to);
        self.allows(kms_key_arn) != Allowed::No
            && is_local(kms_key_arn) == is_local(&current)
            && !elsewhere
    }

    /// Whether data keys under this KMS key may be unwrapped.
    pub fn allows(&self, kms_key_arn: &str) -> Allowed {
        match self {
            Self::Local(local) if local.allows(kms_key_arn) => Allowed::Yes,
            Self::Local(_) => Allowed::No,
            Self::Aws(_, files) if files.have(kms_key_arn) => Allowed::Yes,
            Self::Aws(aws, _) => aws.allows(kms_key_arn),
        }
    }

    /// Whether the KMS failed so often that it is left alone for a while.
    pub fn rests(&self) -> bool {
        match self {
            Self::Local(_) => false,
            Self::Aws(aws, _) => aws.rests(),
        }
    }

    /// The KMS key that wraps new data keys: its ARN, or the name in the configuration until that was looked up.
    pub fn current(&self) -> String {
        match self {
            Self::Local(local) => local.arn().to_owned(),
            Self::Aws(aws, _) => aws.current().unwrap_or_else(|| aws.name().to_owned()),
        }
    }
}

/// Times one call, and makes it a part of the trace.
async fn observed<T>(
    operation: &'static str,
    call: impl Future<Output = Result<T, KmsError>>,
) -> Result<T, KmsError> {
    let span = trace::part!(operation, "client", "byokd.kms.operation" = operation);
    let began = Instant::now();
    // Boxed, since it stands at the bottom of everything that waits for it.
    let outcome = Box::pin(call.instrument(span.clone())).await;
    let fault = outcome.as_ref().err().map(|error| error.fault().as_str());
    metrics::kms_called(operation, fault.unwrap_or("ok"), began.elapsed());
    if let Some(fault) = fault {
        trace::failed(&span, fault);
    }
    outcome
}
