//! The verdict tables: what a provider's refusal means, as data (`rules.toml`).
//!
//! Invariants:
//! - Rules are tried in order and the first match decides. In the data, those on codes and types stand before those
//!   on text, because a text may quote anything.
//! - What no rule names is [`Verdict::Unexpected`]: an unknown 401 is never an invalid key.
//! - Only JSON is searched for text: a captive portal's page can say anything.
//! - Nothing of a body leaves this module but the one host name that a data-residency answer points at.
//!
//! Absent: successful answers, which the protocols' own modules read.

use serde::Deserialize;
use serde_json::Value;

use crate::domain::{protocol::Protocol, verdict::Verdict};

const DATA: &str = include_str!("rules.toml");

/// Which of the two calls of a check was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Probe {
    List,
    Generate,
}

/// What a refusal means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) enum Meaning {
    /// This is what is learnt about the key.
    Verdict(Verdict),
    /// The key may not list models, or the provider has no list: a generation decides.
    ListHidden,
    /// The provider does not know the name of our token cap: ask again with its older name.
    OlderCap,
}

/// A refusal, understood.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Judgement {
    pub(super) meaning: Meaning,
    /// The host that the provider says the key belongs to, in lower case.
    pub(super) named_host: Option<String>,
}

/// The tables of all protocols.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rules {
    rule: Vec<Rule>,
}

/// One line of a table. A condition that is absent always holds; of a list, one must hold.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    protocol: Protocol,
    probe: Option<Probe>,
    status: Vec<u16>,
    /// Exactly the body's `error.code` or `error.details.error_code`.
    code: Option<Vec<String>>,
    /// Exactly the body's `error.type`.
    r#type: Option<Vec<String>>,
    /// Part of the body's message, in lower case.
    text: Option<Vec<String>>,
    /// Whether the body must be a JSON object, as no web page is.
    #[serde(default)]
    json: bool,
    /// What stands before the host that the message names.
    host_after: Option<String>,
    means: Meaning,
}

/// The parts of an error body that rules look at, in whatever shape the provider sent them.
#[derive(Default)]
struct Complaint {
    json: bool,
    codes: Vec<String>,
    kind: Option<String>,
    text: String,
}

impl Rules {
    /// The tables that byokd ships.
    pub(super) fn shipped() -> Result<Self, toml::de::Error> {
        toml::from_str(DATA)
    }

    /// What a status and body that are not a success mean.
    pub(super) fn judge(
        &self,
        protocol: Protocol,
        probe: Probe,
        status: u16,
        body: &[u8],
    ) -> Judgement {
        let complaint = Complaint::read(body);
        let rule = self
            .rule
            .iter()
            .find(|rule| rule.matches(protocol, probe, status, &complaint));
        Judgement {
            meaning: rule.map_or(Meaning::Verdict(Verdict::Unexpected), |rule| rule.means),
            named_host: rule
                .and_then(|rule| rule.host_after.as_deref())
                .and_then(|before| host_after(&complaint.text, before)),
        }
    }
}

impl Rule {
    fn matches(
        &self,
        protocol: Protocol,
        probe: Probe,
        status: u16,
        complaint: &Complaint,
    ) -> bool {
        let Complaint {
            json,
            codes,
            kind,
            text,
        } = complaint;
        self.protocol == protocol
            && self.probe.is_none_or(|own| own == probe)
            && self.status.contains(&status)
            && (*json || !self.json)
            && self
                .code
                .as_ref()
                .is_none_or(|own| own.iter().any(|code| codes.contains(code)))
            && self
                .r#type
                .as_ref()
                .is_none_or(|own| kind.as_ref().is_some_and(|kind| own.contains(kind)))
            && self
                .text
                .as_ref()
                .is_none_or(|own| own.iter().any(|part| text.contains(part.as_str())))
    }
}

impl Complaint {
    /// Vendors agree on `{"error": {"message", "type", "code"}}`, but `error` may be a bare text beside `code`,
    /// the message may be missing or an object, and the code a number.
    fn read(body: &[u8]) -> Self {
        let Ok(body) = serde_json::from_slice::<Value>(body) else {
            return Self::default();
        };
        let error = body
            .get("error")
            .filter(|error| error.is_object())
            .unwrap_or(&body);
        let codes = [error.get("code"), error.pointer("/details/error_code")];
        let text = [error.get("message"), body.get("error"), body.get("detail")]
            .into_iter()
            .flatten()
            .find_map(Value::as_str)
            .map_or_else(|| body.to_string(), str::to_owned);
        Self {
            json: error.is_object(),
            codes: codes.into_iter().flatten().filter_map(word).collect(),
            kind: error.get("type").and_then(word),
            text: text.to_lowercase(),
        }
    }
}

fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The host name that follows `before` in a text in lower case.
fn host_after(text: &str, before: &str) -> Option<String> {
    let (_, rest) = text.split_once(before)?;
    let rest = rest.trim_start_matches("https://");
    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-')));
    let host = rest.get(..end.unwrap_or(rest.len()))?.trim_end_matches('.');
    (host.contains('.') && host.len() <= 253).then(|| host.to_owned())
}

impl Meaning {
    /// Its name in the tables and the log.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Verdict(verdict) => verdict.as_str(),
            Self::ListHidden => "LIST_HIDDEN",
            Self::OlderCap => "OLDER_CAP",
        }
    }
}

impl TryFrom<String> for Meaning {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        match name.as_str() {
            "LIST_HIDDEN" => Ok(Self::ListHidden),
            "OLDER_CAP" => Ok(Self::OlderCap),
            _ => Verdict::parse(&name)
                .map(Self::Verdict)
                .ok_or_else(|| format!("no meaning {name:?}")),
        }
    }
}

#[cfg(test)]
mod tests;
