//! The readers of providers' answers, for the fuzz targets. No shipped build has them.
//!
//! Not here: anything that a check does not call.

use serde_json::Value;

use super::{
    anthropic,
    list::{ModelIds, ModelPage, NextPage},
    openai,
    rules::{Meaning, Probe, VerdictRules},
};
use crate::domain::{protocol::Protocol, verdict::Verdict};

/// The built-in tables.
pub struct AnswerReader(VerdictRules);

impl AnswerReader {
    /// Reads the tables.
    #[allow(clippy::expect_used, reason = "a fuzz target fails by panicking")]
    pub fn shipped() -> Self {
        Self(VerdictRules::shipped().expect("the tables are good"))
    }

    /// The verdict of a refusal, and the host that it names.
    pub fn refusal(
        &self,
        protocol: Protocol,
        list: bool,
        status: u16,
        body: &[u8],
    ) -> (Option<Verdict>, Option<String>) {
        let probe = if list { Probe::List } else { Probe::Generate };
        let judgement = self.0.judge(protocol, probe, status, body);
        let verdict = match judgement.meaning {
            Meaning::Verdict(verdict) => Some(verdict),
            Meaning::ListHidden | Meaning::OlderCap => None,
        };
        (verdict, judgement.named_host)
    }

    /// Whether a successful answer is a generation.
    pub fn is_generation(&self, protocol: Protocol, body: &[u8]) -> bool {
        serde_json::from_slice::<Value>(body).is_ok_and(|body| match protocol {
            Protocol::Anthropic => anthropic::is_generation(&body),
            Protocol::Openai | Protocol::Local => openai::is_generation(&body),
        })
    }

    /// The ids of one page, and the id after which the next one begins.
    pub fn list(&self, body: &[u8]) -> Option<(Vec<String>, Option<String>)> {
        let page = ModelPage::read(body)?;
        let after = match page.next() {
            NextPage::After(id) => Some(id),
            NextPage::End | NextPage::Lost => None,
        };
        let mut models = ModelIds::default();
        models.add(page).then(|| (models.into_ids(), after))
    }
}
