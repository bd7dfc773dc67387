//! The age of a stored model list, and the effects of a refresh.

use std::time::Duration;

use byokd::contract::v1;

use super::{all, byo, described, list};
use crate::support::{Byokd, Reply, anthropic_key, openai_key, refused};

#[tokio::test]
async fn refresh_asks_the_provider_and_changes_nothing_without_an_answer() {
    let byokd = byo(&["small-2029"]).await;
    let refresh = || v1::ListModelsRequest {
        refresh: true,
        provider: "openai".into(),
        include_unavailable: false,
        ..all("acme")
    };
    let first = list(&byokd, all("acme")).await.as_of.unwrap();
    byokd.pass(Duration::from_secs(60));
    byokd.provider.models_ok(&["large-2030"]).forget_requests();
    let listed = list(&byokd, refresh()).await;
    assert_eq!(listed.models.len(), 1);
    assert_eq!(listed.models[0].model, "large-2030");
    assert_eq!(listed.as_of.unwrap().seconds - first.seconds, 60);
    assert_eq!(byokd.provider.requests().len(), 1, "a list, no generation");
    let revision = byokd.workspace("acme").await.revision;
    assert_eq!(revision, 3, "another list is a change");
    assert_eq!(
        refused(byokd.resolve("acme", "small", "").await),
        "MODEL_NOT_AVAILABLE"
    );

    byokd.pass(Duration::from_secs(60));
    let again = list(&byokd, refresh()).await;
    assert_eq!(again.as_of.unwrap().seconds - first.seconds, 120);
    assert_eq!(
        byokd.workspace("acme").await.revision,
        revision,
        "the same list is none"
    );

    for silent in [
        Reply::text(500, ""),
        Reply::cut(200),
        Reply::html(200),
        Reply::openai_wrong_key("x"),
    ] {
        byokd.pass(Duration::from_secs(60));
        byokd.provider.on_list(silent);
        let listed = list(&byokd, refresh()).await;
        assert_eq!(
            (listed.models, listed.as_of),
            (again.models.clone(), again.as_of)
        );
    }
    assert_eq!(byokd.workspace("acme").await.revision, revision);

    // A list that is now hidden says nothing about the key's models.
    byokd.provider.on_list(Reply::text(404, ""));
    assert!(list(&byokd, refresh()).await.as_of.is_none());
    assert_eq!(
        byokd.resolve("acme", "small", "").await.unwrap().model,
        "small-2030"
    );
}

#[tokio::test]
async fn a_list_older_than_a_day_refuses_nothing() {
    let byokd = byo(&["small-2029"]).await;
    byokd.pass(Duration::from_secs(24 * 3600 - 1));
    assert_eq!(
        refused(byokd.resolve("acme", "large", "").await),
        "MODEL_NOT_AVAILABLE"
    );
    assert_eq!(
        byokd.resolve("acme", "small", "").await.unwrap().model,
        "small-2029"
    );
    byokd.pass(Duration::from_secs(1));
    for (model, provider, id) in [
        ("large", "", "large-2030"),
        ("small", "", "small-2030"),
        ("nosuch", "openai", "nosuch"),
    ] {
        assert_eq!(
            byokd.resolve("acme", model, provider).await.unwrap().model,
            id
        );
    }
    assert!(
        described(&byokd, all("acme"))
            .await
            .contains(&"large-2030".to_owned())
    );
    byokd.provider.models_ok(&["large-2030"]);
    let refresh = v1::ListModelsRequest {
        refresh: true,
        ..all("acme")
    };
    list(&byokd, refresh).await;
    assert_eq!(
        refused(byokd.resolve("acme", "small", "").await),
        "MODEL_NOT_AVAILABLE"
    );
}

/// No provider's new list is stored if another provider could not be asked: the call is limited as a whole.
#[tokio::test]
async fn a_refresh_that_is_limited_halfway_changes_nothing() {
    let byokd = Byokd::start_with(|config| config.checks.per_workspace_per_minute = 3).await;
    byokd.set_key("acme", "anthropic", &anthropic_key(1)).await;
    byokd.set_key("acme", "openai", &openai_key(1)).await;
    let before = list(&byokd, all("acme")).await;
    byokd.pass(Duration::from_secs(60));
    byokd.provider.models_ok(&["large-2030"]);
    let refresh = v1::ListModelsRequest {
        refresh: true,
        ..all("acme")
    };
    assert_eq!(
        refused(byokd.admin().list_models(refresh).await),
        "RATE_LIMITED"
    );
    assert_eq!(list(&byokd, all("acme")).await, before);
    assert_eq!(byokd.workspace("acme").await.revision, 2);
}

/// Only the named provider is asked; the answer as a whole is as old as the oldest list.
#[tokio::test]
async fn a_refresh_asks_only_the_named_provider() {
    let byokd = byo(&["small-2029", "haiku-1"]).await;
    byokd.set_key("acme", "anthropic", &anthropic_key(1)).await;
    let first = list(&byokd, all("acme")).await.as_of.unwrap();
    byokd.pass(Duration::from_secs(60));
    byokd.provider.forget_requests();
    let one = v1::ListModelsRequest {
        refresh: true,
        provider: "anthropic".into(),
        ..all("acme")
    };
    assert_eq!(
        list(&byokd, one).await.as_of.unwrap().seconds - first.seconds,
        60
    );
    let seen = byokd.provider.requests();
    assert!(
        seen.len() == 1 && seen[0].headers.contains_key("x-api-key"),
        "{seen:?}"
    );
    assert_eq!(list(&byokd, all("acme")).await.as_of.unwrap(), first);
}
