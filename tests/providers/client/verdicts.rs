//! The verdict of each provider's answer.

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use byokd::domain::protocol::Protocol;
use byokd::domain::verdict::Verdict;
use byokd::provider::{ListOutcome, ProbeTarget};

use super::{KEY, check, check_anthropic, check_by, development, key, list, owned, providers};
use crate::{support::fake_provider::FakeProvider, support::reply::Reply};

#[tokio::test]
async fn a_good_key_lists_and_generates() {
    let provider = FakeProvider::start().await;
    provider
        .openai_ok(&["whisper", "m-2", "m-1", "m-2"])
        .set_valid_keys(&[KEY]);
    let checked = check(&provider).await;
    assert_eq!(checked.verdict, Verdict::Valid);
    assert_eq!(checked.models.unwrap(), ["m-1", "m-2", "whisper"]);
    let requests = provider.requests();
    assert_eq!(
        [&requests[0].path, &requests[1].path],
        ["/v1/models", "/v1/chat/completions"]
    );
    assert_eq!(requests.len(), 2);
    for request in &requests {
        assert_eq!(request.headers["authorization"], format!("Bearer {KEY}"));
        assert_eq!(request.headers["openai-project"], "proj_1");
        assert!(
            !request.headers.contains_key("cookie") && !request.headers.contains_key("referer")
        );
    }
    assert_eq!(requests[1].body["model"], "m-1");
    assert_eq!(requests[1].body["max_completion_tokens"], 16);
}

#[tokio::test]
async fn a_good_anthropic_key_lists_all_pages_and_generates() {
    let provider = FakeProvider::start().await;
    provider
        .anthropic_ok(&["m-3", "m-1", "x-1"])
        .page_size(2)
        .set_valid_keys(&[KEY]);
    let checked = check_anthropic(&provider).await;
    assert_eq!(checked.verdict, Verdict::Valid);
    assert_eq!(checked.models.unwrap(), ["m-1", "m-3", "x-1"]);
    let requests = provider.requests();
    let paths: Vec<&str> = requests
        .iter()
        .map(|request| request.path.as_str())
        .collect();
    assert_eq!(paths, ["/v1/models", "/v1/models", "/v1/messages"]);
    assert_eq!(requests[0].query, "limit=1000");
    assert_eq!(requests[1].query, "limit=1000&after_id=m-1");
    assert_eq!(requests[2].headers["x-api-key"], KEY);
    assert_eq!(requests[2].headers["anthropic-version"], "2023-06-01");
    assert!(!requests[2].headers.contains_key("authorization"));
    assert_eq!(requests[2].body["max_tokens"], 16);
}

#[tokio::test]
async fn a_wrong_key_is_refused_by_the_list_alone() {
    let provider = FakeProvider::start().await;
    provider.set_valid_keys(&["another"]);
    assert_eq!(check(&provider).await.verdict, Verdict::Invalid);
    assert_eq!(check_anthropic(&provider).await.verdict, Verdict::Invalid);
    assert_eq!(
        provider.requests().len(),
        2,
        "a 401 is neither retried nor followed by a generation"
    );
}

#[tokio::test]
async fn a_hidden_list_is_no_fault_of_the_key() {
    let provider = FakeProvider::start().await;
    let hidden = [
        Reply::openai_missing_scope("api.model.read"),
        Reply::openai_error(403, None, "Forbidden"),
        Reply::text(404, "404 page not found"),
    ];
    for reply in hidden {
        provider.on_list(reply);
        let checked = check(&provider).await;
        assert_eq!(
            (checked.verdict, checked.models),
            (Verdict::ValidListHidden, None)
        );
    }
    provider.on_generate(Reply::openai_missing_scope("model.request"));
    assert_eq!(check(&provider).await.verdict, Verdict::InsufficientScope);
    provider.on_generate(Reply::openai_error(
        400,
        None,
        "Please use max_completion_tokens",
    ));
    assert_eq!(check(&provider).await.verdict, Verdict::ValidListHidden);
}

#[tokio::test]
async fn a_list_proves_neither_a_key_nor_its_credit() {
    let provider = FakeProvider::start().await;
    provider.openai_ok(&["m-1"]);
    let generations = [
        (Reply::openai_no_funds(), Verdict::NoFunds),
        (Reply::openai_wrong_key(KEY), Verdict::Invalid),
        (
            Reply::openai_missing_scope("model.request"),
            Verdict::InsufficientScope,
        ),
        (Reply::text(500, ""), Verdict::ProviderDown),
        (
            Reply::openai_error(401, Some("brand_new_code"), "No."),
            Verdict::Unexpected,
        ),
        (Reply::html(200), Verdict::Unexpected),
        (
            Reply::json(200, &serde_json::json!({ "error": { "code": 502 } })),
            Verdict::Unexpected,
        ),
        (Reply::cut(200), Verdict::Unreachable),
    ];
    for (reply, verdict) in generations {
        provider.on_generate(reply);
        let checked = check(&provider).await;
        assert_eq!(checked.verdict, verdict);
        assert_eq!(checked.models.unwrap(), ["m-1"], "what was listed is kept");
    }
}

