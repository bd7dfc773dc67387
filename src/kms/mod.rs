//! The key management service: it wraps data keys and never lets its own key out.
//!
//! Invariants: every call carries an encryption context, so that a blob moved to another bucket or deployment does not
//! unwrap; a blob is unwrapped only under the KMS key that the row names, and only if that key is allowed. A wrong key
//! or a damaged blob is corruption, never an outage.
//!
//! Absent: caching (`keyring`), and any backend but a key file on this machine.

mod local;

use uuid::Uuid;
use zeroize::Zeroizing;

pub use local::LocalKms;

use crate::domain::{
    envelope::DataKeyId,
    error::{Error, Reason},
};

/// The closed list of backends.
#[derive(Debug)]
pub enum Kms {
    /// A key file on this machine.
    Local(LocalKms),
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
#[derive(Clone, Debug)]
pub struct Wrapped {
    /// What the KMS returned.
    pub blob: Vec<u8>,
    /// The KMS key that wrapped it, as the KMS names it.
    pub kms_key_arn: String,
}

impl Kms {
    /// Makes a data key: in the clear, and wrapped.
    pub async fn generate(&self, context: EncryptionContext) -> Result<(Zeroizing<Vec<u8>>, Wrapped), Error> {
        match self {
            Self::Local(local) => local.generate(context),
        }
    }

    /// Unwraps a data key.
    pub async fn unwrap(
        &self,
        wrapped: &Wrapped,
        context: EncryptionContext,
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        if !self.allows(&wrapped.kms_key_arn) {
            return Err(corrupt("a data key names a KMS key that is not allowed"));
        }
        match self {
            Self::Local(local) => local.unwrap(wrapped, context),
        }
    }

    /// Whether data keys under this KMS key may be unwrapped.
    pub fn allows(&self, kms_key_arn: &str) -> bool {
        match self {
            Self::Local(local) => local.allows(kms_key_arn),
        }
    }
}

fn corrupt(what: &'static str) -> Error {
    Error::new(
        Reason::RecordCorrupt,
        "a data key is damaged, or was wrapped by another KMS key; tell the operator",
    )
    .caused_by(what)
}
