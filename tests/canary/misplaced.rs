//! A key where it does not belong: in every other field of every message, in the metadata, and in the command line.

use byokd::{
    contract::v1::{self, key_service_client::KeyServiceClient},
    domain::caller::Role,
};
use tonic::{Request, metadata::MetadataValue};

use super::{captured::Told, stage::Stage};
use crate::support::{ask, byokd::Bearer, new_key};

/// Puts a text into one field of a message.
type Put<T> = fn(&mut T, String);

/// Every field of text of `SetKey`, beside the key's own.
const SET_KEY: [(&str, Put<v1::SetKeyRequest>); 8] = [
    ("workspace_id", |message, key| message.workspace_id = key),
    ("provider", |message, key| message.provider = key),
    ("base_url", |message, key| {
        message.base_url = format!("https://{key}@api.example/v1?key={key}")
    }),
    ("header", |message, key| {
        drop(message.headers.insert("OpenAI-Project".to_owned(), key))
    }),
    ("header's name", |message, key| {
        drop(message.headers.insert(key, "proj".to_owned()))
    }),
    ("model", |message, key| message.model = key),
    ("request_id", |message, key| message.request_id = key),
    ("on_behalf_of", |message, key| message.on_behalf_of = key),
];

/// Sends both secrets in each place.
pub(super) async fn walk(stage: &Stage, told: &mut Told, keys: &[&str]) {
    for key in keys {
        of_a_change(stage, told, key).await;
        of_a_question(stage, told, key).await;
        of_the_platform(stage, told, key).await;
        metadata(stage, told, key).await;
        command_line(stage, told, key);
    }
}

async fn of_a_change(stage: &Stage, told: &mut Told, key: &str) {
    let mut admin = stage.keys(Role::Admin).await;
    for (field, put) in SET_KEY {
        let mut request = new_key("misplaced", "openai", key);
        put(&mut request, key.to_owned());
        told.answer(
            &format!("SetKey, key in {field}"),
            admin.set_key(request).await,
        );
    }
    for damaged in [
        format!("\"{key}\""),
        format!("Bearer {key}"),
        format!("{key} {key}"),
        format!("{key}\u{200b}"),
    ] {
        told.answer(
            "SetKey, key with more",
            admin
                .set_key(new_key("misplaced", "openai", &damaged))
                .await,
        );
        told.answer(
            "SetKey, another vendor's",
            admin
                .set_key(new_key("misplaced", "anthropic", &damaged))
                .await,
        );
        told.answer(
            "SetKey, no such provider",
            admin
                .set_key(new_key("misplaced", "nobody", &damaged))
                .await,
        );
    }
    let (id, key) = (|| "misplaced".to_owned(), || key.to_owned());
    let provider = || "openai".to_owned();
    for request in [
        v1::VerifyKeyRequest {
            workspace_id: key(),
            provider: provider(),
            ..Default::default()
        },
        v1::VerifyKeyRequest {
            workspace_id: id(),
            provider: key(),
            ..Default::default()
        },
        v1::VerifyKeyRequest {
            workspace_id: id(),
            provider: provider(),
            model: key(),
        },
    ] {
        told.answer("VerifyKey, misplaced", admin.verify_key(request).await);
    }
    let new = || v1::SelectModelRequest {
        workspace_id: id(),
        model: "small".to_owned(),
        ..Default::default()
    };
    for request in [
        v1::SelectModelRequest {
            workspace_id: key(),
            ..new()
        },
        v1::SelectModelRequest {
            model: key(),
            ..new()
        },
        v1::SelectModelRequest {
            provider: key(),
            ..new()
        },
        v1::SelectModelRequest {
            model: key(),
            provider: provider(),
            ..new()
        },
        v1::SelectModelRequest {
            request_id: key(),
            ..new()
        },
        v1::SelectModelRequest {
            on_behalf_of: key(),
            ..new()
        },
    ] {
        told.answer("SelectModel, misplaced", admin.select_model(request).await);
    }
    let new = || v1::DeleteKeyRequest {
        workspace_id: id(),
        provider: provider(),
        ..Default::default()
    };
    for request in [
        v1::DeleteKeyRequest {
            workspace_id: key(),
            ..new()
        },
        v1::DeleteKeyRequest {
            provider: key(),
            ..new()
        },
        v1::DeleteKeyRequest {
            request_id: key(),
            ..new()
        },
        v1::DeleteKeyRequest {
            on_behalf_of: key(),
            ..new()
        },
    ] {
        told.answer("DeleteKey, misplaced", admin.delete_key(request).await);
    }
    let new = || v1::ToggleByoRequest {
        workspace_id: id(),
        enabled: Some(true),
        ..Default::default()
    };
    for request in [
        v1::ToggleByoRequest {
            workspace_id: key(),
            ..new()
        },
        v1::ToggleByoRequest {
            request_id: key(),
            ..new()
        },
        v1::ToggleByoRequest {
            on_behalf_of: key(),
            ..new()
        },
    ] {
        told.answer("ToggleByo, misplaced", admin.toggle_byo(request).await);
    }
    for request in [
        v1::DeleteWorkspaceRequest {
            workspace_id: key(),
            ..Default::default()
        },
        v1::DeleteWorkspaceRequest {
            workspace_id: id(),
            request_id: key(),
            ..Default::default()
        },
        v1::DeleteWorkspaceRequest {
            workspace_id: id(),
            on_behalf_of: key(),
            ..Default::default()
        },
    ] {
        told.answer(
            "DeleteWorkspace, misplaced",
            admin.delete_workspace(request).await,
        );
    }
}

