//! The decision, row by row: every sentence of "which model" and every case of "who pays".

use time::Duration;

use super::{
    UnknownWorkspace,
    world::{NOW, World, condemned, key, provider},
};
use crate::domain::{error::Reason, workspace::Listing};

/// `(model, provider, outcome)` in one world, for the purpose `reply`.
fn check(world: &World, rows: &[(&str, &str, &str)]) {
    for (model, provider, expected) in rows {
        assert_eq!(
            world.outcome(model, provider, ""),
            *expected,
            "model {model:?}, provider {provider:?}"
        );
    }
}

// ---- which model ---------------------------------------------------------------------------------------------------

#[test]
fn a_model_is_a_family_an_alias_or_a_concrete_id() {
    check(
        &World::new(),
        &[
            ("small", "", "small-2030 Credits"), // a family: its first id that is not retired
            ("small-2031", "", "small-2031 Credits"), // a concrete id pins itself
            ("small-new", "", "small-2030 Credits"), // an alias counts as its dated id
            ("haiku", "", "haiku-1 Credits"), // a name that is both family and alias is the family
            ("smal", "", "MODEL_UNKNOWN"),    // exact, never by prefix
            ("small-20", "", "MODEL_UNKNOWN"),
            ("SMALL", "", "MODEL_UNKNOWN"),
        ],
    );
}

#[test]
fn model_and_provider_must_agree() {
    check(
        &World::new(),
        &[
            ("small", "openai", "small-2030 Credits"),
            ("small", "anthropic", "FIELD_INVALID"),
            ("small-2031", "home", "FIELD_INVALID"),
            ("small", "stranger", "PROVIDER_UNKNOWN"),
        ],
    );
}

#[test]
fn a_model_outside_the_catalog_needs_its_provider_and_the_workspaces_own_key() {
    check(
        &World::new(),
        &[
            ("ft:mine", "", "MODEL_UNKNOWN"),
            ("ft:mine", "openai", "MODEL_UNKNOWN"),
        ],
    );
    check(
        &World::byo(&[]),
        &[
            ("ft:mine", "", "MODEL_UNKNOWN"),
            ("ft:mine", "openai", "ft:mine Byo"),
        ],
    );
    check(&World::new(), &[("qwen", "home", "qwen Unmetered")]);
}

#[test]
fn a_provider_alone_means_the_selection_there_else_its_default() {
    let mut world = World::new();
    check(
        &world,
        &[
            ("", "openai", "small-2030 Credits"),
            ("", "anthropic", "haiku-1 Credits"),
        ],
    );
    world.select("openai", "small-2031", 1);
    check(
        &world,
        &[
            ("", "openai", "small-2031 Credits"),
            ("", "anthropic", "haiku-1 Credits"),
        ],
    );
}

#[test]
fn nothing_named_means_the_most_recent_selection_else_the_catalogs_default() {
    let mut world = World::new();
    check(&world, &[("", "", "small-2030 Credits")]);
    world.select("openai", "small-2031", 1);
    world.select("anthropic", "haiku", 2);
    check(&world, &[("", "", "haiku-1 Credits")]);
    world.select("openai", "small-2031", 3);
    check(&world, &[("", "", "small-2031 Credits")]);
}

#[test]
fn where_the_platform_pays_a_selection_outside_the_catalog_is_passed_over() {
    let mut world = World::byo(&[]);
    world.select("anthropic", "haiku", 1);
    world.select("openai", "ft:mine", 2);
    check(
        &world,
        &[("", "", "ft:mine Byo"), ("", "openai", "ft:mine Byo")],
    );
    assert_eq!(world.outcome("", "", "training"), "haiku-1 Unmetered");
    assert_eq!(
        world.outcome("", "openai", "embedding"),
        "small-2030 Credits"
    );
    world.workspace.byo_enabled = false;
    check(
        &world,
        &[
            ("", "", "haiku-1 Credits"),
            ("", "openai", "small-2030 Credits"),
        ],
    );
    world.select("home", "qwen", 3);
    check(&world, &[("", "", "qwen Unmetered")]); // a local model has no payer to pass it over
}

