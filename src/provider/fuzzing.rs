//! The reading of providers' answers, as the fuzz targets call it. No build that ships has it.
//!
//! Absent: anything that is not called by a check too.

use serde_json::Value;

use super::{
    anthropic,
    list::{Models, Next, Page},
    openai,
    rules::{Meaning, Probe, Rules},
};
use crate::domain::{protocol::Protocol, verdict::Verdict};

/// The tables that byokd ships.
pub struct Answers(Rules);

/// A refusal, understood.
#[derive(Debug)]
pub struct Refusal {
    /// What it says of the key, if it does.
    pub verdict: Option<Verdict>,
    /// The host that the provider says the key belongs to.
    pub named_host: Option<String>,
}

/// What follows a page.
#[derive(Debug)]
pub enum Following {
    /// Another page, after this id.
    After(String),
    /// None that can be asked for.
    None,
}

impl Answers {
    /// Reads the tables.
    #[allow(clippy::expect_used, reason = "a fuzz target fails by panicking")]
    pub fn shipped() -> Self {
        Self(Rules::shipped().expect("the tables are good"))
    }

    /// What a status and body that are not a success mean.
    pub fn refusal(&self, protocol: Protocol, list: bool, status: u16, body: &[u8]) -> Refusal {
        let probe = if list { Probe::List } else { Probe::Generate };
        let judgement = self.0.judge(protocol, probe, status, body);
        let verdict = match judgement.meaning {
            Meaning::Verdict(verdict) => Some(verdict),
            Meaning::ListHidden | Meaning::OlderCap => None,
        };
        Refusal {
            verdict,
            named_host: judgement.named_host,
        }
    }

    /// Whether a successful answer is a generation.
    pub fn is_generation(&self, protocol: Protocol, body: &[u8]) -> bool {
        serde_json::from_slice::<Value>(body).is_ok_and(|body| match protocol {
            Protocol::Anthropic => anthropic::is_generation(&body),
            Protocol::Openai | Protocol::Local => openai::is_generation(&body),
        })
    }

    /// The ids of one page of a list; `None` if it is none.
    pub fn list(&self, body: &[u8]) -> Option<(Vec<String>, Following)> {
        let page = Page::read(body)?;
        let following = match page.next() {
            Next::After(id) => Following::After(id),
            Next::End | Next::Lost => Following::None,
        };
        let mut models = Models::default();
        models.add(page).then(|| (models.into_ids(), following))
    }
}
