//! An attacker who can write the files but has no key: each kind of change is found, at random places.
//!
//! The test prints the seed, and `BYOKD_TEST_SEED` repeats it.
#![expect(clippy::ptr_arg, reason = "every class has the same type")]

use std::{fs, path::Path, sync::Arc};

use byokd::{
    audit::{ChainKey, Report, Verifier},
    config::Config,
    domain::{
        audit::Checkpoint,
        caller::{Caller, Rights, Role, RpcSet, WorkspaceScope},
        clock::Clock,
        names::{ModelName, PurposeName, WorkspaceId},
        resolution::Ask,
    },
    ops,
};
use time::macros::datetime;

use crate::support::{FakeProvider, Random, byokd::config, catalog::catalog};

/// Tries of each kind.
const TRIES: usize = 40;
/// The lines of each chain: its first line, these resolves, its last line.
const RESOLVES: usize = 12;

/// A stream of four chains, and the database's checkpoints of them.
struct Stream {
    _folder: tempfile::TempDir,
    config: Config,
    lines: Vec<Vec<u8>>,
    checkpoints: Vec<Checkpoint>,
    _provider: FakeProvider,
}

impl Stream {
    /// The last chain has no last line: its process was killed after a checkpoint.
    async fn written() -> Self {
        let provider = FakeProvider::start().await;
        let folder = tempfile::tempdir().unwrap();
        let catalog_file = folder.path().join("catalog.toml");
        fs::write(&catalog_file, catalog(&provider)).unwrap();
        let config = config(folder.path(), catalog_file).await;
        let caller = Arc::new(Caller {
            subject: "tests".to_owned(),
            rights: Rights {
                rpcs: RpcSet::of_roles(&[Role::Resolver]),
                purposes: [PurposeName::reply()].into(),
                scope: WorkspaceScope::All,
            },
        });
        let ask = Ask {
            model: Some(ModelName::parse("llama").unwrap()),
            provider: None,
            purpose: PurposeName::reply(),
        };
        let mut checkpoints = Vec::new();
        for chain in 0..4 {
            let clock = Clock::manual(datetime!(2030-06-15 12:00 UTC));
            let parts = byokd::server::open(&config, clock).await.unwrap();
            let workspace = WorkspaceId::parse(&format!("acme-{chain}")).unwrap();
            let workspace = Arc::clone(&caller).admit(workspace).unwrap();
            for _ in 0..RESOLVES {
                ops::resolve_credentials(&parts, &workspace, &ask)
                    .await
                    .unwrap();
            }
            match chain {
                3 => parts.audit.checkpoint().await.unwrap(),
                _ => parts.audit.close().await,
            }
            checkpoints = parts.store.audit_chains().await.unwrap();
            parts.store.close().await;
        }
        let text = fs::read(config.audit_file().unwrap()).unwrap();
        let lines: Vec<Vec<u8>> = text
            .split_inclusive(|byte| *byte == b'\n')
            .map(<[u8]>::to_vec)
            .collect();
        assert_eq!(lines.len(), 3 * (RESOLVES + 2) + RESOLVES + 1);
        assert_eq!(checkpoints.len(), 4);
        Self {
            _folder: folder,
            config,
            lines,
            checkpoints,
            _provider: provider,
        }
    }

    fn check(&self, lines: &[Vec<u8>], with_checkpoints: bool) -> Report {
        let key = ChainKey::open(&self.config.audit_key_file()).unwrap();
        let checkpoints = if with_checkpoints {
            self.checkpoints.clone()
        } else {
            Vec::new()
        };
        let mut verifier = Verifier::new(&key, checkpoints, true);
        verifier
            .read_lines(Path::new("tampered.jsonl"), lines.concat().as_slice())
            .unwrap();
        verifier.report()
    }
}

/// Changes the stream. Returns the place of the finding, if there must be one.
type Tampering = fn(&mut Vec<Vec<u8>>, &mut Random) -> Option<usize>;

fn any(lines: &[Vec<u8>], random: &mut Random) -> usize {
    usize::try_from(random.below(lines.len() as u64)).unwrap()
}

fn edit_a_byte(lines: &mut Vec<Vec<u8>>, random: &mut Random) -> Option<usize> {
    let line = any(lines, random);
    let at = usize::try_from(random.below(lines[line].len() as u64 - 1)).unwrap();
    let other = u8::try_from(random.below(255)).unwrap();
    lines[line][at] = if other == lines[line][at] { 255 } else { other };
    Some(line)
}

