//! A small world for the tests of the decision: a catalog and a calendar of their own.

use std::{collections::BTreeMap, sync::Arc};

use time::{Duration, OffsetDateTime, macros::datetime};
use uuid::Uuid;

use super::{
    candidates::{Candidate, candidates},
    decide::decide,
    decision::Decision,
    facts::{Ask, Facts, Policy, UnknownWorkspace},
};
use crate::domain::{
    catalog::Catalog,
    error::{Error, Reason},
    models::ModelList,
    names::{ModelName, OnBehalfOf, ProviderName, PurposeName, WorkspaceId},
    verdict::{Condemnation, Health, Verdict},
    workspace::{Binding, Listing, Platform, Selection, StoredKey, Workspace},
};

pub(super) const NOW: OffsetDateTime = datetime!(2030-06-15 12:00 UTC);

pub(super) const CATALOG: &str = r#"
version = "test-1"
default_model = "small"
[providers.openai]
protocol = "openai"
hosts = ["https://api.openai.example/v1", "https://eu.api.openai.example/v1"]
headers = ["OpenAI-Project"]
default_model = "small"
byo_fee = { unit = "USD", micros_per_call = 9 }
[providers.anthropic]
protocol = "anthropic"
hosts = ["https://api.anthropic.example"]
default_model = "haiku"
[providers.home]
protocol = "local"
hosts = ["http://localhost:1/v1", "http://localhost:2/v1"]
default_model = "llama"
[models.small]
provider = "openai"
ids = [
  { id = "small-2029", aliases = ["small-latest"], retires = 2030-06-15, successor = "small-2030" },
  { id = "small-2030", aliases = ["small-new", "haiku"] },
  { id = "small-2031" },
]
credits = { unit = "credits", micros_per_call = 1 }
byo_fee = { unit = "USD", micros_per_call = 2 }
[models.old]
provider = "openai"
ids = [{ id = "old-2028", retires = 2030-01-01, successor = "small" }]
credits = { unit = "credits", micros_per_call = 3 }
[models.haiku]
provider = "anthropic"
ids = [{ id = "haiku-1" }]
credits = { unit = "credits", micros_per_call = 4 }
[models.llama]
provider = "home"
ids = [{ id = "llama-1" }]
[purposes.training]
payer = "free"
[purposes.embedding]
payer = "platform"
"#;

/// Everything a decision rests on, owned, so that a test changes what it is about.
#[derive(Debug)]
pub(super) struct World {
    pub(super) catalog: Catalog,
    pub(super) workspace: Workspace,
    pub(super) platform: Platform,
    pub(super) policy: Policy,
}

pub(super) fn provider(name: &str) -> ProviderName {
    ProviderName::parse(name).unwrap()
}

pub(super) fn ask(model: &str, provider: &str, purpose: &str) -> Ask {
    Ask {
        model: ModelName::parse(model).ok(),
        provider: ProviderName::parse(provider).ok(),
        purpose: PurposeName::parse(purpose).unwrap_or_else(|_| PurposeName::reply()),
    }
}

/// A key with a good verdict that lists these ids; an empty list is hidden.
pub(super) fn key(id: u128, base_url: &str, listed: &[&str]) -> StoredKey {
    StoredKey {
        key_id: Uuid::from_u128(id),
        generation: 1,
        masked: "…".into(),
        binding: Binding {
            base_url: base_url.into(),
            headers: BTreeMap::new(),
        },
        health: Health::new_saved(Some(Verdict::Valid), NOW),
        models: (!listed.is_empty()).then(|| Listing {
            models: Arc::new(ModelList::new(listed.iter().map(ToString::to_string))),
            as_of: NOW,
        }),
        set_by: "tests".into(),
        on_behalf_of: OnBehalfOf::default(),
        set_at: NOW,
        sealed: Arc::from([]),
    }
}

pub(super) fn condemned() -> Health {
    let first = Health::new_saved(Some(Verdict::Valid), NOW - Duration::hours(1));
    let at = |minutes| NOW - Duration::minutes(minutes);
    first
        .after(Verdict::Invalid, at(20))
        .after(Verdict::Invalid, at(10))
        .after(Verdict::Invalid, at(1))
}

impl World {
    /// BYO off, no workspace keys, platform keys for both vendors.
    pub(super) fn new() -> Self {
        let mut workspace = Workspace::unseen(WorkspaceId::parse("acme").unwrap());
        workspace.exists = true;
        workspace.revision = 1;
        let mut platform = Platform::default();
        platform.keys.insert(
            provider("openai"),
            key(1, "https://api.openai.example/v1", &[]),
        );
        platform.keys.insert(
            provider("anthropic"),
            key(2, "https://api.anthropic.example", &[]),
        );
        Self {
            catalog: Catalog::parse(CATALOG).unwrap(),
            workspace,
            platform,
            policy: Policy {
                unknown_workspace: UnknownWorkspace::Platform,
                condemnation: Condemnation::default(),
            },
        }
    }

    /// BYO on, with a key for OpenAI that lists these ids.
    pub(super) fn byo(listed: &[&str]) -> Self {
        let mut world = Self::new();
        world.workspace.byo_enabled = true;
        world.own("openai", key(10, "https://api.openai.example/v1", listed));
        world
    }

    pub(super) fn own(&mut self, name: &str, key: StoredKey) {
        self.workspace.keys.insert(provider(name), key);
    }

    pub(super) fn select(&mut self, name: &str, model: &str, revision: u64) {
        let model = ModelName::parse(model).unwrap();
        self.workspace
            .selections
            .insert(provider(name), Selection { model, revision });
    }

    pub(super) fn facts(&self) -> Facts<'_> {
        Facts {
            workspace: &self.workspace,
            platform: &self.platform,
            catalog: &self.catalog,
            policy: &self.policy,
            now: NOW,
        }
    }

    pub(super) fn decide(
        &self,
        model: &str,
        provider: &str,
        purpose: &str,
    ) -> Result<Decision<'_>, Error> {
        decide(self.facts(), &ask(model, provider, purpose))
    }

    /// The model and payer of a grant, as `model mode`, or the reason of a refusal.
    pub(super) fn outcome(&self, model: &str, provider: &str, purpose: &str) -> String {
        match self.decide(model, provider, purpose) {
            Ok(decision) => format!("{} {:?}", decision.model, decision.grant.billing_mode()),
            Err(refusal) => refusal.reason().as_str().to_owned(),
        }
    }

    pub(super) fn refusal(&self, model: &str, provider: &str, purpose: &str) -> Reason {
        self.decide(model, provider, purpose).unwrap_err().reason()
    }

    pub(super) fn candidates(&self, model: &str, provider: &str) -> Vec<Candidate> {
        candidates(self.facts(), &ask(model, provider, ""))
    }
}

/// `(model, provider, outcome)` in one world, for the purpose `reply`.
pub(super) fn check(world: &World, rows: &[(&str, &str, &str)]) {
    for (model, provider, expected) in rows {
        assert_eq!(
            world.outcome(model, provider, ""),
            *expected,
            "model {model:?}, provider {provider:?}"
        );
    }
}