#[tokio::test]
async fn a_busy_providers_retry_delay_is_kept() {
    let provider = FakeProvider::start().await;
    provider.on_list(Reply::openai_rate_limited(7));
    let checked = check(&provider).await;
    assert_eq!(
        (checked.verdict, checked.retry_after),
        (Verdict::RateLimited, Some(Duration::from_secs(7)))
    );
    assert_eq!(provider.requests().len(), 1);
}

#[tokio::test]
async fn at_most_four_candidates_are_tried() {
    let provider = FakeProvider::start().await;
    provider.on_list(Reply::models(&["m-2", "m-3"]));
    provider.on_generate_for("m-2", Reply::openai_model_not_found());
    assert_eq!(check(&provider).await.verdict, Verdict::Valid);
    assert_eq!(provider.models_tried(), ["m-2", "m-3"]);

    provider.forget_requests();
    provider
        .on_list(Reply::models(&[]))
        .on_generate(Reply::openai_model_not_found());
    let checked = check(&provider).await;
    assert_eq!(
        (checked.verdict, checked.models),
        (Verdict::ModelUnavailable, Some(Vec::new()))
    );
    assert_eq!(provider.models_tried(), ["m-1", "m-2", "m-3", "m-4"]);

    provider.forget_requests();
    let named = check_by(
        &providers(development()),
        Protocol::Openai,
        &provider.base_url(),
        Some("ft:mine"),
    )
    .await;
    assert_eq!(named.verdict, Verdict::ModelUnavailable);
    assert_eq!(provider.models_tried(), ["ft:mine"]);
}

#[tokio::test]
async fn without_a_candidate_no_generation_is_made() {
    let provider = FakeProvider::start().await;
    let (headers, base_url) = (BTreeMap::new(), provider.base_url());
    let target = ProbeTarget {
        provider: "acme",
        protocol: Protocol::Openai,
        base_url: &base_url,
        headers: &headers,
    };
    let providers = providers(development());
    let checked = providers
        .check(&target, &key(KEY), &[], &HashSet::new(), None)
        .await;
    assert_eq!(checked.verdict, Verdict::ModelUnavailable);
    assert_eq!(provider.requests().len(), 1);
}

#[tokio::test]
async fn a_strict_vendor_is_asked_again_with_the_older_cap() {
    let provider = FakeProvider::start().await;
    provider.openai_ok(&["m-1"]).on_generate_once(Reply::text(
        422,
        "{\"detail\":[{\"type\":\"extra_forbidden\"}]}",
    ));
    assert_eq!(check(&provider).await.verdict, Verdict::Valid);
    let last = provider.requests().pop().unwrap().body;
    assert_eq!(last["max_tokens"], 16);
    assert!(last.get("max_completion_tokens").is_none());
}

#[tokio::test]
async fn a_data_residency_key_names_its_host() {
    let provider = FakeProvider::start().await;
    provider.on_list(Reply::openai_wrong_host("us.api.openai.com"));
    let checked = check(&provider).await;
    assert_eq!(checked.verdict, Verdict::WrongHost);
    assert_eq!(checked.named_host.as_deref(), Some("us.api.openai.com"));
}

#[tokio::test]
async fn lists_come_in_several_shapes() {
    let provider = FakeProvider::start().await;
    provider.on_list(Reply::text(
        200,
        r#"[{"id":"b"},{"id":"a","active":false}]"#,
    ));
    assert_eq!(list(&provider).await, ListOutcome::Models(owned(&["b"])));
    provider.on_list(Reply::text(404, ""));
    assert_eq!(list(&provider).await, ListOutcome::Hidden);
    provider.on_list(Reply::many_models(50_000));
    assert_eq!(
        list(&provider).await,
        ListOutcome::Hidden,
        "a list cut short would refuse models"
    );
    for nonsense in [
        Reply::html(200),
        Reply::text(200, "{}"),
        Reply::text(200, ""),
        Reply::text(204, ""),
    ] {
        provider.on_list(nonsense);
        assert_eq!(
            list(&provider).await,
            ListOutcome::Failed(Verdict::Unexpected)
        );
    }
}
