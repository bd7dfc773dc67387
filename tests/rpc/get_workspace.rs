//! GetWorkspace: the masked key and the badge for a settings page.

use byokd::contract::v1;

use crate::support::{Byokd, openai_key};

/// Masked: only the answer of a resolve holds the key.
#[tokio::test]
async fn a_stored_key_is_shown_masked_only() {
    let byokd = Byokd::start().await;
    let set = byokd.set_key("acme", "openai", &openai_key(7)).await;
    assert_eq!(set.key.as_ref().unwrap().masked, "…efgh");
    assert_eq!(set.key.as_ref().unwrap().badge(), v1::Badge::Connected);
    let shown = format!("{set:?} {:?}", byokd.workspace("acme").await);
    assert!(!shown.contains("SYNTHETIC"));
    let short = byokd.set_key("acme", "openai", "sk-short").await;
    assert_eq!(short.key.unwrap().masked, "…");
}
