//! A redirect is not followed, and a proxy of the environment is not used.

use byokd::domain::caller::Role;

use super::{island::settled_for, recorder::Recorder, set, vectors::REDIRECTS};
use crate::support::{Byokd, Reply, Site, new_key, openai_key};

#[tokio::test]
async fn no_redirect_is_followed() {
    if settled_for("providers::ssrf::redirects::no_redirect_is_followed") {
        return;
    }
    let recorder = Recorder::on(&[80, 443]).await;
    let byokd = Byokd::start().await;
    let mut tried = 0;
    for status in [301, 302, 303, 307, 308] {
        for target in REDIRECTS {
            let reply = Reply::text(status, "").header("location", target);
            for generate in [false, true] {
                byokd.provider.forget_requests();
                byokd.provider.on_list(if generate {
                    Reply::models(&["small-2030"])
                } else {
                    reply.clone()
                });
                byokd.provider.on_generate(reply.clone());
                assert_eq!(
                    set(&byokd, "openai", "").await,
                    "PROVIDER_UNREACHABLE",
                    "{status} to {target}"
                );
                assert_eq!(recorder.connections(), 0, "{status} to {target}");
                assert!(
                    byokd
                        .provider
                        .requests()
                        .iter()
                        .all(|seen| seen.path != "/elsewhere")
                );
                tried += 1;
            }
        }
    }
    println!("SSRF: {tried} redirects, none followed");
}

#[tokio::test]
async fn no_proxy_of_the_environment_is_used() {
    let (site, proxy) = (Site::new().await, Recorder::on(&[0]).await);
    let mut serve = site.serve();
    let mut settings = 0;
    for name in [
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "FTP_PROXY",
        "http_proxy",
        "https_proxy",
        "all_proxy",
    ] {
        serve.env(name, format!("http://127.0.0.1:{}", proxy.port()));
        settings += 1;
    }
    let process = site.start_as(serve).await;
    process
        .keys(Role::Admin)
        .await
        .set_key(new_key("acme", "openai", &openai_key(1)))
        .await
        .unwrap();
    assert!(!site.provider.requests().is_empty());
    assert_eq!(proxy.connections(), 0);
    println!("SSRF: {settings} settings of a proxy ignored, 0 connections");
}
