//! Which model a call gets: every sentence of the contract as a row.

use time::Duration;

use super::world::{NOW, World, check, key, provider};
use crate::domain::{error::Reason, workspace::Listing};

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
