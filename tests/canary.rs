//! A planted key appears in one place, the answer of ResolveCredentials, in every situation and every
//! failure.
//!
//! The real binary logs at TRACE and traces every call. The test searches its output, spans, metrics,
//! answers, statuses, database dump, files and command-line output for the key in eight encodings.
//! tests/mutants.py proves the search: it runs the same test on builds that lack one redaction each.
#![expect(clippy::print_stdout, reason = "figures are for people")]
#![expect(clippy::string_slice, reason = "a planted secret is ASCII")]

mod captured;
mod every_rpc;
mod faults;
mod misplaced;
mod needle;
mod stage;
mod wire;

use std::fs;

use byokd::{
    contract::v1,
    domain::{caller::Role, secret::ApiKey},
};

use self::{
    captured::Captured,
    needle::Needle,
    stage::{Stage, left_behind},
};
use crate::support::{FakeKms, Site, fake_kms::Failure, new_key};

/// Providers that do not answer, or do not speak TLS.
const UNREACHABLE: &str = "
[providers.dead]
protocol = \"openai\"
hosts = [\"http://127.0.0.1:1/v1\"]
[providers.clear]
protocol = \"openai\"
hosts = [\"https://127.0.0.1:PORT/v1\"]
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_planted_key_leaves_in_one_place_only() {
    let mut captured = Captured::default();
    let planted = [Needle::rich(), Needle::plain()];
    let [rich, plain] = planted.each_ref().map(|needle| needle.secret.clone());
    let mut site = Site::new().await;
    let catalog = fs::read_to_string(site.path("catalog.toml")).unwrap();
    let unreachable = UNREACHABLE.replace("PORT", &site.provider.port().to_string());
    fs::write(site.path("catalog.toml"), catalog + &unreachable).unwrap();
    let mut kms = FakeKms::start().await;
    kms.add_key("alias/byokd");
    let mut needles = Vec::from(planted);
    for format in ["pretty", "json"] {
        kms.fail(Some(Failure::Dead));
        let stage = Stage::start(site, kms, format).await;
        faults::kms(&stage, &mut captured, &rich).await;
        every_rpc::walk(&stage, &mut captured, &format!("road-{format}"), &rich).await;
        every_rpc::walk(&stage, &mut captured, &format!("road-{format}-2"), &plain).await;
        misplaced::walk(&stage, &mut captured, &[&rich, &plain]).await;
        faults::provider(&stage, &mut captured, &rich).await;
        faults::provider(&stage, &mut captured, &plain).await;
        faults::database(&stage, &mut captured, &rich).await;
        faults::caller(&stage, &mut captured, &plain).await;
        wire::walk(&stage, &mut captured, &rich).await;
        needles.push(Needle::of("a token", stage.token(Role::Admin, "*")));
        // While it serves, with everything in its write-ahead log; and after its end.
        left_behind(&stage.site, &mut captured);
        (site, kms) = stage.end(&mut captured).await;
        left_behind(&site, &mut captured);
    }
    captured.search(&needles, "keys and tokens");
}

/// The output of a panic: everything that holds a key, formatted with `{:?}`.
#[test]
fn a_panic_prints_no_key() {
    let needle = Needle::rich();
    let key = &needle.secret;
    let mut captured = Captured::default();
    let set = new_key("acme", "openai", key);
    captured.add("SetKeyRequest", format!("{set:?} {set:#?}"));
    let set = v1::SetPlatformKeyRequest {
        api_key: key.clone(),
        ..Default::default()
    };
    captured.add("SetPlatformKeyRequest", format!("{set:?} {set:#?}"));
    let answer = v1::ResolveCredentialsResponse {
        credential: Some(v1::Credential {
            api_key: key.clone(),
        }),
        ..Default::default()
    };
    captured.add(
        "ResolveCredentialsResponse",
        format!("{answer:?} {:?}", tonic::Response::new(answer.clone())),
    );
    let key = ApiKey::parse(key.clone()).unwrap();
    captured.add("ApiKey", format!("{key:?} {:?}", Some(&key)));
    for quoted in [
        format!("\"{}\"", needle.secret),
        format!("Bearer {}", needle.secret),
    ] {
        let fault = ApiKey::parse(quoted).unwrap_err();
        captured.add("KeyFault", format!("{fault:?} {fault}"));
    }
    captured.search(std::slice::from_ref(&needle), "panics");
}
