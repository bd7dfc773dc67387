//! The `[auth]` section: the embedded signer, issuers, and rules.
//!
//! Not here: what the rules mean (`domain::rule`).

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use url::Url;

use super::Config;
use crate::domain::rule::Rule;

/// Who may call.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuthConfig {
    /// Where tokens of the embedded signer are accepted.
    pub embedded: EmbeddedSigner,
    /// Who else issues tokens.
    pub issuers: Vec<IssuerConfig>,
    /// Which certificate or token may do what; the first that fits counts.
    pub rules: Vec<Rule>,
}

/// Where tokens of the embedded signer are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EmbeddedSigner {
    /// On a loopback address only.
    Loopback,
    /// Everywhere: a single private machine.
    Allow,
    /// Nowhere.
    Off,
}

/// One issuer of tokens.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerConfig {
    /// The `iss` of its tokens, to the letter.
    pub issuer: String,
    /// The `aud` that its tokens must name.
    pub audience: String,
    /// What it signs with.
    pub algorithms: Vec<TokenAlgorithm>,
    /// Where its JWK set is fetched.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub jwks_url: String,
    /// A file that holds its JWK set instead.
    #[serde(default, skip_serializing_if = "no_path")]
    pub jwks_file: PathBuf,
    /// The CA of `jwks_url`, in PEM; empty: those that the machine trusts.
    #[serde(default, skip_serializing_if = "no_path")]
    pub jwks_ca_file: PathBuf,
    /// A file with the bearer token that `jwks_url` asks for.
    #[serde(default, skip_serializing_if = "no_path")]
    pub jwks_token_file: PathBuf,
    /// The longest that a token may still be good for, in seconds.
    #[serde(default = "a_day")]
    pub longest_life_seconds: u32,
}

/// What a token may be signed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum TokenAlgorithm {
    /// Ed25519.
    EdDSA,
    /// ECDSA on P-256.
    ES256,
    /// RSA, PKCS #1 v1.5.
    RS256,
}

fn no_path(path: &Path) -> bool {
    path.as_os_str().is_empty()
}

fn a_day() -> u32 {
    24 * 60 * 60
}

impl Default for AuthConfig {
    fn default() -> Self {
        Self {
            embedded: EmbeddedSigner::Loopback,
            issuers: Vec::new(),
            rules: Vec::new(),
        }
    }
}

impl Config {
    /// Whether tokens of the embedded signer are accepted.
    pub fn embedded_signer(&self) -> bool {
        match self.auth.embedded {
            EmbeddedSigner::Loopback => self.server.listen.ip().is_loopback(),
            EmbeddedSigner::Allow => true,
            EmbeddedSigner::Off => false,
        }
    }

    /// What is wrong with `auth`, alone and beside the rest.
    pub(super) fn auth_faults(&self) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        if !self.embedded_signer() && self.auth.rules.is_empty() {
            let fault = "grants no rights: tokens of the embedded signer are accepted on a loopback address only \
                         (or with auth.embedded = \"allow\", on a single private machine), and there are no auth.rules";
            faults.push(("auth.rules", fault.to_owned()));
        }
        let mut names = BTreeSet::new();
        for issuer in &self.auth.issuers {
            let name = &issuer.issuer;
            if !names.insert(name) {
                faults.push(("auth.issuers", format!("name {name} twice")));
            }
            faults.extend(
                issuer
                    .faults()
                    .into_iter()
                    .map(|fault| ("auth.issuers", format!("{name}: {fault}"))),
            );
        }
        for rule in &self.auth.rules {
            let text = rule.text();
            if !text.issuer.is_empty() && !names.contains(&text.issuer) {
                let fault = format!(
                    "a rule is for {}, which is not one of auth.issuers",
                    text.issuer
                );
                faults.push(("auth.rules", fault));
            }
            if !text.certificate.is_empty() && self.tls.client_ca_file.as_os_str().is_empty() {
                let fault = format!(
                    "a rule is for the certificate {}, but tls.client_ca_file is not set",
                    text.certificate
                );
                faults.push(("auth.rules", fault));
            }
        }
        faults
    }
}

impl IssuerConfig {
    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut unless = |holds: bool, fault: &str| {
            if !holds {
                faults.push(fault.to_owned());
            }
        };
        let printable = |text: &str| {
            !text.is_empty() && text.len() <= 256 && !text.chars().any(char::is_control)
        };
        unless(
            printable(&self.issuer),
            "`issuer` must be 1 to 256 printable characters",
        );
        unless(
            self.issuer != "byokd",
            "`issuer` is the embedded signer's own name",
        );
        unless(
            printable(&self.audience),
            "`audience` must be 1 to 256 printable characters",
        );
        unless(
            !self.algorithms.is_empty(),
            "`algorithms` is empty; name EdDSA, ES256 or RS256",
        );
        unless(
            self.jwks_url.is_empty() != no_path(&self.jwks_file),
            "set one of `jwks_url` and `jwks_file`",
        );
        let url = Url::parse(&self.jwks_url);
        unless(
            self.jwks_url.is_empty() || url.is_ok(),
            "`jwks_url` is not a URL",
        );
        unless(
            !self.jwks_url.is_empty()
                || (no_path(&self.jwks_ca_file) && no_path(&self.jwks_token_file)),
            "`jwks_ca_file` and `jwks_token_file` go with `jwks_url`",
        );
        unless(
            self.longest_life_seconds > 0,
            "`longest_life_seconds` must be at least 1",
        );
        faults
    }
}
