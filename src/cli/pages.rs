//! Lists that come in pages.
//!
//! Absent: what is on them.

use super::failure::Failure;

/// Asks for page after page. `ask` takes a page's token, the first one's being empty, and gives the next one's, which is
/// empty after the last.
pub(super) async fn every_page(
    mut ask: impl AsyncFnMut(String) -> Result<String, Failure>,
) -> Result<(), Failure> {
    let mut token = String::new();
    loop {
        let next = ask(token.clone()).await?;
        if next.is_empty() {
            return Ok(());
        }
        if next == token {
            return Err(Failure::Local(
                "the server gave the same page twice".to_owned(),
            ));
        }
        token = next;
    }
}
