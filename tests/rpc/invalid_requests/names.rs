//! Unknown names and malformed fields: each RPC names the field, and changes nothing.

use byokd::contract::v1;
use tonic::{Code, Status};

use super::{is, standing, untouched};
use crate::support::{ask, new_key, openai_key};

type Refusal = (Code, &'static str, &'static str);
const FIELD: Code = Code::InvalidArgument;

fn assert_refused(status: &Status, (code, why, field): Refusal, what: &str) {
    is(status, code, why, field, what);
}

#[tokio::test]
async fn names_in_a_set_key_must_exist_and_fit() {
    let byokd = standing().await;
    let set = |provider: &str| new_key("acme", provider, &openai_key(2));
    let with = |change: &dyn Fn(&mut v1::SetKeyRequest)| {
        let mut request = set("openai");
        change(&mut request);
        request
    };
    let rows: [(&str, v1::SetKeyRequest, Refusal); 14] = [
        ("no provider", set(""), (FIELD, "FIELD_INVALID", "provider")),
        (
            "malformed provider",
            set("Open AI"),
            (FIELD, "FIELD_INVALID", "provider"),
        ),
        (
            "unknown provider",
            set("nosuch"),
            (FIELD, "PROVIDER_UNKNOWN", "provider"),
        ),
        (
            "local provider",
            set("home"),
            (FIELD, "FIELD_INVALID", "provider"),
        ),
        (
            "another provider's model",
            with(&|r| r.model = "haiku".into()),
            (FIELD, "FIELD_INVALID", "provider"),
        ),
        (
            "malformed model",
            with(&|r| r.model = "a b".into()),
            (FIELD, "FIELD_INVALID", "model"),
        ),
        (
            "long model",
            with(&|r| r.model = "m".repeat(257)),
            (FIELD, "FIELD_INVALID", "model"),
        ),
        (
            "retired model",
            with(&|r| r.model = "old".into()),
            (Code::FailedPrecondition, "MODEL_NOT_AVAILABLE", ""),
        ),
        (
            "long on_behalf_of",
            with(&|r| r.on_behalf_of = "é".repeat(257)),
            (FIELD, "FIELD_INVALID", "on_behalf_of"),
        ),
        (
            "on_behalf_of of two lines",
            with(&|r| r.on_behalf_of = "ann\nroot".into()),
            (FIELD, "FIELD_INVALID", "on_behalf_of"),
        ),
        (
            "long request_id",
            with(&|r| r.request_id = "r".repeat(129)),
            (FIELD, "FIELD_INVALID", "request_id"),
        ),
        (
            "request_id with a space",
            with(&|r| r.request_id = "r 1".into()),
            (FIELD, "FIELD_INVALID", "request_id"),
        ),
        (
            "request_id with a NUL",
            with(&|r| r.request_id = "r\0".into()),
            (FIELD, "FIELD_INVALID", "request_id"),
        ),
        (
            "request_id not ASCII",
            with(&|r| r.request_id = "é".into()),
            (FIELD, "FIELD_INVALID", "request_id"),
        ),
    ];
    for (what, request, refusal) in rows {
        let status = byokd.admin().set_key(request).await.unwrap_err();
        assert_refused(&status, refusal, what);
        untouched(&byokd, what).await;
    }
    let longest = v1::SetKeyRequest {
        on_behalf_of: "é".repeat(256),
        request_id: "r".repeat(128),
        ..set("openai")
    };
    byokd.admin().set_key(longest).await.unwrap();
}

#[tokio::test]
async fn names_in_a_resolve_must_exist_and_agree() {
    let byokd = standing().await;
    let (missing, unknown) = (Code::FailedPrecondition, Code::NotFound);
    let rows: [(&str, &str, &str, Refusal); 11] = [
        ("", "nosuch", "", (FIELD, "PROVIDER_UNKNOWN", "provider")),
        (
            "small",
            "nosuch",
            "",
            (FIELD, "PROVIDER_UNKNOWN", "provider"),
        ),
        ("", "Open/AI", "", (FIELD, "FIELD_INVALID", "provider")),
        ("nosuch", "", "", (unknown, "MODEL_UNKNOWN", "model")),
        ("smal", "", "", (unknown, "MODEL_UNKNOWN", "model")),
        ("small-2030-x", "", "", (unknown, "MODEL_UNKNOWN", "model")),
        ("a b", "", "", (FIELD, "FIELD_INVALID", "model")),
        ("haiku", "openai", "", (FIELD, "FIELD_INVALID", "provider")),
        ("", "", "nosuch", (FIELD, "PURPOSE_UNKNOWN", "purpose")),
        ("", "", "No Such", (FIELD, "FIELD_INVALID", "purpose")),
        ("", "anthropic", "", (missing, "BYO_KEY_MISSING", "")),
    ];
    for (model, provider, purpose, refusal) in rows {
        let request = ask("acme", model, provider, purpose);
        let resolved = byokd.resolver().resolve_credentials(request).await;
        assert_refused(
            &resolved.unwrap_err(),
            refusal,
            &format!("{model} {provider} {purpose}"),
        );
    }
    untouched(&byokd, "resolve").await;
}

