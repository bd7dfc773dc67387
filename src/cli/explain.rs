//! `byokd explain`: the decision without the key, and why each other candidate was not taken.
//!
//! Invariants: a refusal is an answer here, with exit code 0; no key is shown, not even masked.

use clap::Args;

use super::{
    failure::Failure,
    global::GlobalArgs,
    resolve::QuestionArgs,
    view::{self, Table},
};
use crate::{
    client::answer,
    contract::v1::{self, explain_resolution_response::Outcome},
    domain::caller::Role,
};

#[derive(Args, Debug)]
pub(super) struct ExplainArgs {
    #[command(flatten)]
    question: QuestionArgs,
}

impl ExplainArgs {
    pub(super) async fn run(self, global: &GlobalArgs) -> Result<(), Failure> {
        let question = self.question;
        let connection = global
            .connect_for(Role::Viewer, &question.workspace, &question.purpose)
            .await?;
        let request = v1::ExplainResolutionRequest {
            workspace_id: question.workspace,
            model: question.model,
            provider: question.provider,
            purpose: question.purpose,
        };
        let response = answer(connection.keys().explain_resolution(request)).await?;
        global.show_message(&response, text)
    }
}

fn text(response: &v1::ExplainResolutionResponse) -> String {
    let mut table = Table::default();
    match &response.outcome {
        Some(Outcome::Resolution(resolution)) => {
            table.field("decision", "granted");
            table.field("provider", resolution.provider.as_str());
            table.field("model", resolution.model.as_str());
            table.field("family", resolution.family.as_str());
            if let Some(endpoint) = &resolution.endpoint {
                view::endpoint_fields(endpoint, &mut table);
            }
            if let Some(billing) = &resolution.billing {
                table.field("billing", view::billing(billing));
            }
            if let Some(key) = &resolution.key {
                table.field("key", view::key_reference(key));
            }
        }
        Some(Outcome::Refusal(refusal)) => {
            table.field("decision", format!("refused: {}", refusal.reason));
            table.field("because", refusal.message.as_str());
        }
        None => {}
    }
    table.field("revision", response.revision.to_string());
    let decision = table.to_string();
    if response.candidates.is_empty() {
        return decision;
    }
    let mut table = Table::new(&["NOT TAKEN", "NAME", "WHY"]);
    for candidate in &response.candidates {
        table.row([&candidate.kind, &candidate.name, &candidate.reason].map(Clone::clone));
    }
    format!("{decision}\n{table}")
}
