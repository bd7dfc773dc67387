//! Tokens of an issuer outside byokd.
//!
//! Invariants: the issuer, the audience, the algorithms and the longest life are the operator's, never the token's
//! (RFC 8725, sections 3.1 and 3.8 to 3.10). `exp` must be a number; `nbf` and `iat` must be numbers where they are. A
//! token that names a claim twice, or demands an extension (`crit`), is refused. The server log has the fault.
//!
//! Not here: what the claims grant (`domain::rule`).

use jsonwebtoken::{Algorithm, Header, Validation};
use serde_json::Value;
use time::OffsetDateTime;

use super::{
    LEEWAY_SECONDS,
    claims::Claims,
    issuer_keys::{IssuerKeys, JwksSource},
};
use crate::domain::clock::Clock;

/// What an operator says of an issuer.
#[derive(Clone, Debug)]
pub struct IssuerSettings {
    /// The `iss` of its tokens, to the letter.
    pub issuer: String,
    /// The `aud` that its tokens must name.
    pub audience: String,
    /// What it signs with: EdDSA, ES256, RS256.
    pub algorithms: Vec<SigningAlgorithm>,
    /// The longest that a token may still be good for, in seconds.
    pub longest_life_seconds: i64,
    /// Where its keys are.
    pub keys: JwksSource,
}

/// What a token may be signed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SigningAlgorithm {
    /// Ed25519 (RFC 8037).
    EdDsa,
    /// ECDSA on P-256 (RFC 7518, section 3.4).
    Es256,
    /// RSASSA-PKCS1-v1_5 (RFC 7518, section 3.3).
    Rs256,
}

impl SigningAlgorithm {
    fn of_library(self) -> Algorithm {
        match self {
            Self::EdDsa => Algorithm::EdDSA,
            Self::Es256 => Algorithm::ES256,
            Self::Rs256 => Algorithm::RS256,
        }
    }
}

/// One issuer.
pub(super) struct Issuer {
    name: String,
    audience: String,
    algorithms: Vec<Algorithm>,
    longest_life_seconds: i64,
    keys: IssuerKeys,
}

/// A token that is genuine.
pub(super) struct Genuine {
    pub(super) subject: String,
    pub(super) claims: Value,
    /// Until when, leeway included: seconds since 1970.
    pub(super) until: i64,
    /// The key set that says so.
    pub(super) generation: u64,
}

impl Issuer {
    pub(super) fn new(settings: IssuerSettings, clock: &Clock) -> Self {
        let algorithms: Vec<Algorithm> = settings
            .algorithms
            .iter()
            .map(|one| one.of_library())
            .collect();
        Self {
            keys: IssuerKeys::new(
                settings.issuer.clone(),
                settings.keys,
                algorithms.clone(),
                clock.clone(),
            ),
            name: settings.issuer,
            audience: settings.audience,
            algorithms,
            longest_life_seconds: settings.longest_life_seconds,
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn keys(&self) -> &IssuerKeys {
        &self.keys
    }

    /// Whether what a key set of this generation verified still stands.
    pub(super) fn stands(&self, generation: u64) -> bool {
        self.keys
            .current()
            .is_some_and(|(_, current)| current == generation)
    }

    /// Verifies a token; the error is for the operator.
    pub(super) async fn verify(
        &self,
        token: &str,
        header: &Header,
        now: OffsetDateTime,
    ) -> Result<Genuine, String> {
        if !self.algorithms.contains(&header.alg) {
            return Err(format!(
                "the token is signed with {:?}, which is not pinned for its issuer",
                header.alg
            ));
        }
        if header.crit.is_some() {
            return Err("the token demands an extension (`crit`)".to_owned());
        }
        let kid = header.kid.as_deref();
        let found = self
            .keys
            .current()
            .filter(|(set, _)| set.find(kid, header.alg).is_some());
        let (set, generation) = match found {
            Some(found) => found,
            None => {
                self.keys.ask().await;
                self.keys
                    .current()
                    .ok_or("no keys of the token's issuer are at hand")?
            }
        };
        let key = set
            .find(kid, header.alg)
            .ok_or("the token's issuer has no such key")?;
        let mut validation = Validation::new(header.alg);
        validation.set_audience(&[&self.audience]);
        validation.set_issuer(&[&self.name]);
        validation.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
        // Times are checked against the clock that is passed in.
        validation.validate_exp = false;
        let Claims(claims) = jsonwebtoken::decode(token, key, &validation)
            .map_err(|error| format!("the token: {error}"))?
            .claims;
        let until = self.times(&claims, now.unix_timestamp())?;
        let subject = claims
            .get("sub")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if subject.is_empty() || subject.len() > 256 || subject.chars().any(char::is_control) {
            return Err("`sub` is empty, longer than 256 bytes or not printable".to_owned());
        }
        // Two issuers may know the same name.
        let subject = format!("{}|{subject}", self.name);
        Ok(Genuine {
            subject,
            claims,
            until,
            generation,
        })
    }

    fn times(&self, claims: &Value, now: i64) -> Result<i64, String> {
        let expires = seconds(claims, "exp")?.ok_or("`exp` is absent")?;
        let until = expires.saturating_add(LEEWAY_SECONDS);
        if now > until {
            return Err("the token has expired".to_owned());
        }
        if expires.saturating_sub(now) > self.longest_life_seconds {
            return Err(format!(
                "the token is good for longer than {} s",
                self.longest_life_seconds
            ));
        }
        for name in ["nbf", "iat"] {
            if seconds(claims, name)?.is_some_and(|from| from > now.saturating_add(LEEWAY_SECONDS))
            {
                return Err(format!("`{name}` lies in the future"));
            }
        }
        Ok(until)
    }
}

/// A time in whole seconds since 1970 (RFC 7519's NumericDate), rounded towards an earlier one.
fn seconds(claims: &Value, name: &str) -> Result<Option<i64>, String> {
    match claims.get(name) {
        None => Ok(None),
        Some(Value::Number(number)) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Ok(Some(whole)),
            #[expect(
                clippy::as_conversions,
                reason = "saturates, and the bounds are checked"
            )]
            (None, Some(broken)) if (0.0..=1e12).contains(&broken) => Ok(Some(broken as i64)),
            _ => Err(format!("`{name}` is out of range")),
        },
        Some(_) => Err(format!("`{name}` is not a number")),
    }
}
