//! Bad certificates: refused, with one answer to the caller and the reason in the operator's log.

use byokd::domain::caller::Role;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, NameConstraints, SanType, date_time_ymd,
};

use super::{Guarded, assert_cut, assert_refused, san};
use crate::support::{Ca, Issued, until};

const SUBJECT_ALTERNATIVE_NAME: &[u64] = &[2, 5, 29, 17];

/// The stage that refuses it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Handshake,
    Byokd,
}

/// The name that a rule is for, and a fault beside it.
fn agent(change: impl FnOnce(&mut CertificateParams)) -> impl FnOnce(&mut CertificateParams) {
    |params| {
        params.subject_alt_names = vec![san("spiffe://test/agent")];
        change(params);
    }
}

/// Names in DER, one after the other.
fn raw_names(parts: &[(u8, &[u8])]) -> CustomExtension {
    let mut names = Vec::new();
    for (tag, name) in parts {
        names.extend([0x80 | *tag, u8::try_from(name.len()).unwrap()]);
        names.extend_from_slice(name);
    }
    let mut content = vec![0x30, u8::try_from(names.len()).unwrap()];
    content.extend(names);
    CustomExtension::from_oid_content(SUBJECT_ALTERNATIVE_NAME, content)
}

/// Certificates that the handshake refuses: the fault, the certificate, and the text in the log.
fn of_the_handshake(ca: &Ca) -> Vec<(&'static str, Issued, &'static str)> {
    let (name, below) = ("spiffe://test/agent", ca.below("between"));
    let mut without_its_chain = below.client(name);
    let end = without_its_chain
        .certificate
        .find("-----END CERTIFICATE-----\n")
        .unwrap()
        + 26;
    without_its_chain.certificate.truncate(end);
    let narrow = ca.below_with("narrow", |params| {
        let elsewhere = GeneralSubtree::DnsName("elsewhere.test".to_owned());
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![elsewhere],
            excluded_subtrees: Vec::new(),
        });
    });
    let expired = ca.below_with("expired", |params| {
        params.not_after = date_time_ymd(2021, 1, 1)
    });
    let no_authority = ca.below_with("no authority", |params| params.is_ca = IsCa::ExplicitNoCa);
    vec![
        (
            "expired",
            ca.issue(agent(|params| params.not_after = date_time_ymd(2021, 1, 1))),
            "expired",
        ),
        (
            "not yet valid",
            ca.issue(agent(|params| {
                params.not_before = date_time_ymd(2039, 1, 1)
            })),
            "not valid yet",
        ),
        (
            "another CA",
            Ca::new("others").client(name),
            "UnknownIssuer",
        ),
        (
            "another CA of the same name",
            Ca::new("callers").client(name),
            "",
        ),
        ("signed by itself", Issued::by_itself(name), "UnknownIssuer"),
        (
            "without the one between",
            without_its_chain,
            "UnknownIssuer",
        ),
        (
            "below one that has expired",
            expired.client(name),
            "expired",
        ),
        (
            "below one that is no CA",
            no_authority.client(name),
            "EndEntityUsedAsCa",
        ),
        (
            "below one for other names",
            narrow.client("agent.test"),
            "NameConstraintViolation",
        ),
        (
            "for servers only",
            ca.issue(agent(|params| {
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]
            })),
            "",
        ),
        (
            "for signing code only",
            ca.issue(agent(|params| {
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning]
            })),
            "",
        ),
        (
            "a CA's own",
            ca.issue(agent(|params| {
                params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)
            })),
            "CaUsedAsEndEntity",
        ),
    ]
}

