//! ListPlatformAuditEvents: the platform's events, page by page, apart from every workspace's.

use byokd::contract::v1;

use crate::support::{Byokd, anthropic_key, openai_key};

#[tokio::test]
async fn platform_events_are_separate() {
    let byokd = Byokd::start().await;
    byokd.set_key("acme", "openai", &openai_key(1)).await;
    byokd.set_platform_key("openai", &openai_key(2)).await;
    byokd.set_platform_key("anthropic", &anthropic_key(2)).await;
    let request = |page_size, page_token: &str| v1::ListPlatformAuditEventsRequest {
        page_size,
        page_token: page_token.to_owned(),
        ..Default::default()
    };
    let mut operator = byokd.operator();
    let first = operator
        .list_platform_audit_events(request(1, ""))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(first.events.len(), 1);
    let second = operator
        .list_platform_audit_events(request(1, &first.next_page_token))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(second.next_page_token, "");
    let events: Vec<_> = [&first.events[0], &second.events[0]]
        .map(|event| (event.action.clone(), event.provider.clone(), event.revision))
        .into();
    let set =
        |provider: &str, revision| ("SetPlatformKey".to_owned(), provider.to_owned(), revision);
    assert_eq!(events, [set("openai", 1), set("anthropic", 2)]);
}