async fn of_a_question(stage: &Stage, told: &mut Told, key: &str) {
    let (mut admin, mut resolver) = (
        stage.keys(Role::Admin).await,
        stage.keys(Role::Resolver).await,
    );
    for (id, model, provider, purpose) in [
        (key, "", "", ""),
        ("misplaced", key, "", ""),
        ("misplaced", key, "openai", ""),
        ("misplaced", "", key, ""),
        ("misplaced", "", "", key),
    ] {
        let outcome = resolver
            .resolve_credentials(ask(id, model, provider, purpose))
            .await;
        told.answer(
            "Resolve, misplaced",
            outcome.map(|answer| answer.map(without_credential)),
        );
        let request = v1::ExplainResolutionRequest {
            workspace_id: id.to_owned(),
            model: model.to_owned(),
            provider: provider.to_owned(),
            purpose: purpose.to_owned(),
        };
        told.answer(
            "Explain, misplaced",
            admin.explain_resolution(request).await,
        );
    }
    let (id, key) = (|| "misplaced".to_owned(), || key.to_owned());
    for request in [
        v1::ListModelsRequest {
            workspace_id: key(),
            ..Default::default()
        },
        v1::ListModelsRequest {
            workspace_id: id(),
            provider: key(),
            ..Default::default()
        },
        v1::ListModelsRequest {
            workspace_id: id(),
            page_token: key(),
            ..Default::default()
        },
    ] {
        told.answer("ListModels, misplaced", admin.list_models(request).await);
    }
    let request = v1::GetWorkspaceRequest {
        workspace_id: key(),
    };
    told.answer(
        "GetWorkspace, misplaced",
        admin.get_workspace(request).await,
    );
    for (id, page_token) in [(key(), String::new()), (id(), key())] {
        let request = v1::ListAuditEventsRequest {
            workspace_id: id.clone(),
            page_token: page_token.clone(),
            ..Default::default()
        };
        told.answer(
            "ListAuditEvents, misplaced",
            admin.list_audit_events(request).await,
        );
        let request = v1::ListKeyUsageRequest {
            workspace_id: id,
            page_token,
            ..Default::default()
        };
        told.answer(
            "ListKeyUsage, misplaced",
            admin.list_key_usage(request).await,
        );
    }
    for request in [
        v1::ReportOutcomeRequest {
            workspace_id: key(),
            ..Default::default()
        },
        v1::ReportOutcomeRequest {
            workspace_id: id(),
            key_id: key(),
            ..Default::default()
        },
        v1::ReportOutcomeRequest {
            workspace_id: id(),
            provider_error_code: key(),
            ..Default::default()
        },
    ] {
        told.answer(
            "ReportOutcome, misplaced",
            resolver.report_outcome(request).await,
        );
    }
    let request = v1::WatchInvalidationsRequest {
        workspace_ids: vec![key()],
        ..Default::default()
    };
    if let Err(status) = resolver.watch_invalidations(request).await {
        told.answer::<()>("WatchInvalidations, misplaced", Err(status));
    }
}

