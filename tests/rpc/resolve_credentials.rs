//! ResolveCredentials: whose key, which model, where, and who pays.

use byokd::contract::v1::{BillingMode, KeySource};
use tonic::Code;

use crate::support::{Byokd, Reply, anthropic_key, ask, openai_key, reason, refused};

/// Works without set-up: the platform's key, in credits.
#[tokio::test]
async fn an_unknown_workspace_gets_the_platforms_key_and_credits() {
    let byokd = Byokd::start().await;
    byokd.set_platform_key("openai", &openai_key(1)).await;
    let resolved = byokd.resolve("acme", "", "").await.unwrap();
    assert_eq!(
        (resolved.provider.as_str(), resolved.model.as_str()),
        ("openai", "small-2030")
    );
    assert_eq!(resolved.credential.unwrap().api_key, openai_key(1));
    let endpoint = resolved.endpoint.unwrap();
    assert_eq!(endpoint.base_url, byokd.provider.base_url().as_str());
    assert_eq!(
        (endpoint.auth_header.as_str(), endpoint.auth_prefix.as_str()),
        ("authorization", "Bearer ")
    );
    let billing = resolved.billing.unwrap();
    assert_eq!(billing.mode(), BillingMode::Credits);
    let charge = billing.charge.unwrap();
    assert_eq!(
        (charge.unit.as_str(), charge.micros_per_call),
        ("credits", 1_000_000)
    );
    assert_eq!(charge.catalog_version, "test-1");
    assert_eq!(resolved.key.unwrap().source(), KeySource::Platform);
    let lease = resolved.lease.unwrap();
    assert_eq!(
        (
            lease.ttl.unwrap().seconds,
            lease.refresh_after.unwrap().seconds
        ),
        (60, 30)
    );
    assert!(!resolved.degraded && !resolved.resolution_id.is_empty());
    assert_eq!(byokd.workspace("acme").await.revision, 0);
}

/// A stored key is used at once; its provider bills the customer, with the reduced fee; no credits are
/// charged.
#[tokio::test]
async fn under_byo_the_workspaces_key_is_used_at_once_and_its_provider_bills() {
    let byokd = Byokd::start().await;
    byokd.set_platform_key("openai", &openai_key(1)).await;
    byokd.set_key("acme", "openai", &openai_key(2)).await;
    assert_eq!(byokd.secret("acme", "openai").await.unwrap(), openai_key(1));
    let toggled = byokd.toggle("acme", true).await;
    assert_eq!(toggled.providers_without_usable_key, ["anthropic", "groq"]);
    let resolved = byokd.resolve("acme", "small", "").await.unwrap();
    assert_eq!(resolved.credential.unwrap().api_key, openai_key(2));
    let billing = resolved.billing.unwrap();
    assert_eq!(billing.mode(), BillingMode::Byo);
    assert_eq!(billing.charge.unwrap().micros_per_call, 1_000);
    assert_eq!(resolved.key.unwrap().source(), KeySource::Workspace);
}

/// No key for a provider means that its models do not run; the platform's key is never used instead.
#[tokio::test]
async fn under_byo_another_providers_model_is_refused() {
    let byokd = Byokd::start().await;
    byokd.set_platform_key("anthropic", &anthropic_key(1)).await;
    byokd.set_key("acme", "openai", &openai_key(2)).await;
    byokd.toggle("acme", true).await;
    let status = byokd.resolve("acme", "haiku", "").await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::FailedPrecondition, "BYO_KEY_MISSING")
    );
}

/// Several providers, one active key for each.
#[tokio::test]
async fn several_providers_each_with_its_own_key() {
    let byokd = Byokd::start().await;
    byokd.set_key("acme", "openai", &openai_key(1)).await;
    byokd.set_key("acme", "anthropic", &anthropic_key(1)).await;
    byokd.toggle("acme", true).await;
    assert_eq!(byokd.secret("acme", "openai").await.unwrap(), openai_key(1));
    let resolved = byokd.resolve("acme", "haiku", "").await.unwrap();
    assert_eq!(resolved.credential.unwrap().api_key, anthropic_key(1));
    let endpoint = resolved.endpoint.unwrap();
    assert_eq!(endpoint.auth_header, "x-api-key");
    assert_eq!(endpoint.headers["anthropic-version"], "2023-06-01");
    assert_eq!(byokd.workspace("acme").await.providers.len(), 2);
}

