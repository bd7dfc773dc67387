//! The application state: everything that the operations share.
//!
//! Invariants: opened once (`server`), then shared by all calls.
//!
//! Not here: the operations (`ops`).

use std::{sync::Arc, time::Duration};

use crate::{
    audit::Audit,
    change::Changes,
    domain::{
        caller::Caller,
        catalog::Catalog,
        clock::Clock,
        error::Error,
        names::{ProviderName, PurposeName, WorkspaceId},
        resolution::{Facts, Policy, byo_pays, purpose_unknown},
        workspace::{Platform, StoredKey, Workspace},
    },
    key_check::KeyChecker,
    keyring::Keyring,
    store::Store,
    view::{KeyView, WorkspaceView},
    workspace_cache::{View, WorkspaceCache},
};

/// Everything that the operations share.
pub struct AppState {
    /// The database.
    pub store: Arc<Store>,
    /// The workspaces in memory, for resolves.
    pub cache: Arc<WorkspaceCache>,
    /// The data keys.
    pub keyring: Arc<Keyring>,
    /// The key checks.
    pub key_checker: KeyChecker,
    /// The models and providers on offer.
    pub catalog: Arc<Catalog>,
    /// The operator's choices in a decision.
    pub policy: Policy,
    /// The length of a lease.
    pub lease: Duration,
    /// The audit stream and the counts of key usage.
    pub audit: Arc<Audit>,
    /// The road of every change.
    pub changes: Arc<Changes>,
    /// The time.
    pub clock: Clock,
}

impl AppState {
    /// The facts of a decision about this workspace.
    pub fn facts<'a>(&'a self, workspace: &'a Workspace, platform: &'a Platform) -> Facts<'a> {
        Facts {
            workspace,
            platform,
            catalog: &self.catalog,
            policy: &self.policy,
            now: self.clock.now(),
        }
    }

    /// Reads the holders of a decision from the cache. Where the workspace's own key pays, the platform is not read: its
    /// outage is not the workspace's.
    pub async fn cached_holders(
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

    /// Refuses a purpose that is unknown, then one that the caller was not granted.
    pub fn admit_purpose(&self, caller: &Caller, purpose: &PurposeName) -> Result<(), Error> {
        if self.catalog.payer(purpose).is_none() {
            return Err(purpose_unknown(purpose));
        }
        caller.may_ask_for(purpose)
    }

    /// A stored key as a settings page shows it.
    pub fn key_view(&self, provider: &ProviderName, key: &StoredKey) -> KeyView {
        KeyView::new(provider, key, &self.policy.condemnation)
    }

    /// A workspace as a settings page shows it.
    pub fn workspace_view(&self, workspace: &Workspace) -> WorkspaceView {
        WorkspaceView::new(workspace, &self.catalog, &self.policy.condemnation)
    }
}
