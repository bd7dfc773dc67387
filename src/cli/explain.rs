//! `byokd explain`: the decision without the key, and why each other candidate was not taken.
//!
//! A refusal that was asked about is an answer, not a failure: the exit code is 0.
//!
//! Absent: any key, masked or not.

use std::fmt;

use clap::Args;
use serde::Serialize;

use super::{
    failure::Failure,
    output::{self, Table},
    resolve::Question,
    target::Target,
    view::{BillingView, EndpointView, KeyReferenceView},
};
use crate::domain::caller::Role;
use crate::{
    client::answer,
    contract::v1::{self, explain_resolution_response::Outcome},
};

#[derive(Args, Debug)]
pub(super) struct Explain {
    #[command(flatten)]
    question: Question,
}

impl Explain {
    pub(super) async fn run(self, target: &Target) -> Result<(), Failure> {
        let question = self.question;
        let connection = target
            .connect_for(Role::Viewer, &question.workspace, &question.purpose)
            .await?;
        let request = v1::ExplainResolutionRequest {
            workspace_id: question.workspace,
            model: question.model,
            provider: question.provider,
            purpose: question.purpose,
        };
        let response = answer(connection.keys().explain_resolution(request)).await?;
        output::answer(target.output, &Explained::from(response))?;
        Ok(())
    }
}

#[derive(Serialize)]
struct Explained {
    resolution: Option<ResolutionView>,
    refusal: Option<RefusalView>,
    candidates: Vec<CandidateView>,
    revision: u64,
}

#[derive(Serialize)]
struct ResolutionView {
    provider: String,
    model: String,
    family: String,
    endpoint: Option<EndpointView>,
    billing: Option<BillingView>,
    key: Option<KeyReferenceView>,
}

#[derive(Serialize)]
struct RefusalView {
    reason: String,
    message: String,
}

#[derive(Serialize)]
struct CandidateView {
    kind: String,
    name: String,
    reason: String,
}

impl From<v1::ExplainResolutionResponse> for Explained {
    fn from(response: v1::ExplainResolutionResponse) -> Self {
        let (resolution, refusal) = match response.outcome {
            Some(Outcome::Resolution(granted)) => (Some(ResolutionView::from(granted)), None),
            Some(Outcome::Refusal(v1::Refusal { reason, message })) => {
                (None, Some(RefusalView { reason, message }))
            }
            None => (None, None),
        };
        let candidates = response.candidates.into_iter();
        Self {
            resolution,
            refusal,
            candidates: candidates
                .map(|v1::Candidate { kind, name, reason }| CandidateView { kind, name, reason })
                .collect(),
            revision: response.revision,
        }
    }
}

impl From<v1::Resolution> for ResolutionView {
    fn from(granted: v1::Resolution) -> Self {
        Self {
            provider: granted.provider,
            model: granted.model,
            family: granted.family,
            endpoint: granted.endpoint.map(EndpointView::from),
            billing: granted.billing.map(BillingView::from),
            key: granted.key.map(KeyReferenceView::from),
        }
    }
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::default();
        if let Some(granted) = &self.resolution {
            table.field("decision", "granted");
            table.field("provider", granted.provider.as_str());
            table.field("model", granted.model.as_str());
            table.field("family", granted.family.as_str());
            if let Some(endpoint) = &granted.endpoint {
                endpoint.fields(&mut table);
            }
            if let Some(billing) = &granted.billing {
                table.field("billing", billing.to_string());
            }
            if let Some(key) = &granted.key {
                table.field("key", key.to_string());
            }
        }
        if let Some(refusal) = &self.refusal {
            table.field("decision", format!("refused: {}", refusal.reason));
            table.field("because", refusal.message.as_str());
        }
        table.field("revision", self.revision.to_string());
        write!(f, "{table}")?;
        if self.candidates.is_empty() {
            return Ok(());
        }
        let mut table = Table::new(&["NOT TAKEN", "NAME", "WHY"]);
        for candidate in &self.candidates {
            table.row([&candidate.kind, &candidate.name, &candidate.reason].map(Clone::clone));
        }
        write!(f, "\n{table}")
    }
}
