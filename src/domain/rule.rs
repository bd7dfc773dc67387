//! Rules: which certificate or token may do what. The operator's configuration, typed.
//!
//! Invariants: a rule that says too little, too much or something unknown does not parse. A rule either states the
//! workspaces (`*` or a list) or names the claim that holds them; a claim that a rule reads and that is absent, empty
//! or of another form grants nothing. `*` is stated by the operator only: a claim never means every workspace.
//!
//! Not here: whether a certificate or a token is genuine (`identity`), and which of several rules counts: the first that
//! fits.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    caller::{Rights, Role, Rpc, RpcSet, WorkspaceScope},
    names::{PurposeName, WorkspaceId},
};

const EVERY_WORKSPACE: &str = "*";

/// A rule as it is written in the configuration.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct RuleText {
    /// The name in a certificate: a SPIFFE id, one that ends in `/*` for all below it, or a DNS name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub certificate: String,
    /// The issuer of a token.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub issuer: String,
    /// The claims that the token must have: name to text.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub claims: BTreeMap<String, String>,
    /// What may be called.
    pub roles: Vec<Role>,
    /// The claim that names the roles instead.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub roles_claim: String,
    /// If not empty, only these of what the roles may call.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rpcs: Vec<Rpc>,
    /// What may be called for; empty: `reply`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub purposes: Vec<String>,
    /// The claim that names the purposes instead.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub purposes_claim: String,
    /// Whom it may be called for: `*` alone, or ids.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub workspaces: Vec<String>,
    /// The claim that names the workspaces instead.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub workspaces_claim: String,
}

/// A rule that holds together.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(try_from = "RuleText", into = "RuleText")]
pub struct Rule {
    text: RuleText,
    who: Who,
    roles: Source<RpcSet>,
    purposes: Source<BTreeSet<PurposeName>>,
    workspaces: Source<WorkspaceScope>,
}

#[derive(Clone, Debug)]
enum Who {
    /// Exactly this name.
    Named(String),
    /// Every SPIFFE id that begins so; ends in `/`.
    Below(String),
    /// A token.
    Token,
}

/// What a rule states, or the claim that it reads it from.
#[derive(Clone, Debug)]
enum Source<T> {
    Stated(T),
    Claim(String),
}

impl From<Rule> for RuleText {
    fn from(rule: Rule) -> Self {
        rule.text
    }
}

impl TryFrom<RuleText> for Rule {
    type Error = String;

    fn try_from(text: RuleText) -> Result<Self, String> {
        let who = who(&text)?;
        let roles = match (text.roles.as_slice(), text.roles_claim.as_str()) {
            ([], "") => return Err("the rule grants no role; name some in `roles`".to_owned()),
            (roles, "") => Source::Stated(RpcSet::of_roles(roles)),
            ([], claim) => Source::Claim(claim.to_owned()),
            _ => return Err(both("roles")),
        };
        let purposes = match (text.purposes.as_slice(), text.purposes_claim.as_str()) {
            (names, "") => Source::Stated(purposes(names)?),
            ([], claim) => Source::Claim(claim.to_owned()),
            _ => return Err(both("purposes")),
        };
        let workspaces = match (text.workspaces.as_slice(), text.workspaces_claim.as_str()) {
            ([], "") => {
                return Err("the rule names no workspaces; say `*`, ids, or the claim".to_owned());
            }
            ([every], "") if every == EVERY_WORKSPACE => Source::Stated(WorkspaceScope::All),
            (ids, "") => Source::Stated(scope(ids)?),
            ([], claim) => Source::Claim(claim.to_owned()),
            _ => return Err(both("workspaces")),
        };
        let rule = Self {
            who,
            roles,
            purposes,
            workspaces,
            text,
        };
        if rule.is_for_certificates() && rule.reads_claims() {
            return Err(
                "a rule for a certificate cannot read claims; state roles, purposes and workspaces"
                    .to_owned(),
            );
        }
        Ok(rule)
    }
}

impl Rule {
    /// The rule as it was written.
    pub fn text(&self) -> &RuleText {
        &self.text
    }

    /// Whether the rule is for a certificate of this name.
    pub fn fits_certificate(&self, name: &str) -> bool {
        match &self.who {
            Who::Named(own) => own == name,
            Who::Below(prefix) => name.len() > prefix.len() && name.starts_with(prefix.as_str()),
            Who::Token => false,
        }
    }

