//! An issuer's public keys, as its JWK set (RFC 7517) lists them.
//!
//! Invariants: a key verifies one algorithm, the one that its type and curve allow and that the operator pinned; a
//! symmetric key is never taken; `kid` is compared and nothing else is done with it.
//!
//! Not here: where the set comes from, and how old it is (`issuer_keys`).

use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse},
};
use serde::Deserialize;
use serde_json::Value;

/// No issuer has more keys.
const MOST_KEYS: usize = 100;

/// The public keys of one issuer.
#[derive(Default)]
pub(super) struct KeySet {
    keys: Vec<PublicKey>,
}

struct PublicKey {
    kid: Option<String>,
    algorithm: Algorithm,
    key: DecodingKey,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

impl KeySet {
    /// Reads a JWK set. Keys of kinds that are not used here are passed over.
    ///
    /// # Errors
    /// Why it is not a JWK set, or has no key to use.
    pub(super) fn parse(text: &[u8], algorithms: &[Algorithm]) -> Result<Self, String> {
        let document: Document = serde_json::from_slice(text)
            .map_err(|_| "is not a JWK set: an object with a list `keys`".to_owned())?;
        if document.keys.len() > MOST_KEYS {
            return Err(format!("has more than {MOST_KEYS} keys"));
        }
        let keys: Vec<PublicKey> = document
            .keys
            .into_iter()
            .filter_map(|key| PublicKey::read(key, algorithms))
            .collect();
        if keys.is_empty() {
            return Err(format!("has no signing key for {algorithms:?}"));
        }
        Ok(Self { keys })
    }

    /// The key that a token names; for a token that names none, the only one of its algorithm.
    pub(super) fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Option<&DecodingKey> {
        let mut fitting = self.keys.iter().filter(|key| {
            key.algorithm == algorithm && (kid.is_none() || key.kid.as_deref() == kid)
        });
        match (fitting.next(), fitting.next()) {
            (Some(only), None) => Some(&only.key),
            _ => None,
        }
    }
}

impl PublicKey {
    fn read(key: Value, algorithms: &[Algorithm]) -> Option<Self> {
        let named = key.get("alg").and_then(Value::as_str).map(str::to_owned);
        let jwk: Jwk = serde_json::from_value(key).ok()?;
        let algorithm = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => Algorithm::RS256,
            AlgorithmParameters::EllipticCurve(ec) if ec.curve == EllipticCurve::P256 => {
                Algorithm::ES256
            }
            AlgorithmParameters::OctetKeyPair(okp) if okp.curve == EllipticCurve::Ed25519 => {
                Algorithm::EdDSA
            }
            _ => return None,
        };
        // RFC 9864 names the curve in the algorithm.
        let agrees = match named.as_deref() {
            None => true,
            Some("Ed25519") => algorithm == Algorithm::EdDSA,
            Some(name) => name == format!("{algorithm:?}"),
        };
        let signs = !matches!(&jwk.common.public_key_use, Some(purpose) if *purpose != PublicKeyUse::Signature);
        if !agrees || !signs || !algorithms.contains(&algorithm) {
            return None;
        }
        let key = DecodingKey::from_jwk(&jwk).ok()?;
        Some(Self {
            kid: jwk.common.key_id,
            algorithm,
            key,
        })
    }
}