#[test]
fn a_selection_stays_with_its_provider_though_another_took_its_name_over() {
    let mut world = World::byo(&[]);
    world.select("openai", "haiku-1", 1);
    check(
        &world,
        &[("", "", "haiku-1 Byo"), ("", "openai", "haiku-1 Byo")],
    );
    assert_eq!(
        world.decide("", "", "").unwrap().provider.name,
        provider("openai")
    );
    world.workspace.byo_enabled = false;
    check(
        &world,
        &[
            ("", "", "small-2030 Credits"),
            ("", "openai", "small-2030 Credits"),
        ],
    );
}

#[test]
fn under_byo_a_family_is_the_first_id_that_the_key_lists() {
    check(
        &World::byo(&["small-2031"]),
        &[("small", "", "small-2031 Byo")],
    );
    check(
        &World::byo(&["small-2030", "small-2031"]),
        &[("small", "", "small-2030 Byo")],
    );
    check(
        &World::byo(&["small-new"]),
        &[("small", "", "small-new Byo")],
    ); // the spelling that the key lists
    check(
        &World::byo(&["small-2029", "other"]),
        &[("small", "", "MODEL_NOT_AVAILABLE")],
    ); // retired, though listed
    check(
        &World::byo(&["other"]),
        &[("small", "", "MODEL_NOT_AVAILABLE")],
    );
}

#[test]
fn the_platforms_list_chooses_the_spelling_but_refuses_nothing() {
    let mut world = World::new();
    let listed = |ids| key(1, "https://api.openai.example/v1", ids);
    world
        .platform
        .keys
        .insert(provider("openai"), listed(&["small-new"]));
    check(
        &world,
        &[
            ("small", "", "small-new Credits"),
            ("small-2031", "", "small-2031 Credits"),
        ],
    );
    world
        .platform
        .keys
        .insert(provider("openai"), listed(&["other"]));
    check(&world, &[("small", "", "small-2030 Credits")]);
}

#[test]
fn none_left_names_the_successor() {
    let world = World::new();
    let refusal = world.decide("old", "", "").unwrap_err();
    assert_eq!(refusal.reason(), Reason::ModelNotAvailable);
    assert!(
        refusal
            .metadata()
            .contains(&("successor", "small".to_owned()))
    );
    assert!(refusal.message().contains("use small instead"));
    let world = World::byo(&["other"]);
    let refusal = world.decide("small", "", "").unwrap_err();
    let within = refusal
        .metadata()
        .iter()
        .any(|(name, _)| *name == "successor");
    assert!(
        !within,
        "a successor within the family was judged like the others"
    );
}

#[test]
fn a_pinned_id_past_its_day_is_refused_unless_the_paying_keys_list_shows_it() {
    check(
        &World::new(),
        &[
            ("small-2029", "", "MODEL_NOT_AVAILABLE"),
            ("old-2028", "", "MODEL_NOT_AVAILABLE"),
        ],
    );
    check(
        &World::byo(&["small-2029"]),
        &[("small-2029", "", "small-2029 Byo")],
    );
    check(
        &World::byo(&["small-latest"]),
        &[("small-2029", "", "small-latest Byo")],
    );
    check(
        &World::byo(&["small-2030"]),
        &[("small-2029", "", "MODEL_NOT_AVAILABLE")],
    );
    let mut world = World::new();
    world.platform.keys.insert(
        provider("openai"),
        key(1, "https://api.openai.example/v1", &["old-2028"]),
    );
    check(
        &world,
        &[
            ("old-2028", "", "old-2028 Credits"),
            ("old", "", "MODEL_NOT_AVAILABLE"),
        ],
    );
}

#[test]
fn only_a_fresh_list_refuses() {
    let mut world = World::byo(&["other"]);
    check(
        &world,
        &[
            ("small", "", "MODEL_NOT_AVAILABLE"),
            ("ft:mine", "openai", "MODEL_NOT_AVAILABLE"),
        ],
    );
    let own = world.workspace.keys.get_mut(&provider("openai")).unwrap();
    let list = own.models.clone().unwrap().models;
    own.models = Some(Listing {
        models: list,
        as_of: NOW - Duration::hours(24),
    });
    check(
        &world,
        &[
            ("small", "", "small-2030 Byo"),
            ("ft:mine", "openai", "ft:mine Byo"),
        ],
    );
    world
        .workspace
        .keys
        .get_mut(&provider("openai"))
        .unwrap()
        .models = None;
    check(&world, &[("small", "", "small-2030 Byo")]);
}

// ---- who pays ------------------------------------------------------------------------------------------------------

