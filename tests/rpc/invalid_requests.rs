//! Invalid requests: an error with its reason and its field, nothing stored, nothing lost, and nothing of the
//! key repeated.

mod endpoints;
mod keys;
mod names;
mod order;
mod workspaces;

use byokd::contract::v1;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::support::{Byokd, new_key, openai_key, reason};

/// A byokd where acme has a key in use, at revision 2, and the platform has one, at revision 1.
async fn standing() -> Byokd {
    let byokd = Byokd::start().await;
    byokd.set_platform_key("openai", &openai_key(9)).await;
    byokd.set_key("acme", "openai", &openai_key(1)).await;
    byokd.toggle("acme", true).await;
    byokd.provider.forget_requests();
    byokd
}

/// Nothing was stored, nothing was lost, and no provider was asked.
async fn untouched(byokd: &Byokd, what: &str) {
    let listed = byokd
        .operator()
        .list_platform_keys(v1::ListPlatformKeysRequest {})
        .await;
    assert_eq!(listed.unwrap().into_inner().revision, 1, "{what}");
    assert_eq!(byokd.workspace("acme").await.revision, 2, "{what}");
    assert_eq!(
        byokd.secret("acme", "openai").await.unwrap(),
        openai_key(1),
        "{what}"
    );
    assert_eq!(byokd.workspace("new").await.revision, 0, "{what}");
    assert!(byokd.provider.requests().is_empty(), "{what}");
}

/// Code, reason and the blamed field; an empty one: none.
fn is(status: &Status, code: Code, why: &str, field: &str, what: &str) {
    assert_eq!(
        (status.code(), reason(status).as_str()),
        (code, why),
        "{what}: {status:?}"
    );
    let violations = status
        .get_details_bad_request()
        .map(|bad| bad.field_violations)
        .unwrap_or_default();
    let fields: Vec<&str> = violations
        .iter()
        .map(|found| found.field.as_str())
        .collect();
    let expected: &[&str] = if field.is_empty() { &[] } else { &[field] };
    assert_eq!(fields, expected, "{what}");
}

/// The status contains no six consecutive characters of the key.
fn repeats_nothing(status: &Status, key: &str) {
    let shown = format!(
        "{status:?} {} {}",
        status.message(),
        String::from_utf8_lossy(status.details())
    );
    let key = key.trim_start_matches("Bearer ").as_bytes();
    for part in key.windows(6) {
        let part = String::from_utf8_lossy(part);
        assert!(!shown.contains(&*part), "{part:?} in {shown}");
    }
}

/// Sets a key for a workspace and for the platform; both are refused alike.
async fn refused_twice(byokd: &Byokd, provider: &str, key: &str, why: &str, what: &str) {
    for workspace in ["acme", "new"] {
        let set = byokd
            .admin()
            .set_key(new_key(workspace, provider, key))
            .await;
        let status = set.unwrap_err();
        is(&status, Code::InvalidArgument, why, "api_key", what);
        repeats_nothing(&status, key);
    }
    let request = v1::SetPlatformKeyRequest {
        provider: provider.into(),
        api_key: key.into(),
        ..Default::default()
    };
    let status = byokd
        .operator()
        .set_platform_key(request)
        .await
        .unwrap_err();
    is(&status, Code::InvalidArgument, why, "api_key", what);
    repeats_nothing(&status, key);
    untouched(byokd, what).await;
}
