//! SelectModel: the names of a model, the life of a selection, and the order of selections.

use byokd::contract::v1;
use tonic::Status;

use crate::support::{Byokd, anthropic_key, new_key, openai_key, refused};

async fn select(byokd: &Byokd, model: &str, provider: &str) -> Result<v1::Workspace, Status> {
    let request = v1::SelectModelRequest {
        workspace_id: "acme".into(),
        model: model.into(),
        provider: provider.into(),
        ..Default::default()
    };
    let selected = byokd.admin().select_model(request).await?;
    Ok(selected.into_inner().workspace.unwrap())
}

/// The model of acme's calls without a model, or with the provider alone.
async fn used(byokd: &Byokd, provider: &str) -> String {
    byokd.resolve("acme", "", provider).await.unwrap().model
}

fn selected(workspace: &v1::Workspace, provider: &str) -> String {
    let entry = workspace
        .providers
        .iter()
        .find(|entry| entry.provider == provider);
    entry
        .map(|entry| entry.selected_model.clone())
        .unwrap_or_default()
}

async fn byo() -> Byokd {
    let byokd = Byokd::start().await;
    byokd.set_key("acme", "openai", &openai_key(1)).await;
    byokd.toggle("acme", true).await;
    byokd
}

#[tokio::test]
async fn a_family_an_alias_an_id_or_a_model_outside_the_catalog_can_be_selected() {
    let byokd = byo().await;
    let rows = [
        ("large", "", "large-2030"),
        ("small-latest", "", "small-2030"),
        ("small-2029", "openai", "small-2029"),
        ("whisper-9", "openai", "whisper-9"),
        ("llama", "", "llama-1"),
    ];
    for (model, provider, id) in rows {
        let workspace = select(&byokd, model, provider).await.unwrap();
        let of = if model == "llama" { "home" } else { "openai" };
        assert_eq!(
            selected(&workspace, of),
            model,
            "it is kept as it was chosen"
        );
        assert_eq!(used(&byokd, of).await, id);
        assert_eq!(used(&byokd, "").await, id, "the latest selection wins");
    }
    let revision = byokd.workspace("acme").await.revision;
    for (model, provider, why) in [
        ("not-listed", "openai", "MODEL_NOT_AVAILABLE"),
        ("old", "", "MODEL_NOT_AVAILABLE"),
        ("whisper-9", "", "MODEL_UNKNOWN"),
        ("whisper-9", "anthropic", "MODEL_UNKNOWN"),
    ] {
        assert_eq!(refused(select(&byokd, model, provider).await), why);
    }
    assert_eq!(byokd.workspace("acme").await.revision, revision);
}

#[tokio::test]
async fn the_latest_selection_that_is_not_cleared_wins() {
    let byokd = byo().await;
    byokd.set_key("acme", "anthropic", &anthropic_key(1)).await;
    for model in ["large", "haiku", "large"] {
        select(&byokd, model, "").await.unwrap();
    }
    assert_eq!(used(&byokd, "").await, "large-2030");
    select(&byokd, "haiku", "").await.unwrap();
    assert_eq!(used(&byokd, "").await, "haiku-1");
    assert_eq!(used(&byokd, "openai").await, "large-2030");
    let workspace = select(&byokd, "", "anthropic").await.unwrap();
    assert_eq!(selected(&workspace, "anthropic"), "");
    assert_eq!(used(&byokd, "").await, "large-2030");
    let workspace = select(&byokd, "", "openai").await.unwrap();
    assert_eq!(
        used(&byokd, "").await,
        "small-2030",
        "the catalog's default"
    );
    let again = select(&byokd, "", "openai").await.unwrap();
    assert_eq!(
        again.revision, workspace.revision,
        "there was nothing to clear"
    );
}

#[tokio::test]
async fn a_selection_survives_a_new_key_that_can_use_it() {
    let byokd = byo().await;
    select(&byokd, "large", "").await.unwrap();
    byokd.provider.models_ok(&["large-2030"]);
    let set = byokd.set_key("acme", "openai", &openai_key(2)).await;
    assert!(set.cleared_selections.is_empty());
    assert_eq!(selected(&set.workspace.unwrap(), "openai"), "large");
    byokd.toggle("acme", false).await;
    let toggled = byokd.toggle("acme", true).await;
    assert_eq!(selected(&toggled.workspace.unwrap(), "openai"), "large");
    assert_eq!(used(&byokd, "").await, "large-2030");
    let request = v1::DeleteKeyRequest {
        workspace_id: "acme".into(),
        provider: "openai".into(),
        ..Default::default()
    };
    byokd.admin().delete_key(request).await.unwrap();
    byokd.toggle("acme", false).await;
    assert!(
        byokd
            .toggle("acme", true)
            .await
            .cleared_selections
            .is_empty(),
        "no key refuses it"
    );
    byokd.set_key("acme", "openai", &openai_key(3)).await;
    assert_eq!(used(&byokd, "").await, "large-2030");
}

#[tokio::test]
async fn a_selection_that_the_new_key_cannot_use_is_cleared_and_reported() {
    let byokd = byo().await;
    for model in ["large", "whisper-9"] {
        byokd
            .provider
            .models_ok(&["large-2030", "whisper-9", "small-2030"]);
        byokd.set_key("acme", "openai", &openai_key(2)).await;
        select(&byokd, model, "openai").await.unwrap();
        byokd.provider.models_ok(&["small-2029"]);
        let set = byokd.set_key("acme", "openai", &openai_key(3)).await;
        assert_eq!(set.cleared_selections["openai"], model);
        assert_eq!(selected(&set.workspace.unwrap(), "openai"), "");
        assert_eq!(used(&byokd, "").await, "small-2029");
    }
}

