//! A message from the wire, as a service converts it: accepted fields are well-formed, and no refusal repeats
//! a field.

use super::judge::{never_repeats, texts};
use byokd::{
    contract::v1::{ListModelsRequest, ResolveCredentialsRequest, SetKeyRequest},
    domain::{
        error::{Error, Reason},
        names::{ModelName, ProviderName, WorkspaceId},
    },
    grpc::fuzzing::{ask, page, set_key},
};
use prost::Message as _;

/// Judges one input.
pub fn run(data: &[u8]) {
    let [which, body @ ..] = data else { return };
    match which % 3 {
        0 => {
            if let Ok(message) = SetKeyRequest::decode(body) {
                a_key_is_set(message)
            }
        }
        1 => {
            if let Ok(message) = ResolveCredentialsRequest::decode(body) {
                a_call_is_resolved(&message)
            }
        }
        _ => {
            if let Ok(message) = ListModelsRequest::decode(body) {
                a_page_is_asked_for(&message)
            }
        }
    }
}

fn a_key_is_set(message: SetKeyRequest) {
    let sent = message.clone();
    match set_key(message) {
        Ok((workspace, key)) => {
            assert_eq!(workspace.as_str(), sent.workspace_id);
            assert_eq!(key.provider.as_str(), sent.provider);
            assert_eq!(key.api_key.expose(), sent.api_key.trim());
            let secret = key.api_key.expose();
            assert!(
                (1..=512).contains(&secret.len())
                    && secret.bytes().all(|byte| byte.is_ascii_graphic())
            );
            // "…" and four characters of a long key.
            assert!(key.api_key.masked().chars().count() <= if secret.len() < 20 { 1 } else { 5 });
            let printed = format!("{key:?}");
            assert!(
                secret.len() < 12
                    || !printed.contains(&secret[..12])
                    || holds(&sent, &secret[..12])
            );
            assert!(key.headers.len() <= 16);
            assert_eq!(key.base_url, sent.base_url);
            assert_eq!(key.meta.expected_revision, sent.expected_revision);
        }
        Err(error) => {
            refused(&error);
            let texts = texts(&error);
            for text in [
                &sent.api_key,
                &sent.workspace_id,
                &sent.provider,
                &sent.request_id,
                &sent.base_url,
            ] {
                never_repeats(&texts, text);
            }
            for text in sent.headers.iter().flat_map(|(name, value)| [name, value]) {
                never_repeats(&texts, text);
            }
            never_repeats(&texts, &sent.on_behalf_of);
            never_repeats(&texts, &sent.model);
        }
    }
}

/// Whether another field of the message holds this too, so that it may be printed.
fn holds(sent: &SetKeyRequest, piece: &str) -> bool {
    let others = [
        &sent.workspace_id,
        &sent.provider,
        &sent.base_url,
        &sent.request_id,
        &sent.on_behalf_of,
    ];
    others
        .into_iter()
        .chain(sent.headers.keys())
        .chain(sent.headers.values())
        .any(|text| text.contains(piece))
}

fn a_call_is_resolved(message: &ResolveCredentialsRequest) {
    match ask(&message.model, &message.provider, &message.purpose) {
        Ok(asked) => {
            let model = asked.model.as_ref().map_or("", ModelName::as_str);
            let provider = asked.provider.as_ref().map_or("", ProviderName::as_str);
            assert_eq!(
                (model, provider),
                (message.model.as_str(), message.provider.as_str())
            );
            let purpose = if message.purpose.is_empty() {
                "reply"
            } else {
                &message.purpose
            };
            assert_eq!(asked.purpose.as_str(), purpose);
        }
        Err(error) => {
            refused(&error);
            for text in [&message.model, &message.provider, &message.purpose] {
                never_repeats(&texts(&error), text);
            }
        }
    }
    assert!(
        WorkspaceId::parse(&message.workspace_id).is_err() || message.workspace_id.len() <= 128
    );
}

fn a_page_is_asked_for(message: &ListModelsRequest) {
    match page(message.page_size, &message.page_token) {
        Ok((size, offset)) => {
            assert!((1..=1000).contains(&size));
            assert!(message.page_token.is_empty() || message.page_token.parse() == Ok(offset));
        }
        Err(error) => {
            refused(&error);
            never_repeats(&texts(&error), &message.page_token);
        }
    }
}

fn refused(error: &Error) {
    assert!(
        matches!(error.reason(), Reason::FieldInvalid | Reason::KeyMalformed),
        "{error:?}"
    );
    assert!(error.blamed_field().is_some(), "{error:?}");
}
