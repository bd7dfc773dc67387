//! A provider's answer: limits hold, and no outage of the provider condemns a key.

use std::sync::LazyLock;

use byokd::{
    domain::{protocol::Protocol, verdict::Finding},
    provider::fuzzing::AnswerReader,
};

static ANSWERS: LazyLock<AnswerReader> = LazyLock::new(AnswerReader::shipped);

// The first three bytes are protocol and probe, and the status; the rest is the body.
/// Judges one input.
pub fn run(data: &[u8]) {
    let [which, s0, s1, body @ ..] = data else {
        return;
    };
    let protocol = if which & 1 == 0 {
        Protocol::Openai
    } else {
        Protocol::Anthropic
    };
    let status = 100 + u16::from_be_bytes([*s0, *s1]) % 500;
    let (verdict, named_host) = ANSWERS.refusal(protocol, which & 2 == 0, status, body);
    let refused = verdict
        .is_some_and(|verdict| matches!(verdict.finding(), Finding::Refused | Finding::WrongKind));
    assert!(
        !refused || (400..500).contains(&status),
        "{status} condemns: {verdict:?}"
    );
    if let Some(host) = &named_host {
        assert!(host.len() <= 253 && host.contains('.'), "{host:?}");
        assert!(
            host.bytes()
                .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-')),
            "{host:?}"
        );
    }
    let _ = ANSWERS.is_generation(protocol, body);
    if let Some((ids, after)) = ANSWERS.list(body) {
        assert!(ids.is_sorted_by(|one, next| one < next));
        assert!(ids.iter().all(|id| is_id(id)));
        assert!(ids.iter().map(String::len).sum::<usize>() <= body.len());
        if let Some(id) = after {
            assert!(is_id(&id));
        }
    }
}

fn is_id(id: &str) -> bool {
    (1..=256).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
}
