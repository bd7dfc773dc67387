//! The sealed record: a provider key as it lies in the database. Format version 1.
//!
//! ```text
//! offset  length  field                       (integers are big-endian)
//!      0       1  format version = 1
//!      1       2  bucket of the data key
//!      3       4  version of the data key
//!      7      32  salt, fresh for each record
//!     39      32  key commitment
//!     71       n  ciphertext
//!   71+n      16  AES-256-GCM tag
//! ```
//!
//! HKDF-SHA-256 (RFC 5869) extracts from the data key under the salt and expands, with
//! info = lp("byokd record 1") ‖ lp(deployment), to 76 bytes: record key (32), nonce (12), key commitment (32).
//! `lp(x)` is the length of x as 4 bytes, then x. The secret is sealed with AES-256-GCM (NIST SP 800-38D); its
//! associated data are the 71 bytes of the header, then lp of each: deployment (16 bytes), scope (`workspace` or
//! `platform`), workspace id (empty for the platform), provider, key id (16 bytes), generation (8 bytes), base URL,
//! number of headers (4 bytes), and name and value of each header in the order of the names.
//!
//! Invariants: a salt, and with it record key and nonce, is never used twice, since it is drawn for each seal. The
//! commitment is compared in constant time before the cipher runs: AES-GCM alone lets one ciphertext open under two
//! keys. A record that was cut, changed, moved to another row or pointed at another host does not open; nothing here
//! panics on any input.
//!
//! Deriving costs more than all the rest of opening; so a data key remembers what it derived last, until it ends itself.
//! No opened secret is kept.
//!
//! Not here: where data keys come from (`keyring`), and protection against the replay of an old row, which this format
//! does not claim.

use std::{fmt, sync::Arc};

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    constant_time::verify_slices_are_equal,
    hkdf::{HKDF_SHA256, KeyType, Salt},
    rand::{SecureRandom as _, SystemRandom},
};
use quick_cache::{UnitWeighter, sync::Cache};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{
    names::{ProviderName, Scope},
    secret::ApiKey,
    workspace::Binding,
};

const FORMAT: u8 = 1;
const SALT_LEN: usize = 32;
const KEY_LEN: usize = 32;
const COMMITMENT_LEN: usize = 32;
const PREFIX_LEN: usize = 1 + 2 + 4;
const HEADER_LEN: usize = PREFIX_LEN + SALT_LEN + COMMITMENT_LEN;
const TAG_LEN: usize = 16;
/// What associated data take, mostly.
const AAD_ROOM: usize = 512;
/// For how many records a data key remembers what it derived, at the most: a few hundred bytes each.
const REMEMBERED: u64 = 512;
/// For how many there is room from the beginning.
const REMEMBERED_AT_FIRST: usize = 32;
const LABEL: &[u8] = b"byokd record 1";

/// Which data key sealed a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DataKeyId {
    /// 0 to 255.
    pub bucket: u16,
    /// From 1, counted for each bucket.
    pub version: u32,
}

/// A data key in the clear. Lives in the keyring's memory only.
pub struct DataKey {
    /// Which one it is.
    pub id: DataKeyId,
    secret: Zeroizing<[u8; KEY_LEN]>,
    /// By salt and deployment.
    derived: Cache<([u8; SALT_LEN], Uuid), Arc<Derived>>,
}

impl DataKey {
    /// A data key of exactly 32 bytes.
    pub fn new(id: DataKeyId, secret: &[u8]) -> Option<Self> {
        let derived = Cache::with_weighter(REMEMBERED_AT_FIRST, REMEMBERED, UnitWeighter);
        Some(Self {
            id,
            secret: Zeroizing::new(secret.try_into().ok()?),
            derived,
        })
    }

    /// What this key and a record's salt make, derived at most once while it is remembered.
    fn derived(&self, salt: &[u8], deployment: Uuid) -> Result<Arc<Derived>, EnvelopeFault> {
        let place = (
            salt.try_into().map_err(|_| EnvelopeFault::TooShort)?,
            deployment,
        );
        self.derived
            .get_or_insert_with(&place, || derive(self, salt, deployment).map(Arc::new))
    }

