//! DeleteKey: a new key replaces the old one, and a deleted key is not used any more.

use byokd::contract::v1;

use crate::support::{Byokd, openai_key, refused};

/// A new key supersedes the old one, and answers show neither.
#[tokio::test]
async fn a_new_key_supersedes_and_delete_removes() {
    let byokd = Byokd::start().await;
    byokd.set_key("acme", "openai", &openai_key(1)).await;
    byokd.toggle("acme", true).await;
    let set = byokd.set_key("acme", "openai", &openai_key(2)).await;
    assert_eq!(set.key.unwrap().generation, 2);
    assert_eq!(byokd.secret("acme", "openai").await.unwrap(), openai_key(2));
    let request = || v1::DeleteKeyRequest {
        workspace_id: "acme".into(),
        provider: "openai".into(),
        ..Default::default()
    };
    assert!(
        byokd
            .admin()
            .delete_key(request())
            .await
            .unwrap()
            .into_inner()
            .deleted
    );
    assert_eq!(
        refused(byokd.resolve("acme", "", "openai").await),
        "BYO_KEY_MISSING"
    );
    assert!(
        !byokd
            .admin()
            .delete_key(request())
            .await
            .unwrap()
            .into_inner()
            .deleted
    );
    assert_eq!(
        byokd
            .set_key("acme", "openai", &openai_key(3))
            .await
            .key
            .unwrap()
            .generation,
        3
    );
}
