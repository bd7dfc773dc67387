//! ToggleByo: BYO is switched on and off at any time, and the key stays.

use crate::support::{Byokd, openai_key};

/// Off means credits again, and the key stays.
#[tokio::test]
async fn the_toggle_goes_both_ways_and_keeps_the_key() {
    let byokd = Byokd::start().await;
    byokd.set_platform_key("openai", &openai_key(1)).await;
    byokd.set_key("acme", "openai", &openai_key(2)).await;
    for (enabled, key) in [(true, 2), (false, 1), (true, 2)] {
        byokd.toggle("acme", enabled).await;
        assert_eq!(
            byokd.secret("acme", "openai").await.unwrap(),
            openai_key(key)
        );
    }
}