    /// HMAC-SHA-256 of `payload` under a key derived from this one: what a retried change is compared by.
    pub fn fingerprint(&self, payload: &[u8]) -> Vec<u8> {
        let derived = Zeroizing::new(hmac(&*self.secret, b"byokd request payload 1"));
        hmac(&derived, payload)
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DataKey({:?})", self.id)
    }
}

fn hmac(key: &[u8], payload: &[u8]) -> Vec<u8> {
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, key);
    aws_lc_rs::hmac::sign(&key, payload).as_ref().to_vec()
}

/// Everything that a record is bound to beside its data key.
#[derive(Clone, Debug)]
pub struct RecordContext<'a> {
    /// The deployment, made by the first migration.
    pub deployment: Uuid,
    /// Whose key it is.
    pub scope: &'a Scope,
    /// Which provider it is for.
    pub provider: &'a ProviderName,
    /// The key's identity.
    pub key_id: Uuid,
    /// The key's generation.
    pub generation: u64,
    /// Where it may be sent.
    pub binding: &'a Binding,
}

/// Why a record does not open. Says nothing of its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeFault {
    /// Shorter than header and tag.
    #[error("the sealed record is too short")]
    TooShort,
    /// Made by a newer byokd, or damaged.
    #[error("the sealed record has an unknown format version")]
    UnknownFormat,
    /// Another data key than the one the record names.
    #[error("the sealed record names another data key")]
    OtherDataKey,
    /// The data key does not fit, or the header was changed.
    #[error("the sealed record's key commitment does not match")]
    Commitment,
    /// The record was changed, or moved to another row, workspace, provider or host.
    #[error("the sealed record does not authenticate in its place")]
    NotAuthentic,
    /// The system's random source failed, or a bound of the cipher was exceeded.
    #[error("the cryptographic library refused to work")]
    Library,
}

/// Seals a key for one place.
pub fn seal(
    data_key: &DataKey,
    context: &RecordContext<'_>,
    key: &ApiKey,
) -> Result<Vec<u8>, EnvelopeFault> {
    let mut salt = [0; SALT_LEN];
    SystemRandom::new()
        .fill(&mut salt)
        .map_err(|_| EnvelopeFault::Library)?;
    let derived = derive(data_key, &salt, context.deployment)?;
    let mut sealed = Vec::with_capacity(
        HEADER_LEN
            .saturating_add(key.expose().len())
            .saturating_add(TAG_LEN),
    );
    sealed.push(FORMAT);
    sealed.extend(data_key.id.bucket.to_be_bytes());
    sealed.extend(data_key.id.version.to_be_bytes());
    sealed.extend(salt);
    sealed.extend(derived.commitment()?);
    let aad = associated_data(&sealed, context);
    let mut text = Zeroizing::new(key.expose().as_bytes().to_vec());
    let tag = derived
        .cipher()?
        .seal_in_place_separate_tag(derived.nonce()?, Aad::from(aad), &mut text)
        .map_err(|_| EnvelopeFault::Library)?;
    sealed.extend(text.iter());
    sealed.extend(tag.as_ref());
    Ok(sealed)
}

/// The data key that a record names.
pub fn data_key_of(sealed: &[u8]) -> Result<DataKeyId, EnvelopeFault> {
    if sealed.len() < HEADER_LEN.saturating_add(TAG_LEN) {
        return Err(EnvelopeFault::TooShort);
    }
    match sealed {
        [FORMAT, b0, b1, v0, v1, v2, v3, ..] => Ok(DataKeyId {
            bucket: u16::from_be_bytes([*b0, *b1]),
            version: u32::from_be_bytes([*v0, *v1, *v2, *v3]),
        }),
        _ => Err(EnvelopeFault::UnknownFormat),
    }
}