#[tokio::test]
async fn other_rpcs_refuse_unknown_names_too() {
    let byokd = standing().await;
    let select = |model: &str, provider: &str| v1::SelectModelRequest {
        workspace_id: "acme".into(),
        model: model.into(),
        provider: provider.into(),
        ..Default::default()
    };
    let rows: [(&str, &str, Refusal); 6] = [
        ("nosuch", "", (Code::NotFound, "MODEL_UNKNOWN", "model")),
        ("small", "nosuch", (FIELD, "PROVIDER_UNKNOWN", "provider")),
        ("small", "anthropic", (FIELD, "FIELD_INVALID", "provider")),
        ("", "", (FIELD, "FIELD_INVALID", "provider")),
        ("", "nosuch", (FIELD, "PROVIDER_UNKNOWN", "provider")),
        (
            "nosuch",
            "openai",
            (Code::FailedPrecondition, "MODEL_NOT_AVAILABLE", ""),
        ),
    ];
    for (model, provider, refusal) in rows {
        let selected = byokd.admin().select_model(select(model, provider)).await;
        assert_refused(
            &selected.unwrap_err(),
            refusal,
            &format!("select {model} {provider}"),
        );
    }
    for (provider, why) in [
        ("nosuch", "PROVIDER_UNKNOWN"),
        ("home", "FIELD_INVALID"),
        ("A", "FIELD_INVALID"),
    ] {
        let request = v1::VerifyKeyRequest {
            workspace_id: "acme".into(),
            provider: provider.into(),
            model: String::new(),
        };
        let status = byokd.admin().verify_key(request).await.unwrap_err();
        is(&status, FIELD, why, "provider", provider);
        let request = v1::VerifyPlatformKeyRequest {
            provider: provider.into(),
            model: String::new(),
        };
        let status = byokd
            .operator()
            .verify_platform_key(request)
            .await
            .unwrap_err();
        is(&status, FIELD, why, "provider", provider);
    }
    untouched(&byokd, "names").await;
}

#[tokio::test]
async fn an_invented_page_token_is_refused() {
    let byokd = standing().await;
    let list = |page_size, page_token: &str, provider: &str| v1::ListModelsRequest {
        workspace_id: "acme".into(),
        page_size,
        page_token: page_token.into(),
        provider: provider.into(),
        ..Default::default()
    };
    let rows = [
        (1001, "", "", "FIELD_INVALID", "page_size"),
        (u32::MAX, "", "", "FIELD_INVALID", "page_size"),
        (10, "garbage", "", "FIELD_INVALID", "page_token"),
        (10, "-1", "", "FIELD_INVALID", "page_token"),
        (10, "1e3", "", "FIELD_INVALID", "page_token"),
        (
            10,
            "99999999999999999999999",
            "",
            "FIELD_INVALID",
            "page_token",
        ),
        (10, "", "nosuch", "PROVIDER_UNKNOWN", "provider"),
    ];
    for (size, token, provider, why, field) in rows {
        let status = byokd
            .admin()
            .list_models(list(size, token, provider))
            .await
            .unwrap_err();
        is(
            &status,
            FIELD,
            why,
            field,
            &format!("{size} {token} {provider}"),
        );
    }
    // A page beyond the end is an empty last one.
    let beyond = byokd
        .admin()
        .list_models(list(1000, "18446744073709551615", ""))
        .await;
    let beyond = beyond.unwrap().into_inner();
    assert!(beyond.models.is_empty() && beyond.next_page_token.is_empty());
    untouched(&byokd, "pages").await;
}
