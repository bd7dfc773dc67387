//! A key in each field of the requests about the platform's keys.

use byokd::contract::v1;

use super::super::{captured::Captured, stage::Stage};

pub(super) async fn of_the_platform(stage: &Stage, captured: &mut Captured, key: &str) {
    let mut operator = stage.operator().await;
    let key = || key.to_owned();
    let new = || v1::SetPlatformKeyRequest {
        provider: "openai".to_owned(),
        api_key: key(),
        ..Default::default()
    };
    for request in [
        v1::SetPlatformKeyRequest {
            provider: key(),
            ..new()
        },
        v1::SetPlatformKeyRequest {
            base_url: key(),
            ..new()
        },
        v1::SetPlatformKeyRequest {
            headers: [("OpenAI-Project".to_owned(), key())].into(),
            ..new()
        },
        v1::SetPlatformKeyRequest {
            headers: [(key(), "proj".to_owned())].into(),
            ..new()
        },
        v1::SetPlatformKeyRequest {
            request_id: key(),
            ..new()
        },
        v1::SetPlatformKeyRequest {
            on_behalf_of: key(),
            ..new()
        },
        v1::SetPlatformKeyRequest {
            api_key: format!("'{}'", key()),
            ..new()
        },
    ] {
        captured.answer(
            "SetPlatformKey, misplaced",
            operator.set_platform_key(request).await,
        );
    }
    for (provider, model) in [(key(), String::new()), ("openai".to_owned(), key())] {
        let request = v1::VerifyPlatformKeyRequest {
            provider: provider.clone(),
            model,
        };
        captured.answer(
            "VerifyPlatformKey, misplaced",
            operator.verify_platform_key(request).await,
        );
        let request = v1::DeletePlatformKeyRequest {
            provider,
            request_id: key(),
            on_behalf_of: key(),
            ..Default::default()
        };
        captured.answer(
            "DeletePlatformKey, misplaced",
            operator.delete_platform_key(request).await,
        );
    }
    let request = v1::ListPlatformAuditEventsRequest {
        page_token: key(),
        ..Default::default()
    };
    captured.answer(
        "ListPlatformAuditEvents, misplaced",
        operator.list_platform_audit_events(request).await,
    );
}
