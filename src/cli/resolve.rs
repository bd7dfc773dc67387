//! `byokd resolve`: asks as a service would before it calls an LLM.
//!
//! The key is masked, in text and in JSON, unless `--reveal` asks for it; then it goes to standard output like any
//! data, and who sees that is up to the caller.
//!
//! Absent: the decision. This shows what the server decided.

use std::fmt;

use clap::Args;
use serde::Serialize;
use zeroize::{Zeroize as _, Zeroizing};

use super::{
    argument,
    failure::Failure,
    output::{self, Table},
    target::Target,
    view::{BillingView, EndpointView, KeyReferenceView, seconds},
};
use crate::{client::answer, contract::v1, domain::caller::Role};

/// What the decision is asked about; `explain` asks the same.
#[derive(Args, Debug)]
pub(super) struct Question {
    /// The workspace
    #[arg(value_parser = argument::word)]
    pub(super) workspace: String,
    /// A family of the catalog, an alias, or a concrete id [default: the selected one]
    #[arg(long, default_value = "", hide_default_value = true, value_parser = argument::word)]
    pub(super) model: String,
    /// The provider; needed for a model outside the catalog
    #[arg(long, default_value = "", hide_default_value = true, value_parser = argument::provider)]
    pub(super) provider: String,
    /// What the call is for [default: reply]
    #[arg(long, default_value = "", hide_default_value = true, value_parser = argument::word)]
    pub(super) purpose: String,
}

#[derive(Args, Debug)]
pub(super) struct Resolve {
    #[command(flatten)]
    question: Question,
    /// Show the key in the clear
    #[arg(long)]
    reveal: bool,
}

impl Resolve {
    pub(super) async fn run(self, target: &Target) -> Result<(), Failure> {
        let question = self.question;
        let connection = target
            .connect_for(Role::Resolver, &question.workspace, &question.purpose)
            .await?;
        let request = v1::ResolveCredentialsRequest {
            workspace_id: question.workspace,
            model: question.model,
            provider: question.provider,
            purpose: question.purpose,
        };
        let response = answer(connection.keys().resolve_credentials(request)).await?;
        output::answer(target.output, &Resolved::new(response, self.reveal))?;
        Ok(())
    }
}

#[derive(Serialize)]
struct Resolved {
    provider: String,
    model: String,
    endpoint: Option<EndpointView>,
    credential: Option<CredentialView>,
    lease: Option<LeaseView>,
    billing: Option<BillingView>,
    key: Option<KeyReferenceView>,
    degraded: bool,
    resolution_id: String,
}

#[derive(Serialize)]
struct CredentialView {
    api_key: String,
}

impl Drop for CredentialView {
    fn drop(&mut self) {
        self.api_key.zeroize();
    }
}

/// Durations as the contract's JSON has them, e.g. "60s".
#[derive(Serialize)]
struct LeaseView {
    ttl: String,
    refresh_after: String,
}

impl Resolved {
    fn new(response: v1::ResolveCredentialsResponse, reveal: bool) -> Self {
        Self {
            provider: response.provider,
            model: response.model,
            endpoint: response.endpoint.map(EndpointView::from),
            credential: response.credential.map(|mut credential| {
                let secret = Zeroizing::new(std::mem::take(&mut credential.api_key));
                CredentialView {
                    api_key: if reveal {
                        secret.as_str().to_owned()
                    } else {
                        masked(&secret)
                    },
                }
            }),
            lease: response.lease.map(|lease| LeaseView {
                ttl: seconds(lease.ttl),
                refresh_after: seconds(lease.refresh_after),
            }),
            billing: response.billing.map(BillingView::from),
            key: response.key.map(KeyReferenceView::from),
            degraded: response.degraded,
            resolution_id: response.resolution_id,
        }
    }
}

/// At most the last 4 characters, and only of keys of 20 or more: the form in which the server shows keys too.
fn masked(secret: &str) -> String {
    let length = secret.chars().count();
    let hidden = if length < 20 {
        length
    } else {
        length.saturating_sub(4)
    };
    let shown = secret.chars().skip(hidden);
    std::iter::once('…').chain(shown).collect()
}

impl fmt::Display for Resolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::default();
        table.field("provider", self.provider.as_str());
        table.field("model", self.model.as_str());
        if let Some(endpoint) = &self.endpoint {
            endpoint.fields(&mut table);
        }
        if let Some(credential) = &self.credential {
            table.field("credential", credential.api_key.as_str());
        }
        if let Some(lease) = &self.lease {
            table.field(
                "lease",
                format!("{}, refresh after {}", lease.ttl, lease.refresh_after),
            );
        }
        if let Some(billing) = &self.billing {
            table.field("billing", billing.to_string());
        }
        if let Some(key) = &self.key {
            table.field("key", key.to_string());
        }
        if self.degraded {
            table.field(
                "degraded",
                "yes: the database does not answer, this is what was known last",
            );
        }
        table.field("resolution", self.resolution_id.as_str());
        write!(f, "{table}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "sk-proj-0123456789wxyz";

    fn resolved(reveal: bool) -> Resolved {
        let response = v1::ResolveCredentialsResponse {
            credential: Some(v1::Credential {
                api_key: KEY.to_owned(),
            }),
            ..Default::default()
        };
        Resolved::new(response, reveal)
    }

    #[test]
    fn a_key_is_masked_unless_asked_for() -> Result<(), serde_json::Error> {
        let hidden = resolved(false);
        for shown in [hidden.to_string(), serde_json::to_string(&hidden)?] {
            assert!(
                shown.contains("…wxyz") && !shown.contains("9wxyz"),
                "{shown}"
            );
        }
        let clear = resolved(true);
        assert!(clear.to_string().contains(KEY) && serde_json::to_string(&clear)?.contains(KEY));
        Ok(())
    }

    #[test]
    fn short_keys_show_nothing() {
        assert_eq!(masked("0123456789012345678"), "…");
        assert_eq!(masked("01234567890123456789"), "…6789");
    }
}