/// Where the platform pays, a selection that only the workspace's key can use is skipped, and applies again
/// with the toggle.
#[tokio::test]
async fn a_selection_outside_the_catalog_waits_for_the_toggle() {
    let byokd = byo().await;
    byokd.set_platform_key("openai", &openai_key(9)).await;
    select(&byokd, "whisper-9", "openai").await.unwrap();
    byokd.toggle("acme", false).await;
    assert_eq!(used(&byokd, "").await, "small-2030");
    byokd.toggle("acme", true).await;
    assert_eq!(used(&byokd, "").await, "whisper-9");
}

#[tokio::test]
async fn a_key_is_not_stored_for_a_model_that_it_cannot_use() {
    let byokd = byo().await;
    byokd.provider.models_ok(&["small-2030"]);
    for model in ["large", "whisper-9", "small-2029"] {
        for validate_only in [true, false] {
            let request = v1::SetKeyRequest {
                model: model.into(),
                validate_only,
                ..new_key("acme", "openai", &openai_key(2))
            };
            let set = byokd.admin().set_key(request).await;
            assert_eq!(refused(set), "MODEL_NOT_AVAILABLE", "{model}");
        }
    }
    assert_eq!(byokd.workspace("acme").await.revision, 2);
    assert_eq!(byokd.secret("acme", "openai").await.unwrap(), openai_key(1));
}

#[tokio::test]
async fn a_selection_that_the_key_cannot_use_is_cleared_and_reported_when_byo_is_switched_on() {
    let byokd = Byokd::start().await;
    byokd.provider.models_ok(&["small-2030"]);
    byokd.set_key("acme", "openai", &openai_key(1)).await;
    // While the platform pays, the workspace does not see the list of the platform's key.
    select(&byokd, "large", "").await.unwrap();
    let toggled = byokd.toggle("acme", true).await;
    assert_eq!(toggled.cleared_selections["openai"], "large");
    assert_eq!(selected(&toggled.workspace.unwrap(), "openai"), "");
    assert_eq!(used(&byokd, "").await, "small-2030");
    select(&byokd, "small", "").await.unwrap();
    byokd.toggle("acme", false).await;
    assert!(
        byokd
            .toggle("acme", true)
            .await
            .cleared_selections
            .is_empty()
    );
}

/// A new key that switches BYO on also makes the other providers' keys pay.
#[tokio::test]
async fn a_key_that_switches_byo_on_clears_what_the_other_keys_cannot_use() {
    let byokd = Byokd::start().await;
    byokd.provider.models_ok(&["small-2030"]);
    byokd.set_key("acme", "openai", &openai_key(1)).await;
    select(&byokd, "large", "").await.unwrap();
    byokd.provider.models_ok(&["haiku-1"]);
    let set = byokd.set_key("acme", "anthropic", &anthropic_key(1)).await;
    assert!(
        set.cleared_selections.is_empty(),
        "the platform pays: it is not about that key"
    );
    let request = v1::SetKeyRequest {
        enable_byo: true,
        ..new_key("acme", "anthropic", &anthropic_key(2))
    };
    let set = byokd.admin().set_key(request).await.unwrap().into_inner();
    assert_eq!(set.cleared_selections["openai"], "large");
    assert_eq!(selected(&set.workspace.unwrap(), "openai"), "");
}

#[tokio::test]
async fn a_pinned_selection_is_listed_as_the_model_of_calls() {
    let byokd = byo().await;
    select(&byokd, "small-2029", "").await.unwrap();
    let request = v1::ListModelsRequest {
        workspace_id: "acme".into(),
        ..Default::default()
    };
    let listed = byokd
        .admin()
        .list_models(request)
        .await
        .unwrap()
        .into_inner()
        .models;
    let chosen: Vec<_> = listed
        .iter()
        .filter(|model| model.selected)
        .map(|model| model.model.as_str())
        .collect();
    assert_eq!(chosen, ["small-2029"]);
    assert_eq!(used(&byokd, "").await, "small-2029");
}

#[tokio::test]
async fn the_answer_to_a_new_key_has_its_models_before_byo_is_switched_on() {
    let byokd = Byokd::start().await;
    byokd.provider.models_ok(&["small-2030", "whisper-9"]);
    let set = byokd.set_key("acme", "openai", &openai_key(1)).await;
    let models: Vec<_> = set
        .models
        .iter()
        .map(|model| model.model.as_str())
        .collect();
    assert_eq!(models, ["small-2030", "whisper-9"]);
    assert!(
        set.models
            .iter()
            .all(|model| model.billing.as_ref().unwrap().mode() == v1::BillingMode::Byo)
    );
}

#[tokio::test]
async fn a_key_pasted_as_a_model_is_refused() {
    let byokd = byo().await;
    let status = select(&byokd, &openai_key(9), "openai").await.unwrap_err();
    assert_eq!(crate::support::reason(&status), "FIELD_INVALID");
    assert!(!format!("{status:?}").contains("00000009"));
}
