//! ExplainResolution explains the decision of ResolveCredentials, without the secret; also when the catalog
//! has changed under stored keys.

mod catalog_moved;

use byokd::{
    contract::v1::{self, explain_resolution_response::Outcome},
    domain::caller::Role,
};

use crate::support::{Byokd, ask, openai_key, reason};

async fn explain(
    byokd: &Byokd,
    ask: &v1::ResolveCredentialsRequest,
) -> v1::ExplainResolutionResponse {
    let request = v1::ExplainResolutionRequest {
        workspace_id: ask.workspace_id.clone(),
        model: ask.model.clone(),
        provider: ask.provider.clone(),
        purpose: ask.purpose.clone(),
    };
    let explained = byokd.admin().explain_resolution(request).await.unwrap();
    explained.into_inner()
}

/// Both answer alike: the same grant, or the same reason. Returns it.
async fn agree(byokd: &Byokd, ask: v1::ResolveCredentialsRequest) -> String {
    let explained = explain(byokd, &ask).await;
    let shown = format!("{explained:?}");
    assert!(!shown.contains("SYNTHETIC"), "{shown}");
    assert!(
        explained
            .candidates
            .iter()
            .all(|other| !other.name.is_empty() && !other.reason.is_empty())
    );
    let resolved = byokd.resolver().resolve_credentials(ask.clone()).await;
    match (
        resolved.map(tonic::Response::into_inner),
        explained.outcome.unwrap(),
    ) {
        (Ok(granted), Outcome::Resolution(shown)) => {
            assert_eq!(
                (
                    granted.provider,
                    granted.model,
                    granted.endpoint,
                    granted.billing
                ),
                (
                    shown.provider,
                    shown.model.clone(),
                    shown.endpoint,
                    shown.billing
                ),
                "{ask:?}"
            );
            assert_eq!(granted.key, shown.key, "{ask:?}");
            shown.model
        }
        (Err(status), Outcome::Refusal(shown)) => {
            assert_eq!(reason(&status), shown.reason, "{ask:?}");
            assert_eq!(status.message(), shown.message, "{ask:?}");
            shown.reason
        }
        (resolved, shown) => panic!("{ask:?}: {resolved:?} but {shown:?}"),
    }
}

#[tokio::test]
async fn explain_equals_resolve_for_every_ask() {
    let byokd = Byokd::start().await;
    byokd.set_platform_key("openai", &openai_key(9)).await;
    byokd.provider.models_ok(&["small-2029", "whisper-9"]);
    byokd.set_key("acme", "openai", &openai_key(1)).await;
    // model, provider, purpose; with BYO on, and off
    let rows = [
        ("", "", "", "small-2029", "small-2030"),
        ("small", "", "", "small-2029", "small-2030"),
        ("small-2030", "", "", "MODEL_NOT_AVAILABLE", "small-2030"),
        (
            "small-latest",
            "openai",
            "",
            "MODEL_NOT_AVAILABLE",
            "small-2030",
        ),
        ("large", "", "", "MODEL_NOT_AVAILABLE", "large-2030"),
        ("old", "", "", "MODEL_NOT_AVAILABLE", "MODEL_NOT_AVAILABLE"),
        ("whisper-9", "openai", "", "whisper-9", "MODEL_UNKNOWN"),
        ("whisper-9", "", "", "MODEL_UNKNOWN", "MODEL_UNKNOWN"),
        ("haiku", "", "", "BYO_KEY_MISSING", "PLATFORM_KEY_MISSING"),
        ("haiku", "openai", "", "FIELD_INVALID", "FIELD_INVALID"),
        ("", "nosuch", "", "PROVIDER_UNKNOWN", "PROVIDER_UNKNOWN"),
        ("", "groq", "", "MODEL_UNKNOWN", "MODEL_UNKNOWN"),
        ("llama", "", "", "llama-1", "llama-1"),
        ("small", "", "training", "small-2030", "small-2030"),
        ("small", "", "embedding", "small-2030", "small-2030"),
        (
            "whisper-9",
            "openai",
            "training",
            "MODEL_UNKNOWN",
            "MODEL_UNKNOWN",
        ),
        (
            "haiku",
            "",
            "embedding",
            "PLATFORM_KEY_MISSING",
            "PLATFORM_KEY_MISSING",
        ),
    ];
    for (model, provider, purpose, on, off) in rows {
        for (enabled, expected) in [(true, on), (false, off)] {
            byokd.toggle("acme", enabled).await;
            let shown = agree(&byokd, ask("acme", model, provider, purpose)).await;
            assert_eq!(shown, expected, "{model} {provider} {purpose} {enabled}");
        }
    }
    assert_eq!(
        agree(&byokd, ask("never-seen", "", "", "")).await,
        "small-2030"
    );
}

#[tokio::test]
async fn explain_gives_the_reason_for_each_rejected_candidate() {
    let byokd = Byokd::start().await;
    byokd.set_platform_key("openai", &openai_key(9)).await;
    byokd.provider.models_ok(&["small-2029"]);
    byokd.set_key("acme", "openai", &openai_key(1)).await;
    let others = async |byokd: &Byokd| -> Vec<String> {
        let explained = explain(byokd, &ask("acme", "small", "", "")).await;
        assert_eq!(explained.revision, byokd.workspace("acme").await.revision);
        let describe =
            |other: v1::Candidate| format!("{} {}: {}", other.kind, other.name, other.reason);
        explained.candidates.into_iter().map(describe).collect()
    };
    byokd.toggle("acme", true).await;
    assert_eq!(
        others(&byokd).await,
        [
            "key platform key for openai: BYO is on: the platform's key is never used",
            "model small-2030: the key's own list does not show it",
        ]
    );
    byokd.toggle("acme", false).await;
    assert_eq!(
        others(&byokd).await,
        [
            "key workspace key for openai: BYO is off",
            "model small-2029: an id before it in the catalog was taken",
        ]
    );
}

#[tokio::test]
async fn every_authenticated_role_may_explain_and_purposes_are_checked_alike() {
    let byokd = Byokd::start().await;
    let request = |purpose: &str| v1::ExplainResolutionRequest {
        workspace_id: "acme".into(),
        purpose: purpose.into(),
        ..Default::default()
    };
    for role in [Role::Resolver, Role::Viewer, Role::Admin, Role::Operator] {
        let mut keys = byokd.keys_with(&byokd.token(&[role], "acme", &["reply"]));
        keys.explain_resolution(request("")).await.unwrap();
        let status = keys
            .explain_resolution(request("training"))
            .await
            .unwrap_err();
        assert_eq!(reason(&status), "PURPOSE_NOT_GRANTED");
        let status = keys
            .explain_resolution(request("nosuch"))
            .await
            .unwrap_err();
        assert_eq!(reason(&status), "PURPOSE_UNKNOWN");
    }
}
