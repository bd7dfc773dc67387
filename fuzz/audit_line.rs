//! An audit stream with any change: the verifier finds it. A stream that was written without the key: never
//! sound.

use std::{path::Path, sync::LazyLock};

use aws_lc_rs::hmac;
use byokd::{
    audit::{ChainKey, Report, Verifier},
    domain::audit::Checkpoint,
};
use time::macros::datetime;
use uuid::Uuid;

const CHAIN: Uuid = Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001);
const LINES: u64 = 8;

/// A key, a stream that this file wrote by the description in src/audit.rs, and its head.
struct Stream {
    key: ChainKey,
    text: Vec<u8>,
    head: [u8; 32],
}

static STREAM: LazyLock<Stream> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.key");
    ChainKey::create(&path).unwrap();
    let digits = std::fs::read_to_string(&path).unwrap();
    let bytes: Vec<u8> = digits
        .trim()
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect();
    let hmac_key = hmac::Key::new(hmac::HMAC_SHA256, &bytes);
    let (mut text, mut head) = (Vec::new(), [0_u8; 32]);
    for seq in 1..=LINES {
        let event = if seq == 1 { "opened" } else { "refused" };
        let line = format!(
            r#"{{"chain":"{CHAIN}","seq":{seq},"at":"2026-11-22T12:00:00Z","event":"{event}"}}"#
        );
        let mac = hmac::sign(&hmac_key, &[&head[..], line.as_bytes()].concat());
        head.copy_from_slice(mac.as_ref());
        let digits: String = head.iter().map(|byte| format!("{byte:02x}")).collect();
        text.extend(
            format!(
                "{},\"mac\":\"{digits}\"}}\n",
                line.strip_suffix('}').unwrap()
            )
            .bytes(),
        );
    }
    Stream {
        key: ChainKey::open(&path).unwrap(),
        text,
        head,
    }
});

fn check(text: &[u8]) -> Report {
    let at = datetime!(2026-11-22 12:00 UTC);
    let known = Checkpoint {
        chain_id: CHAIN,
        opened_at: at,
        count: LINES,
        head: STREAM.head,
        at,
        closed: false,
    };
    let mut verifier = Verifier::new(&STREAM.key, vec![known], true);
    verifier.read_lines(Path::new("audit.jsonl"), text).unwrap();
    verifier.report()
}

// Steps of six bytes: the action, the line, the place in it, the bytes. The rest is a stream of its own.
/// Judges one input.
pub fn run(data: &[u8]) {
    assert!(check(&STREAM.text).sound());
    assert!(
        !check(data).sound(),
        "without the key, or empty though the database knows of lines"
    );
    let mut lines: Vec<Vec<u8>> = STREAM
        .text
        .split_inclusive(|byte| *byte == b'\n')
        .map(<[u8]>::to_vec)
        .collect();
    for step in data.chunks_exact(6).take(8) {
        let [what, line, to, at, byte, count] = *step else {
            unreachable!()
        };
        if lines.is_empty() {
            break;
        }
        let (line, to) = (
            usize::from(line) % lines.len(),
            usize::from(to) % lines.len(),
        );
        let place = usize::from(at) % lines[line].len().max(1);
        match what % 7 {
            0 if !lines[line].is_empty() => lines[line][place] = byte,
            1 => drop(lines.remove(line)),
            2 => lines.swap(line, to),
            3 => lines.insert(to, lines[line].clone()),
            4 => lines[line].insert(place, byte),
            5 => lines[line].truncate(place),
            _ => lines.truncate(lines.len() - usize::from(count) % (lines.len() + 1)),
        }
    }
    let changed = lines.concat();
    let report = check(&changed);
    // The remains of a line after the last one, as after a crash, are no fault.
    let is_whole = changed
        .strip_prefix(STREAM.text.as_slice())
        .is_some_and(|rest| !rest.contains(&b'\n'));
    assert_eq!(
        report.sound(),
        is_whole,
        "{}: {report:?}",
        String::from_utf8_lossy(&changed)
    );
}