    /// Whether the rule is for a token of this issuer with these claims.
    pub fn fits_token(&self, issuer: &str, claims: &Value) -> bool {
        let has = |(name, wanted): (&String, &String)| {
            texts(claim(claims, name)).is_some_and(|texts| texts.contains(&wanted.as_str()))
        };
        matches!(self.who, Who::Token)
            && self.text.issuer == issuer
            && self.text.claims.iter().all(has)
    }

    /// What the rule grants; the error names the claim that is not as it must be.
    pub fn rights(&self, claims: &Value) -> Result<Rights, String> {
        let read = |name: &str| {
            let texts = texts(claim(claims, name)).filter(|texts| !texts.is_empty());
            texts.ok_or_else(|| {
                format!(
                    "the claim {name:?} is absent, empty, or neither a text nor a list of texts"
                )
            })
        };
        let rpcs = match &self.roles {
            Source::Stated(rpcs) => *rpcs,
            Source::Claim(name) => {
                let roles: Option<Vec<Role>> = read(name)?.into_iter().map(Role::parse).collect();
                RpcSet::of_roles(
                    &roles.ok_or_else(|| format!("the claim {name:?} names an unknown role"))?,
                )
            }
        };
        let rpcs = match self.text.rpcs.as_slice() {
            [] => rpcs,
            only => rpcs.and(RpcSet::of(only.iter().copied())),
        };
        let purposes = match &self.purposes {
            Source::Stated(purposes) => purposes.clone(),
            Source::Claim(name) => purposes(&read(name)?)
                .map_err(|_| format!("the claim {name:?} names a malformed purpose"))?,
        };
        let scope = match &self.workspaces {
            Source::Stated(scope) => scope.clone(),
            Source::Claim(name) => scope(&read(name)?)
                .map_err(|_| format!("the claim {name:?} holds no workspace's id"))?,
        };
        Ok(Rights {
            rpcs,
            purposes,
            scope,
        })
    }

    fn is_for_certificates(&self) -> bool {
        !matches!(self.who, Who::Token)
    }

    fn reads_claims(&self) -> bool {
        matches!(self.roles, Source::Claim(_))
            || matches!(self.purposes, Source::Claim(_))
            || matches!(self.workspaces, Source::Claim(_))
    }
}

fn who(text: &RuleText) -> Result<Who, String> {
    match (text.certificate.as_str(), text.issuer.as_str()) {
        ("", "") => Err("the rule matches no caller; name a certificate or an issuer".to_owned()),
        ("", _) => Ok(Who::Token),
        (_, issuer) if !issuer.is_empty() => {
            Err("the rule names a certificate and an issuer; write a rule for each, a caller with both gets what both grant"
                .to_owned())
        }
        _ if !text.claims.is_empty() => Err("a certificate has no claims; leave `claims` out".to_owned()),
        (name, _) => match name.strip_suffix("/*") {
            Some(above) if above.starts_with("spiffe://") && !above.contains('*') => Ok(Who::Below(format!("{above}/"))),
            None if !name.contains('*') => Ok(Who::Named(name.to_owned())),
            _ => Err("a certificate's name may only end in /*, after a SPIFFE id".to_owned()),
        },
    }
}

fn both(what: &str) -> String {
    format!("`{what}` and `{what}_claim` are both set; keep one")
}

fn purposes(names: &[impl AsRef<str>]) -> Result<BTreeSet<PurposeName>, String> {
    if names.is_empty() {
        return Ok([PurposeName::reply()].into());
    }
    let parsed = names
        .iter()
        .map(|name| PurposeName::parse(name.as_ref()))
        .collect::<Result<_, _>>();
    parsed.map_err(|why| format!("a purpose {why}"))
}

fn scope(ids: &[impl AsRef<str>]) -> Result<WorkspaceScope, String> {
    let parsed = ids
        .iter()
        .map(|id| WorkspaceId::parse(id.as_ref()))
        .collect::<Result<_, _>>();
    parsed
        .map(WorkspaceScope::Only)
        .map_err(|why| format!("a workspace {why}; `*` stands alone"))
}

/// A claim by its name, or by its place if the name begins with a slash (RFC 6901).
fn claim<'c>(claims: &'c Value, name: &str) -> Option<&'c Value> {
    if name.starts_with('/') {
        claims.pointer(name)
    } else {
        claims.get(name)
    }
}

/// A text, or each of a list of texts. `None`: something else.
fn texts(claim: Option<&Value>) -> Option<Vec<&str>> {
    match claim? {
        Value::String(text) if text.is_empty() => Some(Vec::new()),
        Value::String(text) => Some(vec![text]),
        Value::Array(items) => items.iter().map(Value::as_str).collect(),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
