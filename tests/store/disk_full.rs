//! A full disk, simulated by a limit on the size of files: byokd over SQLite, whose log cannot grow any more.

use byokd::domain::caller::Role;

use crate::support::{Site, ask, new_key, openai_key, reason, until};

#[tokio::test]
async fn a_full_disk_refuses_changes_answers_resolves_and_needs_no_restart() {
    let site = Site::new().await;
    let serve = || {
        let mut serve = site.serve();
        serve.env(
            "BYOKD__DATABASE__URL",
            format!("sqlite:{}", site.path("full.db").display()),
        );
        serve
    };
    let mut process = site.start_as(serve()).await;
    let (mut admin, mut resolver) = (
        process.keys(Role::Admin).await,
        process.keys(Role::Resolver).await,
    );
    let set = |n: u32| byokd::contract::v1::SetKeyRequest {
        enable_byo: true,
        ..new_key("acme", "openai", &openai_key(n))
    };
    admin.set_key(set(1)).await.unwrap();
    let mut held = async || {
        let resolved = resolver
            .resolve_credentials(ask("acme", "", "openai", ""))
            .await
            .unwrap();
        resolved.into_inner().credential.unwrap().api_key.clone()
    };
    assert_eq!(held().await, openai_key(1));
    process.limit_files(Some(4096));
    for n in 2..6 {
        let refused = admin.set_key(set(n)).await.unwrap_err();
        assert!(
            process.has_ended().is_none(),
            "it died of a full disk: {}",
            process.said()
        );
        assert_eq!(reason(&refused), "STORE_UNAVAILABLE", "{refused:?}");
        assert_eq!(held().await, openai_key(1));
    }
    process.limit_files(None);
    until("keys are set again", async || {
        admin.set_key(set(9)).await.ok()
    })
    .await;
    assert_eq!(held().await, openai_key(9));
    assert!(!process.said().contains("panicked"), "{}", process.said());
    // The acknowledged change is in the file, and not only in a connection's memory.
    process.kill();
    let mut process = site.start_as(serve()).await;
    let mut resolver = process.keys(Role::Resolver).await;
    let resolved = resolver
        .resolve_credentials(ask("acme", "", "openai", ""))
        .await
        .unwrap();
    assert_eq!(
        resolved.into_inner().credential.unwrap().api_key,
        openai_key(9)
    );
    process.terminate();
    assert!(process.ended().await.success(), "{}", process.said());
}