fn insert_a_line(lines: &mut Vec<Vec<u8>>, random: &mut Random) -> Option<usize> {
    let (from, to) = (any(lines, random), any(lines, random));
    // As if it were the chain's next line: another sequence number, an invented MAC.
    let text = String::from_utf8(lines[from].clone()).unwrap();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    let seq = value["seq"].as_u64().unwrap();
    let forged = text.replace(&format!("\"seq\":{seq},"), &format!("\"seq\":{},", seq + 1));
    lines.insert(to, forged.into_bytes());
    None
}

fn insert_text(lines: &mut Vec<Vec<u8>>, random: &mut Random) -> Option<usize> {
    let to = any(lines, random);
    lines.insert(to, b"{\"event\":\"resolved\"}\n".to_vec());
    Some(to)
}

fn delete_a_line(lines: &mut Vec<Vec<u8>>, random: &mut Random) -> Option<usize> {
    let line = any(lines, random);
    lines.remove(line);
    None
}

fn delete_lines(lines: &mut Vec<Vec<u8>>, random: &mut Random) -> Option<usize> {
    let (one, other) = (any(lines, random), any(lines, random));
    lines.drain(one.min(other)..=one.max(other));
    None
}

fn swap_two_lines(lines: &mut Vec<Vec<u8>>, random: &mut Random) -> Option<usize> {
    let one = any(lines, random);
    let other =
        (one + 1 + usize::try_from(random.below(lines.len() as u64 - 1)).unwrap()) % lines.len();
    lines.swap(one, other);
    None
}

fn swap_neighbours(lines: &mut Vec<Vec<u8>>, random: &mut Random) -> Option<usize> {
    let one = usize::try_from(random.below(lines.len() as u64 - 1)).unwrap();
    lines.swap(one, one + 1);
    None
}

fn repeat_a_line(lines: &mut Vec<Vec<u8>>, random: &mut Random) -> Option<usize> {
    let (from, to) = (any(lines, random), any(lines, random));
    lines.insert(to, lines[from].clone());
    None
}

fn cut_the_tail(lines: &mut Vec<Vec<u8>>, random: &mut Random) -> Option<usize> {
    lines.truncate(any(lines, random));
    None
}

fn cut_in_the_middle_of_a_line(lines: &mut Vec<Vec<u8>>, random: &mut Random) -> Option<usize> {
    let line = any(lines, random);
    let at = usize::try_from(random.below(lines[line].len() as u64)).unwrap();
    lines.truncate(line + 1);
    lines[line].truncate(at);
    None
}

/// One of the four chains.
fn chain(lines: &[Vec<u8>], random: &mut Random) -> std::ops::Range<usize> {
    let (chain, length) = (usize::try_from(random.below(4)).unwrap(), RESOLVES + 2);
    chain * length..((chain + 1) * length).min(lines.len())
}

fn cut_a_chain(lines: &mut Vec<Vec<u8>>, random: &mut Random) -> Option<usize> {
    lines.drain(chain(lines, random));
    None
}

fn move_a_chain(lines: &mut Vec<Vec<u8>>, random: &mut Random) -> Option<usize> {
    let moved: Vec<Vec<u8>> = lines.drain(0..RESOLVES + 2).collect();
    let to = chain(lines, random).end;
    lines.splice(to..to, moved);
    None
}

/// The same place and sequence number in another chain.
fn splice_from_another_chain(lines: &mut Vec<Vec<u8>>, random: &mut Random) -> Option<usize> {
    let (length, line) = (RESOLVES + 2, any(lines, random));
    let other = (line + length) % (4 * length - 1);
    let other = if other == line { line + 1 } else { other };
    lines[line] = lines[other].clone();
    None
}

/// The chain's own name in a line of another chain.
fn rename_a_line(lines: &mut Vec<Vec<u8>>, random: &mut Random) -> Option<usize> {
    let line = any(lines, random);
    let name = |line: &[u8]| line[10..46].to_vec();
    let other = (line + RESOLVES + 2) % lines.len();
    let other = if name(&lines[other]) == name(&lines[line]) {
        (other + RESOLVES + 2) % lines.len()
    } else {
        other
    };
    let renamed = name(&lines[other]);
    lines[line].splice(10..46, renamed);
    Some(line)
}

