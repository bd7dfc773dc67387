//! The format, as someone else would read it from this module's page; and what a line never is: without bound.

use aws_lc_rs::hmac;
use serde_json::{Value, json};
use time::macros::datetime;
use uuid::Uuid;

use super::{
    LONGEST_LINE,
    chain::{Chain, ChainKey},
    event::{Changed, Event, Opened, Resolved},
    sink::Sink,
};
use crate::domain::{
    caller::{Caller, Rights, Rpc, RpcSet, WorkspaceScope},
    names::{OnBehalfOf, ProviderName, PurposeName, WorkspaceId},
    resolution::BillingMode,
};

const KEY: [u8; 32] = [7; 32];

fn chain() -> Chain {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.key");
    crate::private_file::create(&path, "07".repeat(32).as_bytes()).unwrap();
    let mut chain = Chain::new(ChainKey::open(&path).unwrap());
    chain.id = Uuid::from_u128(1);
    chain
}

fn lines(chain: &mut Chain, events: &[Event]) -> Vec<String> {
    let mut bytes = Vec::new();
    for event in events {
        chain
            .append(&mut bytes, datetime!(2030-06-15 12:00 UTC), event)
            .unwrap();
    }
    String::from_utf8(bytes)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect()
}

fn changed(before: Value) -> Changed {
    Changed {
        actor: "ü".repeat(1000),
        on_behalf_of: OnBehalfOf::default(),
        workspace: None,
        rpc: Rpc::SetPlatformKey,
        provider: Some(ProviderName::parse("openai").unwrap()),
        before,
        after: Value::Null,
        verdict: None,
        request_id: None,
        revision: 1,
        shortened: false,
    }
}

#[test]
fn a_mac_is_what_the_page_says() {
    let opened = Opened {
        version: "1.2.3",
        deployment: Uuid::from_u128(2),
        mode: "durable",
        follows: None,
        torn: false,
    };
    let events = [
        Event::Opened(opened),
        Event::Lost {
            count: 3,
            torn: false,
        },
        Event::Closed,
    ];
    let written = lines(&mut chain(), &events);
    let mut before = vec![0; 32];
    for line in &written {
        let (body, rest) = line.split_once(",\"mac\":\"").unwrap();
        let digits = rest.strip_suffix("\"}").unwrap();
        let text = [before.as_slice(), body.as_bytes(), b"}"].concat();
        before = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &KEY), &text)
            .as_ref()
            .to_vec();
        let expected: String = before.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(digits, expected, "{line}");
    }
    // Byte for byte: files of an older byokd must verify.
    assert_eq!(
        written[1].split(",\"mac\"").next().unwrap(),
        r#"{"chain":"00000000-0000-0000-0000-000000000001","seq":2,"at":"2030-06-15T12:00:00Z","event":"lost","count":3"#
    );
}

#[test]
fn a_line_names_what_was_granted_and_nothing_else() {
    let caller = Caller {
        subject: "chat".to_owned(),
        rights: Rights {
            rpcs: RpcSet::of([]),
            purposes: [].into(),
            scope: WorkspaceScope::All,
        },
    };
    let resolved = Resolved {
        actor: caller.into(),
        workspace: WorkspaceId::parse("acme").unwrap(),
        purpose: PurposeName::reply(),
        provider: ProviderName::parse("openai").unwrap(),
        model: "gpt-4o-mini".to_owned(),
        billing: BillingMode::Byo,
        key_source: "workspace",
        key_id: Some(Uuid::from_u128(3)),
        generation: 4,
        degraded: false,
        resolution_id: Uuid::from_u128(5),
    };
    let written = lines(&mut chain(), &[Event::Resolved(Box::new(resolved))]);
    let mut line: Value = serde_json::from_str(&written[0]).unwrap();
    assert!(line.as_object_mut().unwrap().remove("mac").is_some());
    assert_eq!(
        line,
        json!({
            "chain": Uuid::from_u128(1), "seq": 1, "at": "2030-06-15T12:00:00Z", "event": "resolved",
            "actor": "chat", "workspace": "acme", "purpose": "reply", "provider": "openai",
            "model": "gpt-4o-mini", "billing": "BYO", "key_source": "workspace", "key_id": Uuid::from_u128(3),
            "generation": 4, "degraded": false, "resolution_id": Uuid::from_u128(5),
        })
    );
}

/// The first batch after a crash begins a line of its own, also when it is written for the second time.
#[test]
fn a_torn_line_is_still_torn_after_a_batch_that_was_taken_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    std::fs::write(&path, r#"{"chain":"0000"#).unwrap();
    let mut sink = Sink::open(Some(&path)).unwrap();
    let length = sink.length();
    sink.write(b"\n{}\n").unwrap();
    sink.take_back(length);
    assert!(sink.end().torn);
    sink.write(b"\n{}\n").unwrap();
    sink.settle();
    assert!(!sink.end().torn);
    assert_eq!(std::fs::read(&path).unwrap(), b"{\"chain\":\"0000\n{}\n");
}

/// A child process that is being started has a share in every open file, and so in their locks.
#[test]
fn a_file_that_was_released_can_be_written_by_another_though_it_is_still_open() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let sink = Sink::open(Some(&path)).unwrap();
    let Sink::File { file, .. } = &sink else {
        panic!("a path is a file")
    };
    let shared = file.try_clone().unwrap();
    assert!(Sink::open(Some(&path)).is_err());
    sink.release();
    Sink::open(Some(&path)).unwrap();
    drop(shared);
}

#[test]
fn a_line_is_bounded_whatever_is_in_it() {
    let long = changed(json!("x".repeat(100_000)));
    let short = long.shortened();
    let written = lines(
        &mut chain(),
        &[
            Event::Changed(Box::new(long)),
            Event::Changed(Box::new(short)),
        ],
    );
    let length = |line: &str| u64::try_from(line.len()).unwrap();
    assert!(
        length(&written[0]) > LONGEST_LINE,
        "the writer takes the other one"
    );
    assert!(length(&written[1]) < 2000);
    let line: Value = serde_json::from_str(&written[1]).unwrap();
    assert_eq!(
        (&line["shortened"], &line["before"]),
        (&json!(true), &Value::Null)
    );
    assert_eq!(line["actor"].as_str().unwrap().chars().count(), 256);
}
