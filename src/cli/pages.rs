//! Lists in pages.

use super::failure::Failure;

/// The number of entries on a page.
pub(super) const PAGE_SIZE: u32 = 1000;

/// Fetches all pages. `fetch` takes a page's token and returns the next page's; the first and the last are empty.
pub(super) async fn every_page(
    mut fetch: impl AsyncFnMut(String) -> Result<String, Failure>,
) -> Result<(), Failure> {
    let mut token = String::new();
    loop {
        let next = fetch(token.clone()).await?;
        if next.is_empty() {
            return Ok(());
        }
        if next == token {
            return Err(Failure::local("the server returned the same page twice"));
        }
        token = next;
    }
}
