//! Key checks against a fake provider at the wire.

mod limits;
mod verdicts;

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use byokd::domain::protocol::Protocol;
use byokd::domain::secret::ApiKey;
use byokd::{
    egress::Egress,
    provider::{CheckOutcome, ListOutcome, ProbeTarget, Providers},
};
use url::Url;

use crate::support::fake_provider::FakeProvider;

const KEY: &str = "sk-0123456789abcdefghijklmnopqrsWXYZ";
const CATALOG: [&str; 5] = ["m-1", "m-2", "m-3", "m-4", "m-5"];

fn development() -> Egress {
    Egress {
        loopback_http: true,
        ..Egress::default()
    }
}

fn key(text: &str) -> ApiKey {
    ApiKey::parse(text.to_owned()).unwrap()
}

fn owned(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

fn providers(egress: Egress) -> Providers {
    Providers::new(egress, Duration::from_secs(10)).unwrap()
}

async fn check_by(
    providers: &Providers,
    protocol: Protocol,
    base_url: &Url,
    model: Option<&str>,
) -> CheckOutcome {
    let headers = BTreeMap::from([("OpenAI-Project".to_owned(), "proj_1".to_owned())]);
    let target = ProbeTarget {
        provider: "acme",
        protocol,
        base_url,
        headers: &headers,
    };
    let sold: HashSet<String> = owned(&CATALOG).into_iter().collect();
    providers
        .check(&target, &key(KEY), &owned(&CATALOG), &sold, model)
        .await
}

async fn check(provider: &FakeProvider) -> CheckOutcome {
    check_by(
        &providers(development()),
        Protocol::Openai,
        &provider.base_url(),
        None,
    )
    .await
}

async fn check_anthropic(provider: &FakeProvider) -> CheckOutcome {
    check_by(
        &providers(development()),
        Protocol::Anthropic,
        &provider.anthropic_base_url(),
        None,
    )
    .await
}

async fn list(provider: &FakeProvider) -> ListOutcome {
    let (headers, base_url) = (BTreeMap::new(), provider.base_url());
    let target = ProbeTarget {
        provider: "acme",
        protocol: Protocol::Openai,
        base_url: &base_url,
        headers: &headers,
    };
    providers(development()).list(&target, &key(KEY)).await
}