/// Certificates whose names byokd refuses.
fn of_byokd(ca: &Ca) -> Vec<(String, Issued, &'static str)> {
    let named = |names: &[&str]| {
        ca.issue(|params| params.subject_alt_names = names.iter().map(|name| san(name)).collect())
    };
    let mut found: Vec<(String, Issued, &'static str)> = Vec::new();
    let long = format!("spiffe://test/ns/{}", "a".repeat(500));
    for id in [
        "spiffe://TEST/agent",
        "SPIFFE://test/agent",
        "spiffe://test/x/../agent",
        "spiffe://test/./agent",
        "spiffe://test//agent",
        "spiffe://test/agent/",
        "spiffe://test/%61gent",
        "spiffe://test/ns%2Fa",
        "spiffe://test:443/agent",
        "spiffe://user@test/agent",
        "spiffe://test/agent?x",
        "spiffe://test/agent#x",
        "spiffe://test",
        "spiffe://test/",
        "spiffe:///agent",
        "https://test/agent",
        "spiffe://test/agent\0",
        "spiffe://test/agent\n",
        " spiffe://test/agent",
        "spiffe://test/agent ",
        "spiffe://test\\agent/x",
        &long,
    ] {
        found.push((
            format!("{id:?}"),
            named(&[id]),
            "the certificate's URI SAN is not a SPIFFE id",
        ));
    }
    for host in [
        "*.test",
        "*",
        "AGENT.test",
        "agent.test.",
        ".agent.test",
        "agent..test",
        "agent.test/x",
        "agent.test\0x",
    ] {
        found.push((
            format!("{host:?}"),
            named(&[host]),
            "the certificate's DNS SAN is not a host name in lower case",
        ));
    }
    let several_uris = "the certificate has several URI SANs, which is more than one identity";
    let several_hosts = "the certificate has several DNS SANs, which is more than one identity";
    let no_name = "the certificate has no subject alternative name; its CN does not count";
    let neither = "the certificate has neither a URI SAN nor a DNS SAN";
    let unreadable = "the certificate has a subject alternative name that is not a text";
    for (what, names, why) in [
        (
            "two URI SANs, both listed",
            &["spiffe://test/agent", "spiffe://test/ns/a"][..],
            several_uris,
        ),
        (
            "one URI SAN twice",
            &["spiffe://test/agent", "spiffe://test/agent"],
            several_uris,
        ),
        (
            "a SPIFFE id and another URI",
            &["spiffe://test/agent", "https://test/agent"],
            several_uris,
        ),
        (
            "two DNS SANs, both listed",
            &["agent.test", "agents.test"],
            several_hosts,
        ),
        (
            "another URI beside a listed host",
            &["https://x/y", "agent.test"],
            "the certificate's URI SAN is not a SPIFFE id",
        ),
        (
            "no rule for the id, but for the host",
            &["spiffe://test/x", "agent.test"],
            "no rule is for a certificate of spiffe://test/x",
        ),
        (
            "not listed",
            &["spiffe://test/stranger"],
            "no rule is for a certificate of spiffe://test/stranger",
        ),
        (
            "another trust domain",
            &["spiffe://other/agent"],
            "no rule is for a certificate of spiffe://other/agent",
        ),
        (
            "a trust domain with more behind it",
            &["spiffe://test.evil/agent"],
            "no rule is for a certificate of",
        ),
        (
            "more behind a listed name",
            &["spiffe://test/agent2"],
            "no rule is for a certificate of",
        ),
        (
            "below a name that is listed alone",
            &["spiffe://test/agent/x"],
            "no rule is for a certificate of",
        ),
        (
            "the name above the listed ones",
            &["spiffe://test/ns"],
            "no rule is for a certificate of",
        ),
        (
            "beside the listed ones",
            &["spiffe://test/nsx/a"],
            "no rule is for a certificate of",
        ),
        (
            "another host",
            &["agent.test.evil"],
            "no rule is for a certificate of agent.test.evil",
        ),
    ] {
        found.push((what.to_owned(), named(names), why));
    }
    let common_name =
        |name: &str| ca.issue(|params| params.distinguished_name.push(DnType::CommonName, name));
    found.push((
        "a listed host as the CN".to_owned(),
        common_name("agent.test"),
        no_name,
    ));
    found.push((
        "a listed id as the CN".to_owned(),
        common_name("spiffe://test/agent"),
        no_name,
    ));
    let other = |san: SanType| ca.issue(|params| params.subject_alt_names = vec![san]);
    let mail = SanType::Rfc822Name("agent@agent.test".try_into().unwrap());
    found.push(("a mail address".to_owned(), other(mail), neither));
    found.push((
        "an IP address".to_owned(),
        other(SanType::IpAddress([127, 0, 0, 1].into())),
        neither,
    ));
    let raw = |parts: &[(u8, &[u8])]| {
        ca.issue(|params| params.custom_extensions = vec![raw_names(parts)])
    };
    let id = b"spiffe://test/agent";
    found.push((
        "a name that is not a text beside a listed id".to_owned(),
        raw(&[(6, id), (6, &[0xff])]),
        unreadable,
    ));
    found.push((
        "a URI that is not a text beside a listed host".to_owned(),
        raw(&[(2, b"agent.test"), (6, &[0xff])]),
        unreadable,
    ));
    found.push(("no names in the list of names".to_owned(), raw(&[]), ""));
    found
}

#[tokio::test]
#[expect(clippy::print_stderr, reason = "the count is what the test shows")]
async fn every_bad_certificate_is_refused_and_only_the_log_has_the_reason() {
    let byokd = Guarded::start("required").await;
    let token = byokd.token(Role::Resolver, "*");
    let refused = async |what: &str, by: By, shown: &Issued, why: &str| {
        // With a good token and without.
        for token in [Some(token.as_str()), None] {
            // Log lines about handshakes are rate-limited, so a fault may need a second try.
            until(&format!("{what} is logged"), async || {
                let before = byokd.process.said().len();
                let answer = byokd.resolve(Some(shown), token).await;
                match by {
                    By::Handshake => assert_cut(answer, what),
                    By::Byokd => assert_refused(answer, what),
                }
                let line = match by {
                    By::Handshake => "a TLS handshake was refused",
                    By::Byokd => "caller refused",
                };
                let said = byokd.process.said().split_off(before);
                said.lines()
                    .any(|logged| logged.contains(line) && logged.contains(why))
                    .then_some(())
            })
            .await;
        }
    };
    let (cut, named) = (of_the_handshake(&byokd.callers), of_byokd(&byokd.callers));
    let count = cut.len() + named.len();
    for (what, issued, why) in cut {
        refused(what, By::Handshake, &issued, why).await;
    }
    for (what, issued, why) in named {
        refused(&what, By::Byokd, &issued, why).await;
    }
    byokd
        .resolve(Some(&byokd.callers.client("spiffe://test/agent")), None)
        .await
        .unwrap();
    eprintln!("{count} bad certificates: all refused, with a token and without");
    assert!(count >= 25);
}
