//! A change while it is being made: what was, what will be, and which key rows that touches.
//!
//! Invariants: the revision grows by exactly one, and only if something that others can see changed; a generation is
//! never used twice; a superseded or deleted key leaves with its sealed bytes.
//!
//! Not here: the transaction that makes it true (`store`), and the rules of each RPC (`ops`).

use std::collections::BTreeSet;

use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    error::Error,
    names::{ModelName, ProviderName},
    verdict::{Condemnation, Verdict},
    workspace::{ByProvider, Holder, Listing, Platform, Selection, StoredKey, Workspace},
};

/// What happens to one row of keys.
#[derive(Debug)]
pub enum KeyEdit {
    /// The active key of this provider, if any, is superseded by this one.
    Put(ProviderName, Box<StoredKey>),
    /// The active key of this provider is deleted.
    Drop(ProviderName),
    /// A test call taught something about this key.
    Checked(Box<StoredKey>),
}

/// What a test call taught about a stored key.
#[derive(Debug)]
pub struct Learnt {
    /// `None`: only the list was asked for.
    pub verdict: Option<Verdict>,
    /// What was learnt about the models that it lists.
    pub models: ModelsLearnt,
}

/// What was learnt about the models that a key lists.
#[derive(Debug)]
pub enum ModelsLearnt {
    /// Nothing: what was known stays.
    Nothing,
    /// The key may not list: what was known no longer counts.
    Hidden,
    /// These.
    Listed(Listing),
}

/// A change being made.
#[derive(Debug)]
pub struct Draft {
    before: Holder,
    after: Holder,
    edits: Vec<KeyEdit>,
}

impl Draft {
    /// No change yet.
    pub fn new(holder: Holder) -> Self {
        Self {
            before: holder.clone(),
            after: holder,
            edits: Vec::new(),
        }
    }

    /// What was.
    pub fn before(&self) -> &Holder {
        &self.before
    }

    /// What will be.
    pub fn after(&self) -> &Holder {
        &self.after
    }

    /// The workspace that will be.
    pub fn workspace(&self) -> Result<&Workspace, Error> {
        match &self.after {
            Holder::Workspace(workspace) => Ok(workspace),
            Holder::Platform(_) => Err(Error::internal(
                "a workspace's change was made to the platform",
            )),
        }
    }

    /// The rows of keys to write.
    pub fn edits(&self) -> &[KeyEdit] {
        &self.edits
    }

    /// Whether others can see a difference.
    pub fn changed(&self) -> bool {
        self.before.revision() != self.after.revision()
    }

    /// The generation that the next key of a provider gets.
    pub fn next_generation(&self, provider: &ProviderName) -> u64 {
        self.after
            .generations()
            .get(provider)
            .copied()
            .unwrap_or(0)
            .saturating_add(1)
    }

    /// Makes `key` the active one of its provider.
    pub fn put_key(&mut self, provider: ProviderName, key: StoredKey) {
        let (keys, generations) = self.touch();
        generations.insert(provider.clone(), key.generation);
        keys.insert(provider.clone(), key.clone());
        self.damaged().remove(&provider);
        if let Holder::Workspace(workspace) = &mut self.after {
            workspace.exists = true;
        }
        self.edits.push(KeyEdit::Put(provider, Box::new(key)));
    }

    /// Removes the active key of a provider; says whether there was one.
    pub fn drop_key(&mut self, provider: &ProviderName) -> bool {
        if !self.after.keys().contains_key(provider) && !self.after.damaged().contains(provider) {
            return false;
        }
        self.touch().0.remove(provider);
        self.damaged().remove(provider);
        self.edits.push(KeyEdit::Drop(provider.clone()));
        true
    }

    /// Remembers what a test call taught about a key, if that key is still the active one. Counts as a change only if
    /// the badge or the model list changed.
    pub fn record_check(
        &mut self,
        provider: &ProviderName,
        key_id: Uuid,
        learnt: Learnt,
        condemnation: &Condemnation,
        now: OffsetDateTime,
    ) -> bool {
        let Some(old) = self
            .after
            .keys()
            .get(provider)
            .filter(|key| key.key_id == key_id)
            .cloned()
        else {
            return false;
        };
        let mut new = old.clone();
        if let Some(verdict) = learnt.verdict {
            new.health = old.health.after(verdict, now);
        }
        match learnt.models {
            ModelsLearnt::Nothing => {}
            ModelsLearnt::Hidden => new.models = None,
            ModelsLearnt::Listed(listing) => new.models = Some(listing),
        }
        let list = |key: &StoredKey| key.models.as_ref().map(|listing| listing.models.hash());
        let seen = old.health.badge(condemnation) != new.health.badge(condemnation)
            || list(&old) != list(&new);
        let keys = if seen {
            self.touch().0
        } else {
            self.holdings().0
        };
        keys.insert(provider.clone(), new.clone());
        self.edits.push(KeyEdit::Checked(Box::new(new)));
        true
    }

    /// Sets the BYO toggle; a workspace never seen comes into being also by `false`.
    pub fn set_byo(&mut self, enabled: bool) {
        let differs = matches!(&self.after, Holder::Workspace(old) if !old.exists || old.byo_enabled != enabled);
        if differs {
            self.touch();
        }
        if let Holder::Workspace(workspace) = &mut self.after {
            workspace.exists = true;
            workspace.byo_enabled = enabled;
        }
    }

    /// Selects a model for a provider, or clears the selection.
    pub fn select(&mut self, provider: &ProviderName, model: Option<ModelName>) {
        let Holder::Workspace(workspace) = &self.after else {
            return;
        };
        if model.is_none() && !workspace.selections.contains_key(provider) {
            return;
        }
        self.touch();
        if let Holder::Workspace(workspace) = &mut self.after {
            let revision = workspace.revision;
            match model {
                Some(model) => workspace
                    .selections
                    .insert(provider.clone(), Selection { model, revision }),
                None => workspace.selections.remove(provider),
            };
        }
    }

    /// Removes keys and selections and switches BYO off; revision and generations stay. A workspace never seen stays so.
    pub fn bury(&mut self) {
        let providers: Vec<_> = self
            .after
            .keys()
            .keys()
            .chain(self.after.damaged())
            .cloned()
            .collect();
        for provider in providers {
            self.drop_key(&provider);
        }
        let alive = |old: &Workspace| old.exists || old.byo_enabled || !old.selections.is_empty();
        if matches!(&self.after, Holder::Workspace(old) if alive(old)) {
            self.touch();
        }
        if let Holder::Workspace(workspace) = &mut self.after {
            workspace.exists = false;
            workspace.byo_enabled = false;
            workspace.selections.clear();
        }
    }

    fn damaged(&mut self) -> &mut BTreeSet<ProviderName> {
        match &mut self.after {
            Holder::Workspace(Workspace { damaged, .. })
            | Holder::Platform(Platform { damaged, .. }) => damaged,
        }
    }

    /// Counts the change, once.
    fn touch(&mut self) -> (&mut ByProvider<StoredKey>, &mut ByProvider<u64>) {
        let revision = self.before.revision().saturating_add(1);
        match &mut self.after {
            Holder::Workspace(workspace) => workspace.revision = revision,
            Holder::Platform(platform) => platform.revision = revision,
        }
        self.holdings()
    }

    fn holdings(&mut self) -> (&mut ByProvider<StoredKey>, &mut ByProvider<u64>) {
        match &mut self.after {
            Holder::Workspace(Workspace {
                keys, generations, ..
            })
            | Holder::Platform(Platform {
                keys, generations, ..
            }) => (keys, generations),
        }
    }
}
