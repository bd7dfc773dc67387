//! A key goes to the provider's hosts at public addresses, and nowhere else, however an address is spelled,
//! redirected, proxied or resolved. The test receives every connection, whatever its address: see [`island`].
#![expect(clippy::print_stdout, reason = "figures are for people")]

mod island;
mod name_server;
mod recorder;
mod redirects;
mod vectors;

use std::net::IpAddr;

use byokd::{contract::v1, domain::clock::Clock, server::Server};
use time::macros::datetime;

use self::{
    island::settled_for,
    name_server::NameServer,
    recorder::Recorder,
    vectors::{ALLOWED, DECORATED, IPV4, IPV6, NAMES, NEARLY, SCHEMES},
};
use crate::support::{Byokd, new_key, openai_key, reason};

/// A name, the answers for it one after the other, and the addresses that byokd may connect to.
type Name = (
    &'static str,
    &'static [&'static [&'static str]],
    &'static [&'static str],
);

const PUBLIC: &str = "93.184.216.34";

/// A catalog of these base URLs, whose providers are `p0` and so on.
fn catalog(hosts: &[&str]) -> String {
    let mut text = String::from("version = \"ssrf\"\ndefault_model = \"m\"\n");
    for (n, host) in hosts.iter().enumerate() {
        let host = toml::Value::String((*host).to_owned());
        text.push_str(&format!(
            "[providers.p{n}]\nprotocol = \"openai\"\nhosts = [{host}]\n"
        ));
    }
    text + "[models.m]\nprovider = \"p0\"\nids = [{ id = \"m-1\" }]\ncredits = { unit = \"credits\", micros_per_call = 1 }\n"
}

/// A byokd as in production, except for its catalog.
async fn byokd(hosts: &[&str]) -> Byokd {
    Byokd::start_with(|config| {
        std::fs::write(&config.catalog.file, catalog(hosts)).unwrap();
        config.egress.loopback_http = false;
    })
    .await
}

fn names(server: &NameServer) {
    server.say("public.test", &[&[PUBLIC]]);
    server.say("loopback.test", &[&["127.0.0.1"]]);
    server.say("metadata.test", &[&["169.254.169.254", "fd00:ec2::254"]]);
    server.say(
        "inside.test",
        &[&["10.0.0.8", "::1", "64:ff9b::a00:8", "::ffff:10.0.0.8"]],
    );
}

async fn set(byokd: &Byokd, provider: &str, base_url: &str) -> String {
    let request = v1::SetKeyRequest {
        base_url: base_url.to_owned(),
        ..new_key("acme", provider, &openai_key(1))
    };
    reason(&byokd.admin().set_key(request).await.unwrap_err())
}

/// The control: the recorder sees a call to a public address.
async fn heard(byokd: &Byokd, recorder: &Recorder) {
    assert_eq!(set(byokd, "p0", "").await, "PROVIDER_UNREACHABLE");
    assert_eq!(recorder.met(), [PUBLIC.parse::<IpAddr>().unwrap()]);
    recorder.forget();
}

fn every_vector() -> impl Iterator<Item = &'static str> {
    SCHEMES
        .iter()
        .chain(&IPV4)
        .chain(&IPV6)
        .chain(&DECORATED)
        .chain(&NAMES)
        .copied()
}

#[tokio::test]
async fn a_base_url_of_a_caller_leads_nowhere_but_to_the_catalogs_host() {
    if settled_for("providers::ssrf::a_base_url_of_a_caller_leads_nowhere_but_to_the_catalogs_host")
    {
        return;
    }
    let (recorder, server) = (
        Recorder::on(&[80, 443, 6379, 8443, 11211]).await,
        NameServer::start().await,
    );
    names(&server);
    let byokd = byokd(&[ALLOWED]).await;
    heard(&byokd, &recorder).await;
    let mut tried = 0;
    for vector in every_vector().chain(NEARLY) {
        assert_eq!(
            set(&byokd, "p0", vector).await,
            "BASE_URL_NOT_ALLOWED",
            "{vector:?}"
        );
        let request = v1::SetPlatformKeyRequest {
            provider: "p0".to_owned(),
            api_key: openai_key(1),
            base_url: vector.to_owned(),
            allow_unverified: true,
            ..Default::default()
        };
        let status = byokd
            .operator()
            .set_platform_key(request)
            .await
            .unwrap_err();
        assert_eq!(reason(&status), "BASE_URL_NOT_ALLOWED", "{vector:?}");
        assert_eq!(
            recorder.connections(),
            0,
            "{vector:?}: {:?}",
            recorder.met()
        );
        tried += 2;
    }
    assert!(tried >= 2 * 80, "{tried}");
    heard(&byokd, &recorder).await;
    println!("SSRF: {tried} base URLs of callers refused, 0 connections");
}

