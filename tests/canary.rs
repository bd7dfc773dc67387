//! A planted key comes out in one place, the answer of ResolveCredentials, whatever is done and whatever fails.
//!
//! The real binary logs at TRACE and traces every call; its output, its spans and metrics, every answer and status, the
//! dumped database, every file that it leaves and what its command line says are searched for the key in eight encodings. That the search finds is shown by
//! tests/mutants.py: the same test on builds that have one redaction less.
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
    captured::Told,
    needle::Needle,
    stage::{Stage, left_behind},
};
use crate::support::{FakeKms, Site, fake_kms::Failure, new_key};

/// Providers that nobody is at, or nobody who speaks TLS.
const NOBODY: &str = "
[providers.dead]
protocol = \"openai\"
hosts = [\"http://127.0.0.1:1/v1\"]
[providers.clear]
protocol = \"openai\"
hosts = [\"https://127.0.0.1:PORT/v1\"]
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_planted_key_comes_out_in_one_place_alone() {
    let mut told = Told::default();
    let planted = [Needle::rich(), Needle::plain()];
    let [rich, plain] = planted.each_ref().map(|needle| needle.secret.clone());
    let mut site = Site::new().await;
    let catalog = fs::read_to_string(site.path("catalog.toml")).unwrap();
    let nobody = NOBODY.replace("PORT", &site.provider.port().to_string());
    fs::write(site.path("catalog.toml"), catalog + &nobody).unwrap();
    let mut kms = FakeKms::start().await;
    kms.add_key("alias/byokd");
    let mut needles = Vec::from(planted);
    for format in ["pretty", "json"] {
        kms.fail(Some(Failure::Dead));
        let stage = Stage::start(site, kms, format).await;
        faults::kms(&stage, &mut told, &rich).await;
        every_rpc::walk(&stage, &mut told, &format!("road-{format}"), &rich).await;
        every_rpc::walk(&stage, &mut told, &format!("road-{format}-2"), &plain).await;
        misplaced::walk(&stage, &mut told, &[&rich, &plain]).await;
        faults::provider(&stage, &mut told, &rich).await;
        faults::provider(&stage, &mut told, &plain).await;
        faults::database(&stage, &mut told, &rich).await;
        faults::caller(&stage, &mut told, &plain).await;
        wire::walk(&stage, &mut told, &rich).await;
        needles.push(Needle::of("a token", stage.token(Role::Admin, "*")));
        // While it serves, with everything in its write-ahead log; and once it has ended.
        left_behind(&stage.site, &mut told);
        (site, kms) = stage.end(&mut told).await;
        left_behind(&site, &mut told);
    }
    told.search(&needles, "keys and tokens");
}

/// What a panic would print: everything that holds a key, as `{:?}` shows it.
#[test]
fn a_panic_prints_no_key() {
    let needle = Needle::rich();
    let key = &needle.secret;
    let mut told = Told::default();
    let set = new_key("acme", "openai", key);
    told.add("SetKeyRequest", format!("{set:?} {set:#?}"));
    let set = v1::SetPlatformKeyRequest {
        api_key: key.clone(),
        ..Default::default()
    };
    told.add("SetPlatformKeyRequest", format!("{set:?} {set:#?}"));
    let answer = v1::ResolveCredentialsResponse {
        credential: Some(v1::Credential {
            api_key: key.clone(),
        }),
        ..Default::default()
    };
    told.add(
        "ResolveCredentialsResponse",
        format!("{answer:?} {:?}", tonic::Response::new(answer.clone())),
    );
    let key = ApiKey::parse(key.clone()).unwrap();
    told.add("ApiKey", format!("{key:?} {:?}", Some(&key)));
    for quoted in [
        format!("\"{}\"", needle.secret),
        format!("Bearer {}", needle.secret),
    ] {
        let fault = ApiKey::parse(quoted).unwrap_err();
        told.add("KeyFault", format!("{fault:?} {fault}"));
    }
    told.search(std::slice::from_ref(&needle), "panics");
}
