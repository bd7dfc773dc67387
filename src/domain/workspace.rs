//! Workspaces, the platform, and the keys they hold, as the decision sees them.
//!
//! Invariants: at most one active key per provider; one whose row cannot be read is damaged, not absent; a tombstone has no keys, BYO off, and `exists` false, but keeps its
//! revision. A key's sealed bytes travel with it; nothing here can open them.
//!
//! Not here: how any of it is stored or cached.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use litemap::LiteMap;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::{
    models::ModelList,
    names::{ModelName, OnBehalfOf, ProviderName, WorkspaceId},
    verdict::Health,
};

/// Some things by provider, in the order of the names. A holder has few of each, and there may be a million holders in
/// memory: a sorted list takes what is in it, a tree room for eleven.
pub type ByProvider<T> = LiteMap<ProviderName, T>;

/// For how long a key's model list counts as what the key can use.
pub const LIST_FRESH_FOR: Duration = Duration::hours(24);

/// One customer's side of the decision.
#[derive(Clone, Debug)]
pub struct Workspace {
    /// The product's id.
    pub id: WorkspaceId,
    /// False: never seen, or deleted since.
    pub exists: bool,
    /// The BYO toggle.
    pub byo_enabled: bool,
    /// Counts the changes; never restarts. 0: never seen.
    pub revision: u64,
    /// The active keys.
    pub keys: ByProvider<StoredKey>,
    /// What was selected, by provider.
    pub selections: ByProvider<Selection>,
    /// How many keys it has had, by provider; outlives keys and tombstones.
    pub generations: ByProvider<u64>,
    /// The providers whose active key's row cannot be read. They have no entry in `keys`.
    pub damaged: BTreeSet<ProviderName>,
}

impl Workspace {
    /// A workspace that was never seen.
    pub fn unseen(id: WorkspaceId) -> Self {
        Self {
            id,
            exists: false,
            byo_enabled: false,
            revision: 0,
            keys: LiteMap::new(),
            selections: LiteMap::new(),
            generations: LiteMap::new(),
            damaged: BTreeSet::new(),
        }
    }

    /// Whether a key or a selection names this provider.
    pub fn knows(&self, provider: &ProviderName) -> bool {
        self.keys.contains_key(provider)
            || self.selections.contains_key(provider)
            || self.damaged.contains(provider)
    }
}

/// The operator's side of the decision.
#[derive(Clone, Debug, Default)]
pub struct Platform {
    /// Counts the changes; never restarts. 0: never changed.
    pub revision: u64,
    /// The active keys.
    pub keys: ByProvider<StoredKey>,
    /// How many keys it has had, by provider.
    pub generations: ByProvider<u64>,
    /// The providers whose active key's row cannot be read.
    pub damaged: BTreeSet<ProviderName>,
}

/// What a change is made to.
#[derive(Clone, Debug)]
pub enum Holder {
    /// A workspace.
    Workspace(Workspace),
    /// The platform.
    Platform(Platform),
}

impl Holder {
    /// Counts its changes.
    pub fn revision(&self) -> u64 {
        match self {
            Self::Workspace(workspace) => workspace.revision,
            Self::Platform(platform) => platform.revision,
        }
    }

    /// Its active keys.
    pub fn keys(&self) -> &ByProvider<StoredKey> {
        match self {
            Self::Workspace(workspace) => &workspace.keys,
            Self::Platform(platform) => &platform.keys,
        }
    }

    /// The providers whose active key's row cannot be read.
    pub fn damaged(&self) -> &BTreeSet<ProviderName> {
        match self {
            Self::Workspace(workspace) => &workspace.damaged,
            Self::Platform(platform) => &platform.damaged,
        }
    }

    /// How many keys it has had.
    pub fn generations(&self) -> &ByProvider<u64> {
        match self {
            Self::Workspace(workspace) => &workspace.generations,
            Self::Platform(platform) => &platform.generations,
        }
    }
}

/// A model that was chosen for a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// A family, an alias or a concrete id, as it was chosen.
    pub model: ModelName,
    /// The workspace's revision that chose it; the highest is the most recent.
    pub revision: u64,
}

/// Where a key may be sent, and with what. Sealed together with the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// One of the provider's hosts.
    pub base_url: String,
    /// Headers by name; not secret.
    pub headers: BTreeMap<String, String>,
}

/// An active key and what is known of it.
#[derive(Clone, Debug)]
pub struct StoredKey {
    /// Its identity, a UUID v7.
    pub key_id: Uuid,
    /// How many keys its owner has had for the provider.
    pub generation: u64,
    /// What may be shown of it.
    pub masked: String,
    /// Where it may be sent.
    pub binding: Binding,
    /// What its test calls taught.
    pub health: Health,
    /// What it lists; `None`: hidden or never read.
    pub models: Option<Listing>,
    /// The subject that set it.
    pub set_by: String,
    /// On whose behalf.
    pub on_behalf_of: OnBehalfOf,
    /// When.
    pub set_at: OffsetDateTime,
    /// The sealed record (`domain::envelope`).
    pub sealed: Arc<[u8]>,
}

impl StoredKey {
    /// The key's model list, if it is young enough to refuse by.
    pub fn fresh_models(&self, now: OffsetDateTime) -> Option<&ModelList> {
        let listing = self.models.as_ref()?;
        (now < listing.as_of.saturating_add(LIST_FRESH_FOR)).then_some(&*listing.models)
    }
}

/// A model list and when it was read.
#[derive(Clone, Debug)]
pub struct Listing {
    /// The list, shared between keys.
    pub models: Arc<ModelList>,
    /// When the provider answered it.
    pub as_of: OffsetDateTime,
}
