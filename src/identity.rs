//! Authentication: from a certificate and a bearer token to a caller. Also mints tokens.
//!
//! A certificate's name is looked up in the operator's rules; so are the claims of an outside issuer's token. The
//! embedded signer's own tokens say what they grant. With both, the caller has what both grant: the certificate is the
//! service, the token the workspace or the user.
//!
//! Invariants: the algorithm, the audience and the issuer are fixed by the operator, never read from the token; the
//! first rule that fits counts, and who fits none is refused; both proofs must hold, one does not make up for the
//! other. The server log has the fault; the caller gets one text for all faults.
//!
//! Not here: revocation of a single token. Tokens and certificates are to be short-lived.

mod certificate;
mod claims;
mod issuer;
mod issuer_keys;
mod key_set;
mod mint;
mod refusals;
mod signer;
mod verified;

use std::sync::Arc;

pub use certificate::Certificate;
pub use issuer::{IssuerSettings, SigningAlgorithm};
pub use issuer_keys::JwksSource;
pub use mint::{MintRequest, mint};
pub use refusals::may_log_refusal;
pub use signer::Signer;

use issuer::Issuer;
use serde_json::Value;
use tokio::task::JoinSet;
use verified::{Verified, VerifiedCallers};

use crate::domain::{
    caller::{Caller, Rights},
    clock::Clock,
    error::{Error, Reason},
    rule::Rule,
};

const ISSUER: &str = "byokd";
const AUDIENCE: &str = "byokd";
/// How far clocks may differ.
const LEEWAY_SECONDS: i64 = 30;
/// No token is longer; a longer one is refused before it is looked at.
const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// Authenticates callers.
pub struct Identity {
    embedded: Option<Signer>,
    issuers: Vec<Issuer>,
    rules: Vec<Rule>,
    verified: VerifiedCallers,
    clock: Clock,
}

/// One proof, and what it grants.
#[derive(Debug)]
pub struct Granted {
    /// The caller's name.
    pub subject: String,
    /// What it may do.
    pub rights: Rights,
    /// The rule that says so, by its place; `None`: the token itself.
    pub rule: Option<usize>,
    /// Until when, leeway included: seconds since 1970.
    pub until: i64,
    keys: Option<(usize, u64)>,
}

impl Identity {
    /// Knows callers by these.
    pub fn new(
        embedded: Option<Signer>,
        issuers: Vec<IssuerSettings>,
        rules: Vec<Rule>,
        clock: Clock,
    ) -> Self {
        let issuers = issuers
            .into_iter()
            .map(|settings| Issuer::new(settings, &clock))
            .collect();
        Self {
            embedded,
            issuers,
            rules,
            verified: VerifiedCallers::new(),
            clock,
        }
    }

    /// The caller behind an `authorization` header and a client's certificate.
    ///
    /// # Errors
    /// `CREDENTIALS_MISSING`: neither is there. `CREDENTIALS_INVALID`: one of them is not good.
    pub async fn authenticate(
        &self,
        authorization: Option<&str>,
        certificate: Option<&Certificate>,
    ) -> Result<Arc<Caller>, Error> {
        let token = authorization.map(bearer).transpose().map_err(refused)?;
        if token.is_none() && certificate.is_none() {
            return Err(Error::new(
                Reason::CredentialsMissing,
                "no credentials; send `authorization: Bearer <token>` (byokd token mints one) or a client certificate",
            ));
        }
        let (proof, now) = (
            self.verified.proof(token, certificate),
            self.clock.now().unix_timestamp(),
        );
        if let Some(found) = self.verified.find(&proof, now)
            && found
                .keys
                .is_none_or(|(issuer, generation)| self.stands(issuer, generation))
        {
            return Ok(found.caller);
        }
        // In a box, so that the many calls of who is known do not carry the room for it.
        let verified = Box::pin(self.verify(token, certificate))
            .await
            .map_err(refused)?;
        self.verified.keep(proof, verified.clone());
        Ok(verified.caller)
    }

