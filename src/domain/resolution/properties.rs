//! The decision over all states: what no combination of toggle, keys, verdicts, lists and purposes may yield.

use proptest::prelude::*;
use time::Duration;

use super::{
    candidates::candidates,
    decide::decide,
    decision::Grant,
    offers::offers,
    world::{NOW, World, ask, condemned, key, provider},
};
use crate::domain::{
    catalog::Payer,
    names::PurposeName,
    resolution::{BillingMode, UnknownWorkspace},
    verdict::{Health, Verdict},
    workspace::{ByProvider, Listing, StoredKey},
};

const MODELS: [&str; 10] = [
    "",
    "small",
    "small-2029",
    "small-2030",
    "small-new",
    "old",
    "haiku",
    "llama",
    "ft:mine",
    "no such",
];
const PROVIDERS: [&str; 6] = ["", "openai", "anthropic", "home", "gone", "stranger"];
const PURPOSES: [&str; 4] = ["", "training", "embedding", "gossip"];
const HOSTS: [&str; 3] = [
    "https://api.openai.example/v1",
    "https://api.anthropic.example",
    "https://elsewhere.example/v1",
];

prop_compose! {
    fn keys()(
        host in prop::sample::select(&HOSTS[..]),
        listed in prop::sample::subsequence(&["small-2029", "small-2030", "small-new", "haiku-1", "ft:mine"][..], 0..5),
        stale in any::<bool>(),
        verdict in prop::sample::select(&Verdict::ALL[..]),
        broken in prop::bool::weighted(0.2),
        id in 100_u128..1_000_000,
    ) -> StoredKey {
        let mut made = key(id, host, &listed);
        made.health = if broken { condemned() } else { Health::new_saved(Some(verdict), NOW) };
        if stale && let Some(listing) = made.models.take() {
            made.models = Some(Listing { as_of: NOW - Duration::hours(25), ..listing });
        }
        made
    }
}

prop_compose! {
    fn worlds()(
        byo in any::<bool>(),
        exists in any::<bool>(),
        refuse in any::<bool>(),
        own in prop::collection::btree_map(prop::sample::select(&PROVIDERS[1..]), keys(), 0..5),
        platform in prop::collection::btree_map(prop::sample::select(&PROVIDERS[1..3]), keys(), 0..3),
        selections in prop::collection::vec(
            (prop::sample::select(&PROVIDERS[1..]), prop::sample::select(&MODELS[1..9]), 1_u64..9), 0..3),
    ) -> World {
        let mut world = World::new();
        world.workspace.byo_enabled = byo;
        world.workspace.exists = exists || byo;
        if refuse {
            world.policy.unknown_workspace = UnknownWorkspace::Refuse;
        }
        world.platform.keys = platform.into_iter().map(|(name, key)| (provider(name), key)).collect();
        for (name, key) in own {
            world.own(name, key);
        }
        for (name, model, revision) in selections {
            world.select(name, model, revision);
        }
        world
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn no_state_yields_a_wrong_payer(
        world in worlds(),
        model in prop::sample::select(&MODELS[..]),
        name in prop::sample::select(&PROVIDERS[..]),
        purpose in prop::sample::select(&PURPOSES[..]),
    ) {
        let asked = ask(model, name, purpose);
        let payer = world.catalog.payer(&asked.purpose);
        let Ok(decision) = decide(world.facts(), &asked) else { return Ok(()) };
        let of = |keys: &ByProvider<StoredKey>, key: &StoredKey| {
            keys.get(&decision.provider.name).is_some_and(|held| held.key_id == key.key_id)
        };
        match &decision.grant {
            Grant::Local => prop_assert!(decision.provider.name == provider("home")),
            Grant::Free(key) => {
                prop_assert_eq!(payer, Some(Payer::Free));
                prop_assert!(of(&world.platform.keys, key));
            }
            Grant::Credits(key, price) => {
                // BYO on never yields a platform key for a purpose that follows the toggle.
                prop_assert!(payer == Some(Payer::Platform)
                    || payer == Some(Payer::FollowsToggle) && !world.workspace.byo_enabled);
                prop_assert!(of(&world.platform.keys, key));
                prop_assert!(price.micros_per_call > 0);
            }
            Grant::Byo(key, _) => {
                prop_assert!(world.workspace.byo_enabled && payer == Some(Payer::FollowsToggle));
                prop_assert!(of(&world.workspace.keys, key));
                prop_assert!(!key.health.condemned(&world.policy.condemnation));
            }
        }
        // A credential never comes without an endpoint that the catalog allows, nor without a model.
        prop_assert!(decision.provider.hosts.iter().any(|host| host == decision.base_url()));
        prop_assert!(!decision.model.is_empty());
        prop_assert_eq!(decision.grant.key().is_none(), matches!(decision.grant, Grant::Local));
        if decision.grant.billing_mode() == BillingMode::Unmetered {
            prop_assert!(decision.grant.charge().is_none());
        }
    }

    #[test]
    fn explain_list_and_resolve_agree(
        world in worlds(),
        model in prop::sample::select(&MODELS[..]),
        name in prop::sample::select(&PROVIDERS[..]),
    ) {
        let asked = ask(model, name, "");
        let decided = decide(world.facts(), &asked);
        if let Ok(decision) = &decided {
            // What was taken is not among what was not taken.
            for candidate in candidates(world.facts(), &asked) {
                prop_assert_ne!(&candidate.name, &decision.model);
                let own = candidate.name.starts_with("workspace key");
                prop_assert!(!(own && matches!(decision.grant, Grant::Byo(..))));
            }
        }
        for offer in offers(world.facts(), None) {
            let resolved = decide(world.facts(), &ask(offer.asked.as_str(), offer.provider.as_str(), PurposeName::reply().as_str()));
            match (&offer.outcome, resolved) {
                (Ok(listed), Ok(resolved)) => {
                    prop_assert_eq!(&listed.model, &resolved.model);
                    prop_assert_eq!(listed.grant.billing_mode(), resolved.grant.billing_mode());
                }
                (Err(listed), Err(resolved)) => prop_assert_eq!(listed.reason(), resolved.reason()),
                (listed, resolved) => prop_assert!(false, "{:?} but {:?}", listed, resolved.err()),
            }
        }
    }
}