/// Even the operator's own catalog does not lead inside: a typing error, or a name that another party
/// controls.
#[tokio::test]
async fn a_catalog_leads_to_no_address_that_is_not_public() {
    if settled_for("providers::ssrf::a_catalog_leads_to_no_address_that_is_not_public") {
        return;
    }
    let (recorder, server) = (
        Recorder::on(&[80, 443, 6379, 8443, 11211]).await,
        NameServer::start().await,
    );
    names(&server);
    let byokd = byokd(&[ALLOWED]).await;
    heard(&byokd, &recorder).await;
    let (mut at_start, mut at_call) = (0, Vec::new());
    for (n, vector) in every_vector().enumerate() {
        let mut config = byokd.config.clone();
        config.catalog.file = byokd.folder.path().join("hostile.toml");
        config.server.data_dir = byokd.folder.path().join(format!("hostile-{n}"));
        config.database.url = format!(
            "sqlite:{}",
            byokd
                .folder
                .path()
                .join(format!("hostile-{n}.db"))
                .display()
        );
        std::fs::write(&config.catalog.file, catalog(&[vector])).unwrap();
        match Server::start(config, Clock::manual(datetime!(2030-06-15 12:00 UTC))).await {
            Err(refused) => {
                let said = refused.to_string();
                assert!(
                    said.contains("may not be called")
                        || said.contains("must be scheme, host and path only"),
                    "{vector:?}: {said}"
                );
                at_start += 1;
            }
            Ok(_) => at_call.push(vector),
        }
    }
    // The others are names, or a URL parser turns them into names.
    let hosts: Vec<&str> = std::iter::once(ALLOWED)
        .chain(at_call.iter().copied())
        .collect();
    let byokd = byokd
        .restart_with(|config| std::fs::write(&config.catalog.file, catalog(&hosts)).unwrap())
        .await;
    for (n, vector) in at_call.iter().enumerate() {
        assert_eq!(
            set(&byokd, &format!("p{}", n + 1), "").await,
            "PROVIDER_UNREACHABLE",
            "{vector:?}"
        );
        assert_eq!(
            recorder.connections(),
            0,
            "{vector:?}: {:?}",
            recorder.met()
        );
    }
    for name in ["loopback.test", "metadata.test", "inside.test"] {
        assert!(server.asked(name) > 0, "{name} was not looked up");
    }
    assert!(at_start >= 80, "{at_start}");
    heard(&byokd, &recorder).await;
    println!(
        "SSRF: {at_start} hosts of a catalog refused at start, {} when called, 0 connections",
        at_call.len()
    );
    println!("SSRF: refused when called: {at_call:?}");
}

/// DNS rebinding: byokd connects to an address that it checked, whatever the next answer is.
#[tokio::test]
async fn a_name_with_changing_addresses_leads_to_public_ones_only() {
    if settled_for("providers::ssrf::a_name_with_changing_addresses_leads_to_public_ones_only") {
        return;
    }
    let (recorder, server) = (Recorder::on(&[443]).await, NameServer::start().await);
    const OTHER: &str = "2606:4700::1111";
    let rows: [Name; 9] = [
        ("first-public.test", &[&[PUBLIC], &["127.0.0.1"]], &[PUBLIC]),
        (
            "first-loopback.test",
            &[&["127.0.0.1"], &[PUBLIC]],
            &[PUBLIC],
        ),
        (
            "in-turns.test",
            &[&[PUBLIC], &["10.0.0.8"], &[PUBLIC], &["169.254.169.254"]],
            &[PUBLIC],
        ),
        ("both.test", &[&["127.0.0.1", PUBLIC]], &[PUBLIC]),
        (
            "both-families.test",
            &[&[PUBLIC, "::1", OTHER, "169.254.169.254", "::ffff:127.0.0.1"]],
            &[PUBLIC, OTHER],
        ),
        (
            "only-v6-inside.test",
            &[&["::1", "fd00:ec2::254", "2002:7f00:1::", "64:ff9b::7f00:1"]],
            &[],
        ),
        (
            "never-public.test",
            &[
                &["127.0.0.1"],
                &["169.254.169.254"],
                &["192.168.0.1"],
                &["0.0.0.0"],
            ],
            &[],
        ),
        ("missing.test", &[&[]], &[]),
        ("alias.test", &[&["10.0.0.8"], &["127.0.0.1"]], &[]),
    ];
    for (name, answers, _) in rows {
        match name {
            "alias.test" => server.say_alias(name, "real.test", answers),
            _ => server.say(name, answers),
        }
    }
    let hosts: Vec<String> = rows
        .iter()
        .map(|(name, ..)| format!("https://{name}/v1"))
        .collect();
    let byokd = byokd(&hosts.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let (mut lookups, mut connections) = (0, 0);
    for (n, (name, _, allowed)) in rows.iter().enumerate() {
        for _ in 0..4 {
            assert_eq!(
                set(&byokd, &format!("p{n}"), "").await,
                "PROVIDER_UNREACHABLE",
                "{name}"
            );
        }
        let mut expected: Vec<IpAddr> = allowed
            .iter()
            .map(|address| address.parse().unwrap())
            .collect();
        expected.sort();
        let met = recorder.met();
        assert!(
            met.iter().all(|address| expected.contains(address)),
            "{name}: {met:?}"
        );
        assert_eq!(met.is_empty(), expected.is_empty(), "{name}: {met:?}");
        assert!(
            server.asked(name) >= 4,
            "{name} was looked up {} times",
            server.asked(name)
        );
        lookups += server.asked(name);
        connections += recorder.connections();
        recorder.forget();
    }
    println!(
        "SSRF: {} names, {lookups} lookups, {connections} connections, each to a public address",
        rows.len()
    );
}