/// Opens a record in its place; anything but the very key that was sealed there is a fault.
pub fn open(
    data_key: &DataKey,
    context: &RecordContext<'_>,
    sealed: &[u8],
) -> Result<ApiKey, EnvelopeFault> {
    if data_key_of(sealed)? != data_key.id {
        return Err(EnvelopeFault::OtherDataKey);
    }
    let (header, text) = sealed
        .split_at_checked(HEADER_LEN)
        .ok_or(EnvelopeFault::TooShort)?;
    let (before, commitment) = header
        .split_at_checked(PREFIX_LEN.saturating_add(SALT_LEN))
        .ok_or(EnvelopeFault::TooShort)?;
    let (_, salt) = before
        .split_at_checked(PREFIX_LEN)
        .ok_or(EnvelopeFault::TooShort)?;
    let derived = data_key.derived(salt, context.deployment)?;
    verify_slices_are_equal(derived.commitment()?, commitment)
        .map_err(|_| EnvelopeFault::Commitment)?;
    let aad = associated_data(header, context);
    let mut text = Zeroizing::new(text.to_vec());
    let opened = derived
        .cipher()?
        .open_in_place(derived.nonce()?, Aad::from(aad), &mut text)
        .map_err(|_| EnvelopeFault::NotAuthentic)?;
    ApiKey::from_stored(opened).ok_or(EnvelopeFault::NotAuthentic)
}

/// Record key, nonce and commitment, in this order.
struct Derived(Zeroizing<[u8; KEY_LEN + NONCE_LEN + COMMITMENT_LEN]>);

impl Derived {
    fn cipher(&self) -> Result<LessSafeKey, EnvelopeFault> {
        let key = self.0.get(..KEY_LEN).ok_or(EnvelopeFault::Library)?;
        UnboundKey::new(&AES_256_GCM, key)
            .map(LessSafeKey::new)
            .map_err(|_| EnvelopeFault::Library)
    }

    fn nonce(&self) -> Result<Nonce, EnvelopeFault> {
        let nonce = self
            .0
            .get(KEY_LEN..KEY_LEN + NONCE_LEN)
            .ok_or(EnvelopeFault::Library)?;
        Nonce::try_assume_unique_for_key(nonce).map_err(|_| EnvelopeFault::Library)
    }

    fn commitment(&self) -> Result<&[u8], EnvelopeFault> {
        self.0
            .get(KEY_LEN + NONCE_LEN..)
            .ok_or(EnvelopeFault::Library)
    }
}

struct DerivedLen;

impl KeyType for DerivedLen {
    fn len(&self) -> usize {
        KEY_LEN + NONCE_LEN + COMMITMENT_LEN
    }
}

fn derive(data_key: &DataKey, salt: &[u8], deployment: Uuid) -> Result<Derived, EnvelopeFault> {
    let mut info = Vec::new();
    lp(&mut info, LABEL);
    lp(&mut info, deployment.as_bytes());
    let mut derived = Derived(Zeroizing::new([0; KEY_LEN + NONCE_LEN + COMMITMENT_LEN]));
    Salt::new(HKDF_SHA256, salt)
        .extract(&*data_key.secret)
        .expand(&[&info], DerivedLen)
        .and_then(|okm| okm.fill(&mut *derived.0))
        .map_err(|_| EnvelopeFault::Library)?;
    Ok(derived)
}

fn associated_data(header: &[u8], context: &RecordContext<'_>) -> Vec<u8> {
    let mut data = Vec::with_capacity(AAD_ROOM);
    data.extend(header);
    lp(&mut data, context.deployment.as_bytes());
    lp(&mut data, context.scope.kind().as_bytes());
    lp(&mut data, context.scope.workspace_id().as_bytes());
    lp(&mut data, context.provider.as_str().as_bytes());
    lp(&mut data, context.key_id.as_bytes());
    lp(&mut data, &context.generation.to_be_bytes());
    lp(&mut data, context.binding.base_url.as_bytes());
    lp(&mut data, &count(context.binding.headers.len()));
    for (name, value) in &context.binding.headers {
        lp(&mut data, name.as_bytes());
        lp(&mut data, value.as_bytes());
    }
    data
}

/// Length-prefixed, so that no two lists of fields have the same bytes.
fn lp(out: &mut Vec<u8>, field: &[u8]) {
    out.extend(count(field.len()));
    out.extend(field);
}

fn count(length: usize) -> [u8; 4] {
    // Every field is bounded far below 4 GiB by its type; the saturated value would only make a record unopenable.
    u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes()
}

#[cfg(test)]
mod tests;
