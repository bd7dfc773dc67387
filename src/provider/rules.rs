//! The verdict rules: what a provider's refusal means, as data (`rules.toml`).
//!
//! Invariants:
//! - The first rule that matches decides. In the data, rules on codes and types come before rules on text, because a
//!   text may quote anything.
//! - A refusal without a rule is [`Verdict::Unexpected`]: an unknown 401 is never an invalid key.
//! - A rule on text matches JSON only, because the page of a captive portal may say anything.
//! - The only part of a body that leaves this module is the host name in a data-residency answer.
//!
//! Not here: successful answers (`openai`, `anthropic`, `list`).

use serde::Deserialize;
use serde_json::Value;

use crate::domain::{protocol::Protocol, verdict::Verdict};

const DATA: &str = include_str!("rules.toml");

/// One of the two probes of a check.
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
    /// A verdict on the key.
    Verdict(Verdict),
    /// The key may not list models, or the provider has no list: a generation decides.
    ListHidden,
    /// The provider does not know the field of the token cap: send the older field.
    OlderCap,
}

/// What one refusal means.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Judgement {
    pub(super) meaning: Meaning,
    /// The key's host by the provider's word, in lower case.
    pub(super) named_host: Option<String>,
}

/// The rules of all protocols.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct VerdictRules {
    rule: Vec<VerdictRule>,
}

/// One rule. An absent condition always holds; of a list, one entry must hold.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VerdictRule {
    protocol: Protocol,
    probe: Option<Probe>,
    status: Vec<u16>,
    /// The body's `error.code` or `error.details.error_code`.
    #[serde(default)]
    code: Vec<String>,
    /// The body's `error.type`.
    #[serde(default)]
    r#type: Vec<String>,
    /// A part of the body's message, in lower case.
    #[serde(default)]
    text: Vec<String>,
    /// Whether the body must be a JSON object, which a web page is not.
    #[serde(default)]
    json: bool,
    /// The text before the host that the message names.
    host_after: Option<String>,
    means: Meaning,
}

/// The parts of an error body that rules look at.
#[derive(Default)]
struct ErrorBody {
    json: bool,
    codes: Vec<String>,
    kind: Option<String>,
    text: String,
}

impl VerdictRules {
    /// The built-in rules.
    pub(super) fn shipped() -> Result<Self, toml::de::Error> {
        toml::from_str(DATA)
    }

    /// Gives a refusal its meaning.
    pub(super) fn judge(
        &self,
        protocol: Protocol,
        probe: Probe,
        status: u16,
        body: &[u8],
    ) -> Judgement {
        let body = ErrorBody::read(body);
        let rule = self
            .rule
            .iter()
            .find(|rule| rule.matches(protocol, probe, status, &body));
        Judgement {
            meaning: rule.map_or(Meaning::Verdict(Verdict::Unexpected), |rule| rule.means),
            named_host: rule
                .and_then(|rule| rule.host_after.as_deref())
                .and_then(|before| host_after(&body.text, before)),
        }
    }
}

impl VerdictRule {
    fn matches(&self, protocol: Protocol, probe: Probe, status: u16, body: &ErrorBody) -> bool {
        let ErrorBody {
            json,
            codes,
            kind,
            text,
        } = body;
        let holds = |wanted: &[String], found: &dyn Fn(&String) -> bool| {
            wanted.is_empty() || wanted.iter().any(found)
        };
        self.protocol == protocol
            && self.probe.is_none_or(|own| own == probe)
            && self.status.contains(&status)
            && (*json || !self.json)
            && holds(&self.code, &|code| codes.contains(code))
            && holds(&self.r#type, &|own| kind.as_ref() == Some(own))
            && holds(&self.text, &|part| text.contains(part.as_str()))
    }
}

impl ErrorBody {
    /// Most vendors send `{"error": {"message", "type", "code"}}`. But `error` may be a text beside `code`, the message
    /// may be missing or an object, and the code may be a number.
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

/// The host name after `before`, in a lower-case text.
fn host_after(text: &str, before: &str) -> Option<String> {
    let (_, rest) = text.split_once(before)?;
    let rest = rest.trim_start_matches("https://");
    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-')));
    let host = rest.get(..end.unwrap_or(rest.len()))?.trim_end_matches('.');
    (host.contains('.') && host.len() <= 253).then(|| host.to_owned())
}

impl Meaning {
    /// The name in the rules and the log.
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
