//! A bearer token of the embedded signer: only a token that the signer signed, for this audience, in time and
//! in the right form, identifies a caller.
//!
//! The first byte chooses: a header as it comes, a good token with changes in it, or claims that the real key
//! signs.

use std::{
    pin::pin,
    sync::{Arc, LazyLock},
    task::{Context, Poll, Waker},
};

use super::judge::never_repeats;
use byokd::{
    domain::{
        caller::{Caller, Role, RpcSet, WorkspaceScope},
        clock::Clock,
        names::{PurposeName, WorkspaceId},
    },
    identity::{Identity, MintRequest, Signer, mint},
};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::Value;
use time::macros::datetime;

const NOW: time::OffsetDateTime = datetime!(2030-06-15 12:00 UTC);

struct World {
    identity: Identity,
    key: EncodingKey,
    good: String,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::manual(NOW);
    let signer = Signer::in_folder_or_new(folder.path()).unwrap();
    let request = MintRequest {
        subject: "fuzz".to_owned(),
        roles: vec![Role::Viewer],
        workspace: "acme".to_owned(),
        purposes: vec![PurposeName::reply()],
    };
    let good = mint(&signer, &request, &clock).unwrap();
    let document = std::fs::read(folder.path().join("token-signer")).unwrap();
    World {
        identity: Identity::new(Some(signer), Vec::new(), Vec::new(), clock),
        key: EncodingKey::from_ed_der(&document),
        good,
    }
});

/// Judges one input.
pub fn run(data: &[u8]) {
    let [which, rest @ ..] = data else { return };
    match which % 3 {
        0 => as_it_comes(rest),
        1 => changed(rest),
        _ => signed(rest),
    }
}

fn ask(header: &str) -> Option<Arc<Caller>> {
    match at_once(WORLD.identity.authenticate(Some(header), None)) {
        Ok(caller) => Some(caller),
        Err(error) => {
            // The reason is for the operator; every caller gets the same answer.
            never_repeats(error.message(), header);
            assert!(error.metadata().is_empty() && error.blamed_field().is_none());
            None
        }
    }
}

/// The embedded signer never waits.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => panic!("it waits"),
    }
}

fn as_it_comes(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    assert!(
        ask(text).is_none() && ask(&format!("Bearer {text}")).is_none(),
        "unsigned: {text:?}"
    );
}

/// A change of the text may leave the same bytes (the last character of a base64 text has spare bits); then
/// it is the same token. It never has other claims.
fn changed(data: &[u8]) {
    let mut token = WORLD.good.clone().into_bytes();
    for change in data.chunks_exact(3) {
        let at = usize::from(u16::from_be_bytes([change[0], change[1]])) % token.len();
        token[at] = change[2];
    }
    let Ok(token) = String::from_utf8(token) else {
        return;
    };
    let asked = ask(&format!("Bearer {token}"));
    assert!(token != WORLD.good || asked.is_some());
    if let Some(caller) = asked {
        assert_eq!(caller.subject, "fuzz");
        assert_eq!(caller.rights.rpcs, RpcSet::of_roles(&[Role::Viewer]));
        assert_eq!(caller.rights.purposes, [PurposeName::reply()].into());
        assert!(is_only(&caller.rights.scope, "acme"));
    }
}

fn signed(data: &[u8]) {
    let Ok(claims) = serde_json::from_slice::<Value>(data) else {
        return;
    };
    let Ok(token) = jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), &claims, &WORLD.key)
    else {
        return;
    };
    let Some(caller) = ask(&format!("Bearer {token}")) else {
        return;
    };
    assert_eq!(
        (claims["iss"].as_str(), &claims["aud"]),
        (Some("byokd"), &Value::from("byokd")),
        "{claims}"
    );
    let expires = claims["exp"].as_i64().expect("an expiry that is a number");
    assert!(expires + 30 >= NOW.unix_timestamp(), "{claims}");
    assert_eq!(Some(caller.subject.as_str()), claims["sub"].as_str());
    let roles: Vec<Role> = claims["roles"]
        .as_array()
        .unwrap()
        .iter()
        .map(|role| Role::parse(role.as_str().unwrap()).expect("a role that exists"))
        .collect();
    assert_eq!(caller.rights.rpcs, RpcSet::of_roles(&roles));
    match claims["workspace"].as_str().expect("a workspace") {
        "*" => assert!(matches!(caller.rights.scope, WorkspaceScope::All)),
        id => assert!(WorkspaceId::parse(id).is_ok() && is_only(&caller.rights.scope, id)),
    }
}

fn is_only(scope: &WorkspaceScope, id: &str) -> bool {
    matches!(scope, WorkspaceScope::Only(ids) if ids.iter().all(|own| own.as_str() == id) && !ids.is_empty())
}
