//! The operations: one file for each RPC, named like it.
//!
//! Each reads like a recipe: who may, what was asked, what is known, what follows, what is written. The caller's role
//! and workspace and the form of every field have been checked by the time an operation runs; what the fields mean,
//! purposes, limits and state are checked here, in this order.
//!
//! Invariants: a change goes through `commit`, which is the only road to the store's transactions; a key in the clear
//! lives for one call. No operation catches another's refusal to try something else.
//!
//! Absent: gRPC. What goes in and out are the domain's types and the views of `view`.

mod check_key;
mod commit;
mod delete_key;
mod delete_platform_key;
mod delete_workspace;
mod explain_resolution;
mod get_workspace;
mod limits;
mod list_audit_events;
mod list_key_usage;
mod list_models;
mod list_platform_audit_events;
mod list_platform_keys;
mod new_key;
mod resolve_credentials;
mod rewrap;
mod sealing;
mod select_model;
mod selections;
mod set_key;
mod set_platform_key;
mod toggle_byo;
mod verify_key;
mod verify_platform_key;
mod view;

use std::{sync::Arc, time::Duration};

pub use commit::{ChangeMeta, Changes};
pub use delete_key::{KeyDeleted, delete_key};
pub use delete_platform_key::{PlatformKeyDeleted, delete_platform_key};
pub use delete_workspace::delete_workspace;
pub use explain_resolution::{Explanation, explain_resolution};
pub use get_workspace::get_workspace;
pub use limits::{TestLimiter, TestLimits};
pub use list_audit_events::{AuditPage, list_audit_events};
pub use list_key_usage::{UsagePage, UsagePlace, list_key_usage};
pub use list_models::{ListModels, ModelPage, list_models};
pub use list_platform_audit_events::list_platform_audit_events;
pub use list_platform_keys::{PlatformKeys, list_platform_keys};
pub use new_key::NewKey;
pub use resolve_credentials::{Lease, Resolved, resolve_credentials};
pub use rewrap::{Rewrap, RewrapProgress, RewrapSummary, rewrap};
pub use select_model::{SelectModel, select_model};
pub use set_key::{KeySet, SetKey, set_key};
pub use set_platform_key::{PlatformKeySet, set_platform_key};
pub use toggle_byo::{ByoToggled, toggle_byo};
pub use verify_key::verify_key;
pub use verify_platform_key::verify_platform_key;
pub use view::{
    BillingView, ChargeView, KeyChecked, KeySource, KeyView, ModelView, ProviderEntryView,
    ResolutionView, WorkspaceView,
};

use crate::{
    audit::Audit,
    domain::{
        caller::Caller,
        catalog::{Catalog, Provider},
        clock::Clock,
        error::Error,
        names::{ProviderName, PurposeName, WorkspaceId},
        protocol::Protocol,
        resolution::{Facts, Policy, byo_pays, provider_unknown, purpose_unknown},
        workspace::{Platform, Workspace},
    },
    keyring::Keyring,
    provider::Providers,
    store::Store,
    workspace_cache::{View, WorkspaceCache},
};

/// What the operations are made of.
pub struct AppState {
    /// Everything that is kept.
    pub store: Arc<Store>,
    /// The hot path's view of it.
    pub cache: WorkspaceCache,
    /// The data keys.
    pub keyring: Keyring,
    /// The way out to the providers.
    pub providers: Providers,
    /// What is offered.
    pub catalog: Catalog,
    /// The operator's choices in the decision.
    pub policy: Policy,
    /// What keeps test calls from being an oracle.
    pub limiter: TestLimiter,
    /// How long a lease is.
    pub lease: Duration,
    /// What is put on record.
    pub audit: Audit,
    /// The changes that run.
    pub changes: Changes,
    /// The time.
    pub clock: Clock,
}

impl AppState {
    /// What a decision about this workspace rests on.
    fn facts<'a>(&'a self, workspace: &'a Workspace, platform: &'a Platform) -> Facts<'a> {
        Facts {
            workspace,
            platform,
            catalog: &self.catalog,
            policy: &self.policy,
            now: self.clock.now(),
        }
    }

    /// The workspace, and the platform where it may have to pay: where the workspace's own key pays, the platform's
    /// trouble is not the workspace's.
    async fn known(
        &self,
        workspace: &WorkspaceId,
        purpose: &PurposeName,
    ) -> Result<(View<Workspace>, View<Platform>), Error> {
        let own = self.cache.workspace(workspace).await?;
        let platform = match byo_pays(&self.catalog, &own.entry, purpose) {
            true => View {
                entry: Arc::default(),
                validated_at: own.validated_at,
                degraded: own.degraded,
            },
            false => self.cache.platform().await?,
        };
        Ok((own, platform))
    }

    /// A configured provider that has keys.
    fn provider_with_keys(&self, name: &ProviderName) -> Result<&Provider, Error> {
        let provider = self
            .catalog
            .providers
            .get(name)
            .ok_or_else(|| provider_unknown(name))?;
        match provider.protocol {
            Protocol::Local => Err(Error::field("provider", "is local and has no keys")),
            Protocol::Openai | Protocol::Anthropic => Ok(provider),
        }
    }

    /// Refuses a purpose that is unknown, then one that the caller was not granted.
    fn admit_purpose(&self, caller: &Caller, purpose: &PurposeName) -> Result<(), Error> {
        if self.catalog.payer(purpose).is_none() {
            return Err(purpose_unknown(purpose));
        }
        caller.may_ask_for(purpose)
    }
}
