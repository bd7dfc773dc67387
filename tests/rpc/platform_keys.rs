//! SetPlatformKey, ListPlatformKeys, DeletePlatformKey: the platform's keys are separate from every workspace's.

use byokd::contract::v1;

use crate::support::{Byokd, openai_key, refused};

/// No workspace's page shows platform keys, and DeletePlatformKey removes them.
#[tokio::test]
async fn platform_keys_are_separate() {
    let byokd = Byokd::start().await;
    byokd.set_platform_key("openai", &openai_key(1)).await;
    assert!(byokd.workspace("acme").await.providers.is_empty());
    let listed = byokd
        .operator()
        .list_platform_keys(v1::ListPlatformKeysRequest {})
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (
            listed.keys.len(),
            listed.keys[0].masked.as_str(),
            listed.revision
        ),
        (1, "…efgh", 1)
    );
    let request = v1::DeletePlatformKeyRequest {
        provider: "openai".into(),
        ..Default::default()
    };
    let deleted = byokd
        .operator()
        .delete_platform_key(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!((deleted.deleted, deleted.revision), (true, 2));
    assert_eq!(
        refused(byokd.resolve("acme", "", "openai").await),
        "PLATFORM_KEY_MISSING"
    );
}