    async fn verify(
        &self,
        token: Option<&str>,
        certificate: Option<&Certificate>,
    ) -> Result<Verified, String> {
        let service = certificate
            .map(|certificate| self.certificate_grants(certificate))
            .transpose()?;
        let user = match token {
            Some(token) => Some(self.token_grants(token).await?),
            None => None,
        };
        let granted = match (service, user) {
            (Some(service), Some(user)) => Granted {
                subject: format!("{} for {}", service.subject, user.subject),
                rights: service.rights.and(&user.rights),
                until: service.until.min(user.until),
                ..user
            },
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => return Err("neither a token nor a certificate".to_owned()),
        };
        let caller = Arc::new(Caller {
            subject: granted.subject,
            rights: granted.rights,
        });
        Ok(Verified {
            caller,
            until: granted.until,
            keys: granted.keys,
        })
    }

    /// What a certificate grants; the error is for the operator.
    ///
    /// # Errors
    /// It has expired, names no one, or no rule is for it.
    pub fn certificate_grants(&self, certificate: &Certificate) -> Result<Granted, String> {
        let name = certificate.name()?;
        let until = certificate.not_after().unix_timestamp();
        if self.clock.now().unix_timestamp() > until {
            return Err("the certificate has expired".to_owned());
        }
        let (place, rule) = self
            .rules
            .iter()
            .enumerate()
            .find(|(_, rule)| rule.fits_certificate(name))
            .ok_or_else(|| format!("no rule is for a certificate of {name}"))?;
        let rights = rule.rights(&Value::Null)?;
        Ok(Granted {
            subject: name.to_owned(),
            rights,
            rule: Some(place),
            until,
            keys: None,
        })
    }

    /// What a token grants; the error is for the operator.
    ///
    /// # Errors
    /// It is not genuine, has expired, or no rule is for it.
    pub async fn token_grants(&self, token: &str) -> Result<Granted, String> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err("the token is longer than 8 KiB".to_owned());
        }
        let header = jsonwebtoken::decode_header(token)
            .map_err(|error| format!("the token's header: {error}"))?;
        // Whose keys to try; that it is theirs is known once the signature holds.
        let named: Value = jsonwebtoken::dangerous::insecure_decode_claims(token)
            .map_err(|error| format!("the token's claims: {error}"))?;
        let issuer = named.get("iss").and_then(Value::as_str).unwrap_or_default();
        let now = self.clock.now();
        if let Some(signer) = self.embedded.as_ref().filter(|_| issuer == ISSUER) {
            return signer.grants(token, now.unix_timestamp());
        }
        let (place, issuer) = self
            .issuers
            .iter()
            .enumerate()
            .find(|(_, known)| known.name() == issuer)
            .ok_or("the token's issuer is not one of this byokd's")?;
        let genuine = issuer.verify(token, &header, now).await?;
        let (rule_place, rule) = self
            .rules
            .iter()
            .enumerate()
            .find(|(_, rule)| rule.fits_token(issuer.name(), &genuine.claims))
            .ok_or_else(|| format!("no rule is for this token of {}", genuine.subject))?;
        Ok(Granted {
            rights: rule.rights(&genuine.claims)?,
            subject: genuine.subject,
            rule: Some(rule_place),
            until: genuine.until,
            keys: Some((place, genuine.generation)),
        })
    }

    /// Keeps the issuers' keys. Ends if one of them is not kept any more, which does not happen.
    pub async fn follow(self: Arc<Self>) {
        let mut followers = JoinSet::new();
        for place in 0..self.issuers.len() {
            let identity = Arc::clone(&self);
            followers.spawn(async move {
                if let Some(issuer) = identity.issuers.get(place) {
                    issuer.keys().follow().await;
                }
            });
        }
        if followers.join_next().await.is_none() {
            // There are no issuers.
            std::future::pending::<()>().await;
        }
    }

    fn stands(&self, issuer: usize, generation: u64) -> bool {
        self.issuers
            .get(issuer)
            .is_some_and(|issuer| issuer.stands(generation))
    }
}

fn bearer(authorization: &str) -> Result<&str, String> {
    let (scheme, token) = authorization
        .split_once(' ')
        .ok_or("not of the form `Bearer <token>`")?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err("the scheme is not Bearer".to_owned());
    }
    Ok(token.trim())
}

/// One text for every fault, so that an attacker learns nothing from it.
fn refused(why: String) -> Error {
    Error::new(
        Reason::CredentialsInvalid,
        "the certificate or token is not valid here; byokd's log says why under the trace id",
    )
    .caused_by(why)
}