#[expect(clippy::print_stderr, reason = "the count is what the test shows")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_tampering_is_found() {
    let stream = Stream::written().await;
    let mut random = Random::new();
    let untouched = stream.check(&stream.lines, true);
    assert!(
        untouched.sound() && stream.check(&stream.lines, false).sound(),
        "{untouched:#?}"
    );
    assert_eq!(untouched.lines, stream.lines.len() as u64);
    let classes: [(&str, Tampering); 14] = [
        ("edit a byte", edit_a_byte),
        ("insert a line", insert_a_line),
        ("insert text", insert_text),
        ("delete a line", delete_a_line),
        ("delete lines", delete_lines),
        ("swap two lines", swap_two_lines),
        ("swap neighbours", swap_neighbours),
        ("repeat a line", repeat_a_line),
        ("cut the tail", cut_the_tail),
        ("cut in the middle of a line", cut_in_the_middle_of_a_line),
        ("cut a chain", cut_a_chain),
        ("move a chain", move_a_chain),
        ("splice from another chain", splice_from_another_chain),
        ("rename a line", rename_a_line),
    ];
    let mut found = 0;
    for (class, tamper) in classes {
        for attempt in 0..TRIES {
            let mut lines = stream.lines.clone();
            let place = tamper(&mut lines, &mut random);
            if lines == stream.lines {
                continue;
            }
            let report = stream.check(&lines, true);
            let context = format!("seed {}, {class}, attempt {attempt}", random.seed);
            assert!(!report.sound(), "{context}: not found");
            if let Some(place) = place {
                let near = |line: u64| usize::try_from(line).unwrap().abs_diff(place + 1) <= 1;
                assert!(
                    report
                        .findings
                        .iter()
                        .any(|finding| finding.line.is_some_and(near)),
                    "{context}: {report:#?}"
                );
            }
            found += 1;
        }
    }
    eprintln!("{found} tamperings of {} classes, all found", classes.len());
    assert!(found > 500, "{found}");
}

/// Lines after the last checkpoint can be cut off unseen, but only in the last chain, and the report says so.
#[tokio::test]
async fn without_a_checkpoint_only_the_tail_of_the_last_chain_can_go_unseen() {
    let stream = Stream::written().await;
    let last = 3 * (RESOLVES + 2);
    for length in 0..stream.lines.len() {
        let report = stream.check(&stream.lines[..length], false);
        assert!(
            report.sound(),
            "{length}: a stream that was read while it was written: {report:#?}"
        );
        let ends = length > 0 && length % (RESOLVES + 2) == 0;
        let open = report
            .notes
            .iter()
            .any(|note| note.fault.contains("has no end"));
        assert_eq!(open, length > 0 && !ends, "{length}: {report:#?}");
        assert!(
            !stream.check(&stream.lines[..length], true).sound(),
            "{length}: there is a checkpoint"
        );
    }
    // Before another chain, each missing line is found, with a database or without.
    for line in 0..last {
        let mut lines = stream.lines.clone();
        lines.remove(line);
        assert!(!stream.check(&lines, false).sound(), "line {line}");
    }
}

#[tokio::test]
async fn a_torn_line_after_a_crash_is_not_tampering() {
    let stream = Stream::written().await;
    // In the middle of the last line: its call was not answered yet, and no checkpoint covers it.
    let mut lines = stream.lines.clone();
    let end = lines.len() - 1;
    lines[end].truncate(100);
    let report = stream.check(&lines, false);
    assert!(report.sound(), "{report:#?}");
    assert!(
        report
            .notes
            .iter()
            .any(|note| note.line == Some(end as u64 + 1) && note.fault.contains("no end"))
    );
    // The next start continues after it and reports it.
    let file = stream.config.audit_file().unwrap();
    fs::write(&file, lines.concat()).unwrap();
    let clock = Clock::manual(datetime!(2030-06-15 12:00 UTC));
    let parts = byokd::server::open(&stream.config, clock).await.unwrap();
    parts.audit.close().await;
    let text = fs::read(&file).unwrap();
    let lines: Vec<Vec<u8>> = text
        .split_inclusive(|byte| *byte == b'\n')
        .map(<[u8]>::to_vec)
        .collect();
    let report = stream.check(&lines, false);
    assert!(report.sound(), "{report:#?}");
    assert_eq!(report.chains.len(), 5);
    // Without that line, or with another in its place, it is no longer a crash.
    let mut gone = lines.clone();
    gone.remove(end);
    assert!(!stream.check(&gone, false).sound());
    let mut earlier = lines.clone();
    earlier[end - 1].truncate(50);
    earlier[end - 1].push(b'\n');
    assert!(!stream.check(&earlier, false).sound());
}
