//! The chain: what makes one line rest on the line before it.
//!
//! Invariants: the MAC covers the MAC of the line before and every byte of the line but its own MAC; digits are lower
//! case, so that a line has one spelling. The key can not be printed.
//!
//! Not here: what a line says (`event`), and where it goes (`sink`).

use std::{fmt, path::Path};

use aws_lc_rs::{hmac, rand};
use serde::Serialize;
use time::OffsetDateTime;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::event::Event;
use crate::{
    domain::{
        audit::Mac,
        error::{Error, Reason},
    },
    private_file,
};

const KEY_LEN: usize = 32;
/// What stands between a line and its MAC.
const MAC_FIELD: &[u8] = b",\"mac\":\"";
/// The line before the first one of a chain.
pub(super) const NO_MAC: Mac = [0; 32];

/// The key of every chain of a deployment.
pub struct ChainKey(hmac::Key);

impl fmt::Debug for ChainKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChainKey([redacted])")
    }
}

impl ChainKey {
    /// Reads a key file: 64 hexadecimal digits that only their owner may read.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let refused = |why: String| {
            Error::new(
                Reason::AuditUnavailable,
                format!("the audit key file {} {why}", path.display()),
            )
        };
        let content = private_file::read(path).map_err(refused)?;
        let key: Option<Zeroizing<Vec<u8>>> = unhex(content.trim_ascii()).map(Zeroizing::new);
        match key.filter(|key| key.len() == KEY_LEN) {
            Some(key) => Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &key))),
            None => Err(refused(
                "is not 64 hexadecimal digits in lower case; make one with `openssl rand -hex 32`"
                    .to_owned(),
            )),
        }
    }

    /// Makes a key file. Refuses where a file is.
    pub fn create(path: &Path) -> Result<(), Error> {
        let failed = |why: String| {
            let why = format!("cannot make the audit key file {}: {why}", path.display());
            Error::new(Reason::AuditUnavailable, why)
        };
        let mut key = Zeroizing::new([0; KEY_LEN]);
        rand::fill(&mut *key).map_err(|_| failed("there is no randomness".to_owned()))?;
        let mut text = Zeroizing::new(Vec::with_capacity(
            KEY_LEN.saturating_mul(2).saturating_add(1),
        ));
        push_hex(&mut text, &*key);
        text.push(b'\n');
        private_file::create(path, &text).map_err(|error| failed(error.to_string()))
    }

    /// The MAC of a line that stands after another one. `line` is without its last brace.
    pub(super) fn mac(&self, previous: &Mac, line: &[u8]) -> Mac {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(previous);
        context.update(line);
        context.update(b"}");
        let mut mac = NO_MAC;
        for (to, from) in mac.iter_mut().zip(context.sign().as_ref()) {
            *to = *from;
        }
        mac
    }
}

/// How far a chain has come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// How many lines it has.
    pub(super) count: u64,
    /// The MAC of the last of them.
    pub(super) head: Mac,
}

/// A chain that is being written.
pub(super) struct Chain {
    key: ChainKey,
    pub(super) id: Uuid,
    pub(super) place: Place,
}

#[derive(Serialize)]
struct Line<'a> {
    chain: Uuid,
    seq: u64,
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
    #[serde(flatten)]
    event: &'a Event,
}

impl Chain {
    /// A chain without a line.
    pub(super) fn new(key: ChainKey) -> Self {
        Self {
            key,
            id: Uuid::now_v7(),
            place: Place {
                count: 0,
                head: NO_MAC,
            },
        }
    }

    /// Adds a line to the chain and its bytes to `to`. A line that cannot be written leaves both as they were.
    pub(super) fn append(
        &mut self,
        to: &mut Vec<u8>,
        at: OffsetDateTime,
        event: &Event,
    ) -> Result<(), serde_json::Error> {
        let (start, seq) = (to.len(), self.place.count.saturating_add(1));
        if let Err(error) = serde_json::to_writer(
            &mut *to,
            &Line {
                chain: self.id,
                seq,
                at,
                event,
            },
        ) {
            to.truncate(start);
            return Err(error);
        }
        to.pop();
        let head = self
            .key
            .mac(&self.place.head, to.get(start..).unwrap_or_default());
        to.extend_from_slice(MAC_FIELD);
        push_hex(to, &head);
        to.extend_from_slice(b"\"}\n");
        self.place = Place { count: seq, head };
        Ok(())
    }
}

/// A line without its last brace, and its MAC; `None`: it is not a line of a stream.
pub(super) fn split(line: &[u8]) -> Option<(&[u8], Mac)> {
    let rest = line.strip_suffix(b"\"}")?;
    let (rest, digits) = rest.split_at_checked(rest.len().checked_sub(64)?)?;
    let mac = Mac::try_from(unhex(digits)?).ok()?;
    Some((rest.strip_suffix(MAC_FIELD)?, mac))
}

/// Bytes as hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    let mut digits = Vec::with_capacity(bytes.len().saturating_mul(2));
    push_hex(&mut digits, bytes);
    String::from_utf8(digits).unwrap_or_default()
}

fn push_hex(to: &mut Vec<u8>, bytes: &[u8]) {
    let digit = |value: u8| {
        if value < 10 {
            b'0'.saturating_add(value)
        } else {
            b'W'.saturating_add(value)
        }
    };
    to.extend(
        bytes
            .iter()
            .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]),
    );
}

/// Hexadecimal digits as bytes. One spelling only: no upper case.
pub(super) fn unhex(digits: &[u8]) -> Option<Vec<u8>> {
    let value = |digit: &u8| match digit {
        b'0'..=b'9' => Some(digit.saturating_sub(b'0')),
        b'a'..=b'f' => Some(digit.saturating_sub(b'W')),
        _ => None,
    };
    let pairs = digits.chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return None;
    }
    pairs
        .map(|pair| {
            pair.iter()
                .try_fold(0, |byte, digit| Some((byte << 4) | value(digit)?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_have_one_spelling() {
        assert_eq!(hex(&[0x00, 0x9a, 0xff]), "009aff");
        assert_eq!(unhex(b"009aff"), Some(vec![0x00, 0x9a, 0xff]));
        assert_eq!(
            (unhex(b"9A"), unhex(b"9"), unhex(b"gg")),
            (None, None, None)
        );
    }

    #[test]
    fn a_key_file_is_private_and_64_digits() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.key");
        ChainKey::create(&path).unwrap();
        assert!(ChainKey::create(&path).is_err(), "it is never replaced");
        let key = ChainKey::open(&path).unwrap();
        assert_eq!(format!("{key:?}"), "ChainKey([redacted])");
        for bad in ["", "00", &"0".repeat(63), &"0".repeat(66), &"G".repeat(64)] {
            std::fs::write(&path, bad).unwrap();
            assert!(ChainKey::open(&path).is_err(), "{bad}");
        }
    }
}
