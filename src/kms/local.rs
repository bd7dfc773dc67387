//! A KMS of one file, for one machine: the KMS key lies beside the database it protects.
//!
//! The file is TOML, readable by its owner only: `id`, a UUID, and `key`, 64 hexadecimal digits. The KMS key's ARN is
//! `local:<id>`. A wrapped data key is nonce (12 bytes), ciphertext and tag of AES-256-GCM, whose associated data are
//! the encryption context, each name and value preceded by its length.
//!
//! Invariants: a key file is made only on request, and only where none is; it is on disk before anything is wrapped
//! under it. A file that others may read is refused.
//!
//! Not here: protection from a reader of the whole machine. Use a cloud KMS for that.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey},
    rand::{SecureRandom as _, SystemRandom},
};
use serde::Deserialize;
use uuid::Uuid;
use zeroize::{Zeroize as _, Zeroizing};

use super::{EncryptionContext, KmsError, KmsFault, Wrapped};
use crate::{
    domain::error::{Error, Reason},
    private_file,
};

const KEY_LEN: usize = 32;
const NONCE_LEN: usize = 12;

/// The key file that wraps, and those that did.
pub struct LocalKms {
    current: LocalKey,
    previous: KeyFiles,
}

/// Key files that unwrap and wrap no more.
pub struct KeyFiles(Vec<LocalKey>);

struct LocalKey {
    arn: String,
    secret: Zeroizing<Vec<u8>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    id: Uuid,
    key: String,
}

impl std::fmt::Debug for LocalKms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LocalKms({})", self.current.arn)
    }
}

impl std::fmt::Debug for KeyFiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|key| &key.arn))
            .finish()
    }
}

impl KeyFiles {
    /// Reads them.
    pub fn open(paths: &[PathBuf]) -> Result<Self, Error> {
        paths
            .iter()
            .map(|path| LocalKey::read(path))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    pub(super) fn have(&self, arn: &str) -> bool {
        self.find(arn).is_some()
    }

    pub(super) fn unwrap(
        &self,
        wrapped: &Wrapped,
        context: EncryptionContext,
    ) -> Result<Zeroizing<Vec<u8>>, KmsError> {
        self.find(&wrapped.kms_key_arn)
            .ok_or_else(|| stranger(wrapped))?
            .unwrap(wrapped, context)
    }

    fn find(&self, arn: &str) -> Option<&LocalKey> {
        self.0.iter().find(|key| key.arn == arn)
    }
}

impl LocalKms {
    /// Reads the key file, and those of earlier KMS keys.
    pub fn open(current: &Path, previous: &[PathBuf]) -> Result<Self, Error> {
        Ok(Self {
            current: LocalKey::read(current)?,
            previous: KeyFiles::open(previous)?,
        })
    }

    /// Makes a key file. Refuses where a file is.
    pub fn create(path: &Path) -> Result<(), Error> {
        let mut secret = Zeroizing::new([0; KEY_LEN]);
        SystemRandom::new()
            .fill(&mut *secret)
            .map_err(|_| Error::internal("the random source failed"))?;
        // Room for all of it at once: a text that grows leaves copies behind.
        let mut text = Zeroizing::new(String::with_capacity(512));
        let written = write!(
            text,
            "# byokd's local KMS key. This file and the database together reveal every key. Without it, no key opens.\n\
             id = \"{}\"\nkey = \"",
            Uuid::new_v4()
        );
        let written = secret.iter().fold(written, |so_far, byte| {
            so_far.and_then(|()| write!(text, "{byte:02x}"))
        });
        written.map_err(Error::internal)?;
        text.push_str("\"\n");
        private_file::create(path, text.as_bytes()).map_err(|error| {
            Error::new(
                Reason::KmsUnavailable,
                format!("cannot make the KMS key file {}: {error}", path.display()),
            )
        })
    }

    pub(super) fn arn(&self) -> &str {
        &self.current.arn
    }

    pub(super) fn allows(&self, arn: &str) -> bool {
        self.current.arn == arn || self.previous.have(arn)
    }

    pub(super) fn generate(
        &self,
        context: EncryptionContext,
    ) -> Result<(Zeroizing<Vec<u8>>, Wrapped), KmsError> {
        let mut data_key = Zeroizing::new(vec![0; KEY_LEN]);
        SystemRandom::new().fill(&mut data_key).map_err(refused)?;
        let wrapped = self.current.wrap(&data_key, context)?;
        Ok((data_key, wrapped))
    }

