//! The results of a key check, of a list, and of one probe that failed.
//!
//! Not here: how a result is reached (`check`).

use std::time::Duration;

use super::rules::{Judgement, Meaning};
use crate::domain::verdict::Verdict;

/// The result of a key check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckOutcome {
    /// What the check taught about the key.
    pub verdict: Verdict,
    /// The ids that the key lists, sorted and unique; `None` if they are hidden or unknown. Any verdict may come with
    /// them: some providers list without a key.
    pub models: Option<Vec<String>>,
    /// With [`Verdict::WrongHost`]: the key's host by the provider's word, in lower case. Call it only if the catalog
    /// allows it.
    pub named_host: Option<String>,
    /// How long the provider asks byokd to wait; a day at the most.
    pub retry_after: Option<Duration>,
}

/// The result of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListOutcome {
    /// The ids that the key lists, sorted and unique.
    Models(Vec<String>),
    /// The key may not list, the provider has no list, or the list is too long to keep.
    Hidden,
    /// There was no list, for this reason.
    Failed(Verdict),
}

/// A probe without a success: the provider refused it, or no answer came.
#[derive(Debug)]
pub(super) struct ProbeFailure {
    pub(super) judgement: Judgement,
    pub(super) retry_after: Option<Duration>,
}

impl From<Verdict> for ProbeFailure {
    fn from(verdict: Verdict) -> Self {
        Self {
            judgement: Judgement {
                meaning: Meaning::Verdict(verdict),
                named_host: None,
            },
            retry_after: None,
        }
    }
}

impl ProbeFailure {
    pub(super) fn meaning(&self) -> Meaning {
        self.judgement.meaning
    }

    /// What the probe taught about the key.
    pub(super) fn verdict(&self) -> Verdict {
        match self.meaning() {
            Meaning::Verdict(verdict) => verdict,
            // These ask for another probe. Without it, nothing is known.
            Meaning::ListHidden | Meaning::OlderCap => Verdict::Unexpected,
        }
    }

    /// The outcome of the check that ends here.
    pub(super) fn outcome(self, models: Option<Vec<String>>) -> CheckOutcome {
        CheckOutcome {
            verdict: self.verdict(),
            models,
            named_host: self.judgement.named_host,
            retry_after: self.retry_after,
        }
    }
}
