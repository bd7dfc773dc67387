//! The inputs of a decision.

use time::OffsetDateTime;

use crate::domain::{
    catalog::Catalog,
    names::{ModelName, ProviderName, PurposeName},
    verdict::Condemnation,
    workspace::{Platform, Workspace},
};

/// What a call for a workspace that was never seen gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum UnknownWorkspace {
    /// The platform's key and credits: works with no set-up.
    Platform,
    /// `WORKSPACE_UNKNOWN`.
    Refuse,
}

/// The operator's choices in the decision.
#[derive(Clone, Debug)]
pub struct Policy {
    /// What a workspace that was never seen gets.
    pub unknown_workspace: UnknownWorkspace,
    /// When a stored key is no longer used.
    pub condemnation: Condemnation,
}

/// Everything the decision rests on.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// The customer's side.
    pub workspace: &'a Workspace,
    /// The operator's side.
    pub platform: &'a Platform,
    /// What is offered.
    pub catalog: &'a Catalog,
    /// The operator's choices.
    pub policy: &'a Policy,
    /// The date and time, in UTC.
    pub now: OffsetDateTime,
}

/// What a caller asks for.
#[derive(Clone, Debug)]
pub struct Ask {
    /// A family, an alias or a concrete id.
    pub model: Option<ModelName>,
    /// The provider.
    pub provider: Option<ProviderName>,
    /// What the call is for.
    pub purpose: PurposeName,
}