    pub(super) fn unwrap(
        &self,
        wrapped: &Wrapped,
        context: EncryptionContext,
    ) -> Result<Zeroizing<Vec<u8>>, KmsError> {
        if self.current.arn == wrapped.kms_key_arn {
            self.current.unwrap(wrapped, context)
        } else {
            self.previous.unwrap(wrapped, context)
        }
    }

    pub(super) fn rewrap(
        &self,
        wrapped: &Wrapped,
        context: EncryptionContext,
    ) -> Result<Wrapped, KmsError> {
        self.current.wrap(&self.unwrap(wrapped, context)?, context)
    }
}

impl LocalKey {
    fn read(path: &Path) -> Result<Self, Error> {
        let refused = |why: String| {
            Error::new(
                Reason::KmsUnavailable,
                format!("the KMS key file {} {why}", path.display()),
            )
        };
        let content = private_file::read(path).map_err(refused)?;
        // toml's error would quote the line, and with it the key.
        let parsed: Option<KeyFile> = std::str::from_utf8(&content)
            .ok()
            .and_then(|text| toml::from_str(text).ok());
        let malformed = || {
            refused(
                "is not one that byokd wrote: it needs `id` and a `key` of 64 hex digits"
                    .to_owned(),
            )
        };
        let mut parsed = parsed.ok_or_else(malformed)?;
        let secret = unhex(&parsed.key).filter(|secret| secret.len() == KEY_LEN);
        parsed.key.zeroize();
        Ok(Self {
            arn: format!("local:{}", parsed.id),
            secret: secret.ok_or_else(malformed)?,
        })
    }

    fn wrap(&self, data_key: &[u8], context: EncryptionContext) -> Result<Wrapped, KmsError> {
        let mut text = Zeroizing::new(data_key.to_vec());
        let key = RandomizedNonceKey::new(&AES_256_GCM, &self.secret).map_err(refused)?;
        let (nonce, tag) = key
            .seal_in_place_separate_tag(Aad::from(associated_data(context)), &mut text)
            .map_err(refused)?;
        let mut blob = nonce.as_ref().to_vec();
        blob.extend(text.iter());
        blob.extend(tag.as_ref());
        Ok(Wrapped {
            blob,
            kms_key_arn: self.arn.clone(),
        })
    }

    fn unwrap(
        &self,
        wrapped: &Wrapped,
        context: EncryptionContext,
    ) -> Result<Zeroizing<Vec<u8>>, KmsError> {
        let (nonce, text) = wrapped
            .blob
            .split_at_checked(NONCE_LEN)
            .ok_or_else(|| KmsError::corrupt("a wrapped data key is too short"))?;
        let nonce = Nonce::try_assume_unique_for_key(nonce)
            .map_err(|_| KmsError::corrupt("a nonce of the wrong length"))?;
        let mut text = Zeroizing::new(text.to_vec());
        let opened = RandomizedNonceKey::new(&AES_256_GCM, &self.secret)
            .and_then(|key| {
                key.open_in_place(nonce, Aad::from(associated_data(context)), &mut text)
            })
            .map_err(|_| {
                KmsError::corrupt("a wrapped data key does not authenticate in its place")
            })?;
        Ok(Zeroizing::new(opened.to_vec()))
    }
}

fn refused(_: aws_lc_rs::error::Unspecified) -> KmsError {
    KmsError::new(
        KmsFault::Outage,
        "the cryptographic library refused to wrap a data key",
    )
}

fn stranger(wrapped: &Wrapped) -> KmsError {
    KmsError::corrupt(format!(
        "a data key is under the KMS key {}, which has no key file here",
        wrapped.kms_key_arn
    ))
}

fn associated_data(context: EncryptionContext) -> Vec<u8> {
    let mut data = Vec::new();
    for (name, value) in context.pairs() {
        for part in [name, &value] {
            data.extend(u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
            data.extend(part.as_bytes());
        }
    }
    data
}

fn unhex(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    // Room for all of them at once: a list that grows leaves copies behind.
    let mut digits = Zeroizing::new(Vec::with_capacity(text.len()));
    for digit in text.chars() {
        digits.push(u8::try_from(digit.to_digit(16)?).ok()?);
    }
    let pairs = digits.chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return None;
    }
    Some(Zeroizing::new(
        pairs
            .map(|pair| pair.iter().fold(0, |byte, digit| (byte << 4) | digit))
            .collect(),
    ))
}

#[cfg(test)]
mod tests;
