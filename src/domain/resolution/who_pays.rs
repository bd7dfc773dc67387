//! Tests of the payer: every row of the decision.

use super::{
    facts::UnknownWorkspace,
    world::{NOW, World, check, condemned, key, provider},
};
use crate::domain::error::Reason;

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
