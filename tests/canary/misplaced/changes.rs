//! A key in each field of the requests that change a workspace.

use byokd::{contract::v1, domain::caller::Role};

use super::super::{captured::Captured, stage::Stage};
use crate::support::new_key;

/// Puts a text into one field of a message.
type Put<T> = fn(&mut T, String);

/// Every text field of `SetKey`, beside the key's own.
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

pub(super) async fn of_a_change(stage: &Stage, captured: &mut Captured, key: &str) {
    let mut admin = stage.keys(Role::Admin).await;
    for (field, put) in SET_KEY {
        let mut request = new_key("misplaced", "openai", key);
        put(&mut request, key.to_owned());
        captured.answer(
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
        captured.answer(
            "SetKey, key with more",
            admin
                .set_key(new_key("misplaced", "openai", &damaged))
                .await,
        );
        captured.answer(
            "SetKey, another vendor's",
            admin
                .set_key(new_key("misplaced", "anthropic", &damaged))
                .await,
        );
        captured.answer(
            "SetKey, no such provider",
            admin
                .set_key(new_key("misplaced", "missing", &damaged))
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
        captured.answer("VerifyKey, misplaced", admin.verify_key(request).await);
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
        captured.answer("SelectModel, misplaced", admin.select_model(request).await);
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
        captured.answer("DeleteKey, misplaced", admin.delete_key(request).await);
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
        captured.answer("ToggleByo, misplaced", admin.toggle_byo(request).await);
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
        captured.answer(
            "DeleteWorkspace, misplaced",
            admin.delete_workspace(request).await,
        );
    }
}