/// The one place where a key may be.
fn without_credential(
    mut answer: v1::ResolveCredentialsResponse,
) -> v1::ResolveCredentialsResponse {
    answer.credential = None;
    answer
}

async fn of_the_platform(stage: &Stage, told: &mut Told, key: &str) {
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
        told.answer(
            "SetPlatformKey, misplaced",
            operator.set_platform_key(request).await,
        );
    }
    for (provider, model) in [(key(), String::new()), ("openai".to_owned(), key())] {
        let request = v1::VerifyPlatformKeyRequest {
            provider: provider.clone(),
            model,
        };
        told.answer(
            "VerifyPlatformKey, misplaced",
            operator.verify_platform_key(request).await,
        );
        let request = v1::DeletePlatformKeyRequest {
            provider,
            request_id: key(),
            on_behalf_of: key(),
            ..Default::default()
        };
        told.answer(
            "DeletePlatformKey, misplaced",
            operator.delete_platform_key(request).await,
        );
    }
    let request = v1::ListPlatformAuditEventsRequest {
        page_token: key(),
        ..Default::default()
    };
    told.answer(
        "ListPlatformAuditEvents, misplaced",
        operator.list_platform_audit_events(request).await,
    );
}

/// As a token of whatever kind, of a role that may not, and beside a good token.
async fn metadata(stage: &Stage, told: &mut Told, key: &str) {
    let good = stage.token(Role::Admin, "*");
    for (header, token) in [
        ("authorization", format!("Bearer {key}")),
        ("authorization", format!("Basic {key}")),
        ("authorization", key.to_owned()),
        ("authorization", format!("Bearer {good}{key}")),
        (
            "authorization",
            format!("Bearer {}", stage.token(Role::Resolver, "*")),
        ),
        (
            "authorization",
            format!("Bearer {}", stage.token(Role::Admin, "another")),
        ),
        ("x-api-key", key.to_owned()),
        ("traceparent", format!("00-{key}-{key}-01")),
    ] {
        let mut request = Request::new(new_key("misplaced", "openai", key));
        request
            .metadata_mut()
            .insert("authorization", format!("Bearer {good}").parse().unwrap());
        let value: MetadataValue<_> = token.parse().unwrap();
        request.metadata_mut().insert(header, value);
        let mut client = KeyServiceClient::new(stage.channel().await);
        told.answer(
            &format!("SetKey, key in {header}"),
            client.set_key(request).await,
        );
    }
    let mut narrow = KeyServiceClient::with_interceptor(
        stage.channel().await,
        Bearer::new(&stage.token(Role::Viewer, "*")),
    );
    told.answer(
        "SetKey, as a viewer",
        narrow.set_key(new_key("misplaced", "openai", key)).await,
    );
}

fn command_line(stage: &Stage, told: &mut Told, key: &str) {
    let shown = ["workspace", "show", "misplaced"];
    stage.command(told, &shown, "");
    for arguments in [
        &["key", "set", "misplaced", "openai"][..],
        &["key", "set", "misplaced", "openai", "-o", "json"],
        &["key", "set", "misplaced", "anthropic"],
        &["key", "set", "misplaced", "openai", key],
        &["key", "set", key, "openai"],
        &["key", "set", "misplaced", key],
        &["key", "set", "misplaced", "openai", "--key", key],
        &["key", "set", "misplaced", "openai", "--on-behalf-of", key],
        &["resolve", "misplaced", "--provider", "openai"],
        &["resolve", "misplaced", "--provider", "openai", "-o", "json"],
        &["resolve", key],
        &["explain", "misplaced", "--model", key],
        &["platform", "set", "openai"],
        &["workspace", "show", key],
        &["token", "--role", key, "--workspace", "*"],
        &[key],
    ] {
        stage.command(told, arguments, key);
        stage.command(told, arguments, &format!("{key}\n{key}"));
    }
}
