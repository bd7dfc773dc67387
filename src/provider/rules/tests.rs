//! Every recorded body has its recorded meaning, and every rule and word of a rule has a recorded body.

use std::collections::BTreeSet;

use super::*;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases {
    case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    protocol: Protocol,
    probe: Vec<Probe>,
    status: u16,
    body: String,
    means: Meaning,
    host: Option<String>,
}

fn recorded() -> Vec<Case> {
    toml::from_str::<Cases>(include_str!("../../../tests/verdicts/cases.toml"))
        .unwrap()
        .case
}

#[test]
fn every_recorded_body_has_its_recorded_meaning() {
    let rules = VerdictRules::shipped().unwrap();
    for Case {
        protocol,
        probe,
        status,
        body,
        means,
        host,
    } in recorded()
    {
        for probe in probe {
            let judgement = rules.judge(protocol, probe, status, body.as_bytes());
            let expected = Judgement {
                meaning: means,
                named_host: host.clone(),
            };
            assert_eq!(
                judgement, expected,
                "{protocol:?} {probe:?} {status} {body}"
            );
        }
    }
}

#[test]
fn every_rule_and_every_word_of_it_has_a_recorded_body() {
    let rules = VerdictRules::shipped().unwrap().rule;
    let mut unseen: BTreeSet<(usize, String)> = rules
        .iter()
        .enumerate()
        .flat_map(|(at, rule)| words(rule).map(move |word| (at, word)))
        .collect();
    for case in recorded() {
        let body = ErrorBody::read(case.body.as_bytes());
        for probe in case.probe {
            let hit = rules
                .iter()
                .position(|rule| rule.matches(case.protocol, probe, case.status, &body));
            let Some(at) = hit else { continue };
            unseen.retain(|(rule, word)| *rule != at || !found_in(&body, case.status, word));
        }
    }
    assert!(unseen.is_empty(), "no recorded body for {unseen:#?}");
}

/// A rule's statuses, codes, types and texts, each named by its kind.
fn words(rule: &VerdictRule) -> impl Iterator<Item = String> + use<> {
    let of = |kind: &str, words: &[String]| {
        words
            .iter()
            .map(|word| format!("{kind} {word}"))
            .collect::<Vec<_>>()
    };
    // One recorded server error is enough for all statuses of it.
    let statuses = if rule.means == Meaning::Verdict(Verdict::ProviderDown) {
        vec!["any".to_owned()]
    } else {
        rule.status
            .iter()
            .map(|status| format!("status {status}"))
            .collect()
    };
    [
        statuses,
        of("code", &rule.code),
        of("type", &rule.r#type),
        of("text", &rule.text),
    ]
    .into_iter()
    .flatten()
}

fn found_in(body: &ErrorBody, status: u16, word: &str) -> bool {
    match word.split_once(' ') {
        Some(("status", number)) => number == status.to_string(),
        Some(("code", code)) => body.codes.iter().any(|own| own == code),
        Some(("type", kind)) => body.kind.as_deref() == Some(kind),
        Some(("text", part)) => body.text.contains(part),
        _ => true,
    }
}

#[test]
fn texts_are_in_lower_case_for_comparison() {
    for rule in VerdictRules::shipped().unwrap().rule {
        for text in rule.text.iter().chain(&rule.host_after) {
            assert_eq!(*text, text.to_lowercase());
        }
    }
}

#[test]
fn a_host_is_a_host_name_or_nothing() {
    let host = |text: &str| host_after(text, "request to ");
    assert_eq!(
        host("make your request to us.api.openai.com.").as_deref(),
        Some("us.api.openai.com")
    );
    assert_eq!(
        host("request to https://eu.api.openai.com/v1 now").as_deref(),
        Some("eu.api.openai.com")
    );
    assert_eq!(host("request to a.b@evil.example").as_deref(), Some("a.b"));
    for text in [
        "request to localhost",
        "request to ",
        "request to é.com",
        "nothing of it",
    ] {
        assert_eq!(host(text), None, "{text}");
    }
}

#[test]
fn a_rule_with_an_unknown_word_is_rejected() {
    let table = |rule: &str| {
        toml::from_str::<VerdictRules>(&format!("[[rule]]\nprotocol = \"openai\"\n{rule}"))
    };
    assert!(table("status = [401]\nmeans = \"INVALID\"").is_ok());
    assert!(table("status = [401]\nmeans = \"BAD\"").is_err());
    assert!(table("status = [401]\nmeans = \"INVALID\"\ncodes = []").is_err());
}
