//! Stored keys outlive a restart.

use crate::support::{Byokd, openai_key};

/// A restart loses nothing.
#[tokio::test]
async fn keys_outlive_a_restart() {
    let byokd = Byokd::start().await;
    byokd.set_platform_key("openai", &openai_key(1)).await;
    byokd.set_key("acme", "openai", &openai_key(2)).await;
    byokd.toggle("acme", true).await;
    let byokd = byokd.restart().await;
    assert_eq!(byokd.secret("acme", "openai").await.unwrap(), openai_key(2));
    assert_eq!(
        byokd.secret("globex", "openai").await.unwrap(),
        openai_key(1)
    );
}