/// Other features stay on credits, and training is free, whatever the toggle.
#[tokio::test]
async fn purposes_of_the_platform_ignore_the_toggle() {
    let byokd = Byokd::start().await;
    byokd.set_platform_key("openai", &openai_key(1)).await;
    byokd.set_key("acme", "openai", &openai_key(2)).await;
    byokd.toggle("acme", true).await;
    for (purpose, mode) in [
        ("embedding", BillingMode::Credits),
        ("training", BillingMode::Unmetered),
    ] {
        let resolved = byokd
            .resolver()
            .resolve_credentials(ask("acme", "small", "", purpose))
            .await
            .unwrap();
        let resolved = resolved.into_inner();
        assert_eq!(
            resolved.credential.unwrap().api_key,
            openai_key(1),
            "{purpose}"
        );
        assert_eq!(resolved.billing.unwrap().mode(), mode);
    }
}

/// A local model is never metered, and has no credential.
#[tokio::test]
async fn a_local_model_is_never_metered() {
    let byokd = Byokd::start().await;
    for enabled in [false, true] {
        byokd.toggle("acme", enabled).await;
        let resolved = byokd.resolve("acme", "llama", "").await.unwrap();
        assert!(resolved.credential.is_none());
        let billing = resolved.billing.unwrap();
        assert_eq!(
            (billing.mode(), billing.charge),
            (BillingMode::Unmetered, None)
        );
        assert_eq!(resolved.key.unwrap().source(), KeySource::None);
        assert_eq!(resolved.endpoint.unwrap().base_url, "http://localhost:1/v1");
    }
}

/// A model outside the catalog can be used with the workspace's own key, at the provider's default fee.
#[tokio::test]
async fn a_model_outside_the_catalog_can_be_used() {
    let byokd = Byokd::start().await;
    byokd.set_key("acme", "openai", &openai_key(1)).await;
    byokd.toggle("acme", true).await;
    let resolved = byokd.resolve("acme", "whisper-9", "openai").await.unwrap();
    assert_eq!(resolved.model, "whisper-9");
    assert_eq!(resolved.billing.unwrap().charge.unwrap().micros_per_call, 9);
    assert_eq!(
        refused(byokd.resolve("acme", "whisper-9", "").await),
        "MODEL_UNKNOWN"
    );
    assert_eq!(
        refused(byokd.resolve("acme", "not-listed", "openai").await),
        "MODEL_NOT_AVAILABLE"
    );
}

/// A key of one workspace is never used for another.
#[tokio::test]
async fn keys_are_scoped_to_their_workspace() {
    let byokd = Byokd::start().await;
    for (n, workspace) in [(0, "acme"), (1, "globex")] {
        byokd.set_key(workspace, "openai", &openai_key(n)).await;
        byokd.toggle(workspace, true).await;
    }
    assert_eq!(byokd.secret("acme", "openai").await.unwrap(), openai_key(0));
    assert_eq!(
        byokd.secret("globex", "openai").await.unwrap(),
        openai_key(1)
    );
}

/// Another provider of a known protocol is an entry in the catalog alone.
#[tokio::test]
async fn another_provider_is_an_entry_in_the_catalog_alone() {
    let byokd = Byokd::start().await;
    byokd
        .provider
        .on_generate_for("whisper-9", Reply::openai_model_not_found());
    byokd
        .set_key("acme", "groq", "gsk_SYNTHETIC0123456789")
        .await;
    byokd.toggle("acme", true).await;
    let resolved = byokd.resolve("acme", "large-2030-turbo", "groq").await;
    assert_eq!(refused(resolved), "MODEL_NOT_AVAILABLE");
    let resolved = byokd.resolve("acme", "whisper-9", "groq").await.unwrap();
    assert_eq!(resolved.provider, "groq");
    assert_eq!(resolved.billing.unwrap().charge.unwrap().micros_per_call, 5);
}
