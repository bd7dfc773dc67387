//! ListModels: the models that a workspace can use, and the reason for each other one.

mod refresh;

use byokd::contract::v1::{self, BillingMode};
use tonic::Status;

use crate::support::{Byokd, openai_key, refused};

fn all(workspace: &str) -> v1::ListModelsRequest {
    v1::ListModelsRequest {
        workspace_id: workspace.into(),
        include_unavailable: true,
        ..Default::default()
    }
}

async fn list(byokd: &Byokd, request: v1::ListModelsRequest) -> v1::ListModelsResponse {
    byokd
        .admin()
        .list_models(request)
        .await
        .unwrap()
        .into_inner()
}

/// `model` or `model: REASON`, one for each entry.
async fn described(byokd: &Byokd, request: v1::ListModelsRequest) -> Vec<String> {
    let describe = |model: v1::Model| match model.available {
        true => model.model,
        false => format!("{}: {}", model.model, model.unavailable_reason),
    };
    list(byokd, request)
        .await
        .models
        .into_iter()
        .map(describe)
        .collect()
}

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

async fn byo(models: &[&str]) -> Byokd {
    let byokd = Byokd::start().await;
    byokd.provider.models_ok(models);
    byokd.set_key("acme", "openai", &openai_key(1)).await;
    byokd.toggle("acme", true).await;
    byokd
}

#[tokio::test]
async fn only_models_under_the_key_are_available_and_the_others_have_a_reason() {
    let byokd = byo(&["small-2029", "whisper-9", "ft:mine"]).await;
    let available = v1::ListModelsRequest {
        include_unavailable: false,
        ..all("acme")
    };
    assert_eq!(
        described(&byokd, available).await,
        ["llama-1", "small-2029", "ft:mine", "whisper-9"]
    );
    assert_eq!(
        described(&byokd, all("acme")).await,
        [
            "haiku-1: BYO_KEY_MISSING",
            "large-2030: MODEL_NOT_AVAILABLE",
            "llama-1",
            "old-2028: MODEL_NOT_AVAILABLE",
            "small-2029",
            "ft:mine",
            "whisper-9",
        ]
    );
    let one = v1::ListModelsRequest {
        provider: "anthropic".into(),
        ..all("acme")
    };
    assert_eq!(described(&byokd, one).await, ["haiku-1: BYO_KEY_MISSING"]);
    byokd.toggle("acme", false).await;
    assert_eq!(
        described(&byokd, all("acme")).await,
        [
            "haiku-1: PLATFORM_KEY_MISSING",
            "large-2030: PLATFORM_KEY_MISSING",
            "llama-1",
            "old-2028: PLATFORM_KEY_MISSING",
            "small-2030: PLATFORM_KEY_MISSING",
            "ft:mine: MODEL_UNKNOWN",
            "whisper-9: MODEL_UNKNOWN",
        ]
    );
}

#[tokio::test]
async fn an_entry_has_payer_end_of_life_and_successor() {
    let byokd = byo(&["small-2029", "whisper-9"]).await;
    select(&byokd, "small", "").await.unwrap();
    let models = list(&byokd, all("acme")).await.models;
    let entry = |name: &str| models.iter().find(|model| model.model == name).unwrap();
    let (small, outside) = (entry("small-2029"), entry("whisper-9"));
    assert!(small.in_catalog && small.selected && !outside.in_catalog && !outside.selected);
    assert_eq!(
        (
            small.family.as_str(),
            small.provider.as_str(),
            small.successor.as_str()
        ),
        ("small", "openai", "small-2030")
    );
    let fee = |model: &v1::Model| {
        let billing = model.billing.clone().unwrap();
        (
            billing.mode(),
            billing.charge.map(|charge| charge.micros_per_call),
        )
    };
    assert_eq!(fee(small), (BillingMode::Byo, Some(1_000)));
    assert_eq!(fee(outside), (BillingMode::Byo, Some(9)));
    assert_eq!(fee(entry("llama-1")), (BillingMode::Unmetered, None));
    let old = entry("old-2028");
    assert_eq!(
        (old.retires.as_str(), old.successor.as_str()),
        ("2028-01-01", "small")
    );
    assert!(old.billing.is_none() && !old.selected);
    byokd.set_platform_key("openai", &openai_key(9)).await;
    byokd.toggle("acme", false).await;
    let models = list(&byokd, all("acme")).await.models;
    let small = models.iter().find(|model| model.family == "small").unwrap();
    assert_eq!(fee(small), (BillingMode::Credits, Some(1_000_000)));
}

/// Each entry, and its family, resolves exactly as the list says; so does every page.
#[tokio::test]
async fn list_and_resolve_agree_on_every_model() {
    let byokd = byo(&["small-2029", "whisper-9"]).await;
    byokd
        .set_platform_key("anthropic", "sk-ant-api03-SYNTHETIC")
        .await;
    for byo in [true, false] {
        byokd.toggle("acme", byo).await;
        let whole = list(&byokd, all("acme")).await;
        for model in &whole.models {
            let names = [model.model.as_str(), model.family.as_str()];
            for name in names.into_iter().filter(|name| !name.is_empty()) {
                let resolved = byokd.resolve("acme", name, &model.provider).await;
                match resolved {
                    Ok(resolved) => {
                        assert!(model.available, "{name}");
                        assert_eq!(resolved.model, model.model);
                        assert_eq!(resolved.billing, model.billing);
                    }
                    refusal => assert_eq!(refused(refusal), model.unavailable_reason, "{name}"),
                }
            }
        }
        let mut pages = Vec::new();
        let mut token = String::new();
        loop {
            let page = v1::ListModelsRequest {
                page_size: 1,
                page_token: token,
                ..all("acme")
            };
            let page = list(&byokd, page).await;
            assert_eq!((page.models.len(), page.as_of), (1, whole.as_of));
            pages.extend(page.models);
            token = page.next_page_token;
            if token.is_empty() {
                break;
            }
        }
        assert_eq!(pages, whole.models);
    }
}
