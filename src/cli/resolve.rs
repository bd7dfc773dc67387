//! `byokd resolve`: resolves as a service does before it calls an LLM.
//!
//! Invariant: the key is masked, in text and in JSON, unless `--reveal` is given. Then it goes to standard output.
//!
//! Not here: the decision, which is the server's.

use clap::Args;
use zeroize::Zeroizing;

use super::{
    argument,
    failure::Failure,
    global::GlobalArgs,
    view::{self, Table},
};
use crate::{client::answer, contract::v1, domain::caller::Role};

/// The shortest key whose last characters are shown.
const MASKED_LENGTH: usize = 20;

/// The question of `resolve` and `explain`.
#[derive(Args, Debug)]
pub(super) struct QuestionArgs {
    /// The workspace
    #[arg(value_parser = argument::word)]
    pub(super) workspace: String,
    /// A family of the catalog, an alias, or a concrete id [default: the selected one]
    #[arg(long, default_value = "", hide_default_value = true, value_parser = argument::word)]
    pub(super) model: String,
    /// The provider; needed for a model outside the catalog
    #[arg(long, default_value = "", hide_default_value = true, value_parser = argument::provider)]
    pub(super) provider: String,
    /// The purpose of the call [default: reply]
    #[arg(long, default_value = "", hide_default_value = true, value_parser = argument::word)]
    pub(super) purpose: String,
}

#[derive(Args, Debug)]
pub(super) struct ResolveArgs {
    #[command(flatten)]
    question: QuestionArgs,
    /// Show the key in the clear
    #[arg(long)]
    reveal: bool,
}

impl ResolveArgs {
    pub(super) async fn run(self, global: &GlobalArgs) -> Result<(), Failure> {
        let question = self.question;
        let connection = global
            .connect_for(Role::Resolver, &question.workspace, &question.purpose)
            .await?;
        let request = v1::ResolveCredentialsRequest {
            workspace_id: question.workspace,
            model: question.model,
            provider: question.provider,
            purpose: question.purpose,
        };
        let mut response = answer(connection.keys().resolve_credentials(request)).await?;
        if !self.reveal {
            mask(&mut response);
        }
        global.show_message(&response, text)
    }
}

/// Replaces the key by its masked form, as the server masks keys: the last 4 characters of keys of 20 or more.
fn mask(response: &mut v1::ResolveCredentialsResponse) {
    if let Some(credential) = &mut response.credential {
        let secret = Zeroizing::new(std::mem::take(&mut credential.api_key));
        let length = secret.chars().count();
        let shown = if length < MASKED_LENGTH { 0 } else { 4 };
        let hidden = length.saturating_sub(shown);
        credential.api_key = std::iter::once('…')
            .chain(secret.chars().skip(hidden))
            .collect();
    }
}

fn text(response: &v1::ResolveCredentialsResponse) -> String {
    let mut table = Table::default();
    table.field("provider", response.provider.as_str());
    table.field("model", response.model.as_str());
    if let Some(endpoint) = &response.endpoint {
        view::endpoint_fields(endpoint, &mut table);
    }
    if let Some(credential) = &response.credential {
        table.field("credential", credential.api_key.as_str());
    }
    if let Some(lease) = &response.lease {
        let ttl = view::seconds(lease.ttl);
        let refresh_after = view::seconds(lease.refresh_after);
        table.field("lease", format!("{ttl}, refresh after {refresh_after}"));
    }
    if let Some(billing) = &response.billing {
        table.field("billing", view::billing(billing));
    }
    if let Some(key) = &response.key {
        table.field("key", view::key_reference(key));
    }
    if response.degraded {
        table.field(
            "degraded",
            "yes: the database does not answer, so the decision is from the cache",
        );
    }
    table.field("resolution", response.resolution_id.as_str());
    table.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::to_json;

    const KEY: &str = "sk-proj-0123456789wxyz";

    fn response(api_key: &str) -> v1::ResolveCredentialsResponse {
        v1::ResolveCredentialsResponse {
            credential: Some(v1::Credential {
                api_key: api_key.to_owned(),
            }),
            ..Default::default()
        }
    }

    fn masked(api_key: &str) -> String {
        let mut response = response(api_key);
        mask(&mut response);
        to_json(&response).unwrap() + &text(&response)
    }

    #[test]
    fn a_key_is_masked_unless_it_is_revealed() {
        let hidden = masked(KEY);
        assert_eq!(hidden.matches("…wxyz").count(), 2, "{hidden}");
        assert!(!hidden.contains("9wxyz"), "{hidden}");
        let clear = response(KEY);
        assert!(text(&clear).contains(KEY) && to_json(&clear).unwrap().contains(KEY));
    }

    #[test]
    fn short_keys_show_nothing() {
        assert!(masked("0123456789012345678").contains("\"…\""));
        assert!(masked("01234567890123456789").contains("\"…6789\""));
    }
}