#[test]
fn row_1_a_provider_no_longer_configured_is_disabled() {
    let mut world = World::byo(&[]);
    world.own("gone", key(11, "https://gone.example/v1", &[]));
    world.select("gone", "gone-1", 9);
    check(
        &world,
        &[
            ("gone-1", "gone", "PROVIDER_DISABLED"),
            ("", "gone", "PROVIDER_DISABLED"),
            ("", "", "PROVIDER_DISABLED"),
            ("x", "never-heard-of", "PROVIDER_UNKNOWN"),
        ],
    );
}

#[test]
fn row_2_a_local_model_is_never_metered_whatever_the_toggle() {
    let mut world = World::new();
    for byo in [false, true] {
        world.workspace.byo_enabled = byo;
        for purpose in ["", "training", "embedding"] {
            assert_eq!(world.outcome("llama", "", purpose), "llama-1 Unmetered");
            let decision = world.decide("llama", "", purpose).unwrap();
            assert!(decision.grant.key().is_none() && decision.grant.charge().is_none());
            assert_eq!(decision.base_url(), "http://localhost:1/v1");
        }
    }
    world.workspace.exists = false;
    world.policy.unknown_workspace = UnknownWorkspace::Refuse;
    assert_eq!(world.outcome("llama", "", ""), "llama-1 Unmetered");
}

#[test]
fn row_3_a_free_purpose_uses_the_platforms_key_unmetered() {
    for world in [World::new(), World::byo(&[])] {
        let decision = world.decide("small", "", "training").unwrap();
        assert_eq!(decision.grant.key().unwrap().key_id.as_u128(), 1);
        assert!(decision.grant.charge().is_none());
        assert_eq!(
            world.outcome("small", "", "training"),
            "small-2030 Unmetered"
        );
        assert_eq!(
            world.refusal("ft:mine", "openai", "training"),
            Reason::ModelUnknown
        );
    }
}

#[test]
fn row_4_a_platform_purpose_is_paid_in_credits_whatever_the_toggle() {
    for world in [World::new(), World::byo(&[])] {
        let decision = world.decide("small", "", "embedding").unwrap();
        assert_eq!(decision.grant.key().unwrap().key_id.as_u128(), 1);
        assert_eq!(decision.grant.charge().unwrap().micros_per_call, 1);
        assert_eq!(
            world.refusal("ft:mine", "openai", "embedding"),
            Reason::ModelUnknown
        );
    }
}

#[test]
fn row_5_toggle_off_or_never_seen_means_credits() {
    let mut world = World::new();
    world.own("openai", key(10, "https://api.openai.example/v1", &[]));
    let decision = world.decide("small", "", "").unwrap();
    assert_eq!(decision.grant.key().unwrap().key_id.as_u128(), 1);
    assert_eq!(decision.grant.charge().unwrap().unit, "credits");
    world.workspace.exists = false;
    check(&world, &[("small", "", "small-2030 Credits")]);
    world.policy.unknown_workspace = UnknownWorkspace::Refuse;
    check(&world, &[("small", "", "WORKSPACE_UNKNOWN")]);
    assert_eq!(
        world.outcome("small", "", "training"),
        "small-2030 Unmetered"
    );
}

#[test]
fn row_6_toggle_on_without_a_key_is_refused_never_the_platforms_key() {
    let world = World::byo(&[]);
    check(
        &world,
        &[
            ("haiku", "", "BYO_KEY_MISSING"),
            ("", "anthropic", "BYO_KEY_MISSING"),
        ],
    );
}

#[test]
fn row_7_an_endpoint_or_header_no_longer_allowed_is_refused() {
    let mut world = World::byo(&[]);
    world.own("openai", key(10, "https://old.api.openai.example/v1", &[]));
    check(&world, &[("small", "", "ENDPOINT_NO_LONGER_ALLOWED")]);
    let mut with_header = key(10, "https://eu.api.openai.example/v1", &[]);
    with_header
        .binding
        .headers
        .insert("OpenAI-Project".into(), "p".into());
    world.own("openai", with_header.clone());
    check(&world, &[("small", "", "small-2030 Byo")]);
    with_header
        .binding
        .headers
        .insert("X-Other".into(), "p".into());
    with_header.health = condemned();
    world.own("openai", with_header);
    check(&world, &[("small", "", "ENDPOINT_NO_LONGER_ALLOWED")]); // before row 8
}

