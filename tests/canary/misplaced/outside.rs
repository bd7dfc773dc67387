//! A key outside the messages: in a call's metadata, and among the arguments of the command line.

use byokd::{contract::v1::key_service_client::KeyServiceClient, domain::caller::Role};
use tonic::{Request, metadata::MetadataValue};

use super::super::{captured::Captured, stage::Stage};
use crate::support::{new_key, requests::Bearer};

/// As a token of each kind, with a role that has no permission, and beside a good token.
pub(super) async fn metadata(stage: &Stage, captured: &mut Captured, key: &str) {
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
        captured.answer(
            &format!("SetKey, key in {header}"),
            client.set_key(request).await,
        );
    }
    let mut narrow = KeyServiceClient::with_interceptor(
        stage.channel().await,
        Bearer::new(&stage.token(Role::Viewer, "*")),
    );
    captured.answer(
        "SetKey, as a viewer",
        narrow.set_key(new_key("misplaced", "openai", key)).await,
    );
}

pub(super) fn command_line(stage: &Stage, captured: &mut Captured, key: &str) {
    let shown = ["workspace", "show", "misplaced"];
    stage.command(captured, &shown, "");
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
        stage.command(captured, arguments, key);
        stage.command(captured, arguments, &format!("{key}\n{key}"));
    }
}