#[test]
fn row_8_a_condemned_key_is_refused_with_its_verdict() {
    let mut world = World::byo(&["other"]);
    world
        .workspace
        .keys
        .get_mut(&provider("openai"))
        .unwrap()
        .health = condemned();
    let refusal = world.decide("small", "", "").unwrap_err(); // before row 9
    assert_eq!(refusal.reason(), Reason::ByoKeyRejected);
    assert!(
        refusal
            .metadata()
            .contains(&("verdict", "INVALID".to_owned()))
    );
    assert!(
        refusal
            .metadata()
            .contains(&("checked_at", "2030-06-15T11:59:00Z".to_owned()))
    );
}

#[test]
fn row_9_a_model_that_the_key_cannot_use_is_refused() {
    check(
        &World::byo(&["small-2031"]),
        &[("small-2030", "", "MODEL_NOT_AVAILABLE")],
    );
}

#[test]
fn row_10_otherwise_the_workspaces_key_and_the_fee() {
    use crate::domain::verdict::{Health, Verdict};
    let mut world = World::byo(&[]);
    for verdict in [
        None,
        Some(Verdict::Valid),
        Some(Verdict::NoFunds),
        Some(Verdict::Unreachable),
    ] {
        world
            .workspace
            .keys
            .get_mut(&provider("openai"))
            .unwrap()
            .health = Health::new_saved(verdict, NOW);
        let decision = world.decide("small", "", "").unwrap();
        assert_eq!(decision.grant.key().unwrap().key_id.as_u128(), 10);
        assert_eq!(decision.grant.charge().unwrap().micros_per_call, 2);
        assert_eq!(decision.base_url(), "https://api.openai.example/v1");
    }
    let outside = world.decide("ft:mine", "openai", "").unwrap();
    assert_eq!(outside.grant.charge().unwrap().micros_per_call, 9); // the provider's default fee
    world.own("anthropic", key(12, "https://api.anthropic.example", &[]));
    let fee = world.catalog.providers[&provider("openai")].byo_fee.clone(); // for models outside the catalog only
    world
        .catalog
        .providers
        .get_mut(&provider("anthropic"))
        .unwrap()
        .byo_fee = fee;
    assert!(
        world
            .decide("haiku", "", "")
            .unwrap()
            .grant
            .charge()
            .is_none()
    ); // a model without a fee
    assert_eq!(
        world.decide("haiku", "", "").unwrap().headers()["anthropic-version"],
        "2023-06-01"
    );
}

#[test]
fn rows_3_to_5_judge_the_platforms_key_too() {
    for purpose in ["", "training", "embedding"] {
        let mut world = World::new();
        world
            .platform
            .keys
            .get_mut(&provider("openai"))
            .unwrap()
            .health = condemned();
        assert_eq!(
            world.refusal("small", "", purpose),
            Reason::PlatformKeyRejected
        );
        world
            .platform
            .keys
            .insert(provider("openai"), key(1, "https://gone.example/v1", &[]));
        assert_eq!(
            world.refusal("small", "", purpose),
            Reason::EndpointNoLongerAllowed
        );
        world.platform.keys.clear();
        assert_eq!(
            world.refusal("small", "", purpose),
            Reason::PlatformKeyMissing
        );
    }
}

#[test]
fn an_unknown_purpose_is_refused() {
    assert_eq!(
        World::new().refusal("small", "", "gossip"),
        Reason::PurposeUnknown
    );
}

// ---- why not the others --------------------------------------------------------------------------------------------

#[test]
fn every_other_candidate_has_its_reason() {
    let found = World::byo(&["small-2031"]).candidates("small", "");
    let reasons: Vec<_> = found
        .iter()
        .map(|one| (one.name.as_str(), one.reason.as_str()))
        .collect();
    assert_eq!(
        reasons,
        [
            (
                "platform key for openai",
                "BYO is on: the platform's key is never used"
            ),
            ("small-2029", "its provider has retired it"),
            ("small-2030", "the key's own list does not show it"),
        ]
    );
    let mut off = World::byo(&[]);
    off.workspace.byo_enabled = false;
    let found = off.candidates("small", "");
    assert_eq!(
        (found[0].name.as_str(), found[0].reason.as_str()),
        ("workspace key for openai", "BYO is off")
    );
    assert_eq!(found[2].reason, "an id before it in the catalog was taken");
}
