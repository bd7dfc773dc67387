//! Checking a stream: is every line there, as it was written, where it was written?
//!
//! A line is good if its MAC rests on the line before and its sequence follows that one's. After one that is not, the
//! check goes on from what the line says of itself, so that one edit is one finding, or two.
//!
//! Invariants: nothing in a file makes it panic or take memory without bound. The check separates traces of a crash from traces
//! of an editor: a line without its end, the last of its file or before a line that says `torn`. A chain
//! that was not closed may have lost its tail from the last checkpoint on, and that is said, too.
//!
//! Not here: what the lines say happened.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufRead, BufReader, Read as _},
    path::Path,
};

use uuid::Uuid;

use super::{
    LONGEST_LINE,
    chain::{self, ChainKey, NO_MAC, Place},
    cursor::{ChainLine, Cursor, skip_line},
    report::{AuditFinding, ChainSummary, Note, Report},
};
use crate::domain::audit::{Checkpoint, Mac};

/// Reads files, in their order, and says what is wrong.
pub struct Verifier<'k> {
    key: &'k ChainKey,
    checkpoints: BTreeMap<Uuid, Checkpoint>,
    /// Whether the files are all there are.
    whole: bool,
    chains: BTreeMap<Uuid, State>,
    report: Report,
}

struct State {
    place: Place,
    /// How many lines were seen.
    lines: u64,
    closed: bool,
}

impl<'k> Verifier<'k> {
    /// `checkpoints` are what the database vouches for. `whole`: the files are all there are.
    pub fn new(key: &'k ChainKey, checkpoints: Vec<Checkpoint>, whole: bool) -> Self {
        let checkpoints = checkpoints
            .into_iter()
            .map(|known| (known.chain_id, known))
            .collect();
        Self {
            key,
            checkpoints,
            whole,
            chains: BTreeMap::new(),
            report: Report::default(),
        }
    }

    /// Reads one file. Files are read in the order in which they were written.
    pub fn read(&mut self, file: &Path) -> io::Result<()> {
        self.read_lines(
            file,
            BufReader::with_capacity(256 * 1024, File::open(file)?),
        )
    }

    /// The same of what was read elsewhere; `file` is only its name.
    pub fn read_lines(&mut self, file: &Path, mut lines: impl BufRead) -> io::Result<()> {
        let mut cursor = Cursor {
            file,
            line: 0,
            last: None,
            current: None,
            unexplained: false,
        };
        let mut text = Vec::new();
        loop {
            text.clear();
            // One byte more, so that a line that is too long is seen to be.
            let limit = LONGEST_LINE.saturating_add(2);
            if lines.by_ref().take(limit).read_until(b'\n', &mut text)? == 0 {
                break;
            }
            cursor.line = cursor.line.saturating_add(1);
            match text.strip_suffix(b"\n") {
                Some(line) => self.line(&mut cursor, line),
                None if lines.fill_buf()?.is_empty() => {
                    let fault = "the last line has no end: the process was writing it when it ended, or is \
                                 writing it now";
                    self.note(&cursor, fault);
                }
                None => {
                    self.none(&mut cursor);
                    skip_line(&mut lines)?;
                }
            }
        }
        if cursor.unexplained {
            self.fault(&cursor, None, "is not a line of an audit stream".to_owned());
        }
        Ok(())
    }

    /// A line that is none: explained by the next one, or wrong.
    fn none(&mut self, cursor: &mut Cursor<'_>) {
        if cursor.unexplained {
            let before = Cursor {
                line: cursor.line.saturating_sub(1),
                ..*cursor
            };
            self.fault(&before, None, "is not a line of an audit stream".to_owned());
        }
        cursor.unexplained = true;
    }

    fn line(&mut self, cursor: &mut Cursor<'_>, text: &[u8]) {
        let parsed = chain::split(text).and_then(|(body, mac)| {
            let whole = [body, b"}"].concat();
            Some((body, mac, serde_json::from_slice::<ChainLine>(&whole).ok()?))
        });
        let Some((body, mac, line)) = parsed else {
            return self.none(cursor);
        };
        self.report.lines = self.report.lines.saturating_add(1);
        if std::mem::take(&mut cursor.unexplained) != line.torn {
            let before = Cursor {
                line: cursor.line.saturating_sub(1),
                ..*cursor
            };
            let fault = match line.torn {
                true => "a line that a crash cut off stood here, and is gone",
                false => "is not a line of an audit stream",
            };
            self.fault(&before, None, fault.to_owned());
        } else if line.torn {
            let before = Cursor {
                line: cursor.line.saturating_sub(1),
                ..*cursor
            };
            self.note(
                &before,
                "the line has no end: its process ended, or its disk was full, while it was written",
            );
        }
        let fault = self.judge(cursor, body, mac, &line);
        if let Some(fault) = fault {
            self.fault(cursor, Some(&line), fault);
        }
        cursor.last = Some(mac);
    }

    /// What is wrong with a line that is one.
    fn judge(
        &mut self,
        cursor: &mut Cursor<'_>,
        body: &[u8],
        mac: Mac,
        line: &ChainLine,
    ) -> Option<String> {
        let opens = line.event == "opened";
        let mut fault = None;
        if cursor.current.is_some_and(|current| current != line.chain)
            && (self.chains.contains_key(&line.chain) || !opens)
        {
            fault = Some("stands among the lines of another chain: moved, or inserted".to_owned());
        }
        if !self.chains.contains_key(&line.chain) {
            let (before, missing) = self.beginning(cursor, line);
            fault = fault.or(missing);
            let place = Place {
                count: line.seq.saturating_sub(1),
                head: before,
            };
            self.chains.insert(
                line.chain,
                State {
                    place,
                    lines: 0,
                    closed: false,
                },
            );
        } else if opens {
            return Some("opens a chain that has begun before: repeated".to_owned());
        }
        let state = self.chains.get_mut(&line.chain)?;
        let expected = state.place.count.saturating_add(1);
        if line.seq < expected {
            return Some(format!(
                "comes after line {} of its chain: repeated, moved, or inserted",
                state.place.count
            ));
        }
        if state.closed {
            fault = fault.or(Some("comes after the end of its chain".to_owned()));
        }
        let genuine = self.key.mac(&state.place.head, body) == mac;
        if line.seq > expected {
            let last = line.seq.saturating_sub(1);
            fault = fault.or(Some(format!(
                "lines {expected} to {last} of its chain are missing before it"
            )));
        } else if !genuine {
            fault = fault.or(Some("was edited, or the line before it was".to_owned()));
        }
        if line.event == "continued"
            && line.seq == expected
            && line.previous.as_deref() != Some(&chain::hex(&state.place.head))
        {
            fault = fault.or(Some("does not go on from the line before it".to_owned()));
        }
        state.place = Place {
            count: line.seq,
            head: mac,
        };
        state.lines = state.lines.saturating_add(1);
        state.closed |= line.event == "closed";
        if let Some(known) = self.checkpoints.get(&line.chain)
            && known.count == line.seq
            && known.head != mac
        {
            fault = fault.or(Some(format!(
                "is not the line that the database vouches for since {}",
                known.at
            )));
        }
        cursor.current = Some(line.chain);
        fault
    }

    /// What a chain that is new here rests on, and what is wrong with its beginning.
    fn beginning(&self, cursor: &Cursor<'_>, line: &ChainLine) -> (Mac, Option<String>) {
        if line.event == "opened" && line.seq == 1 {
            let follows = line
                .follows
                .as_deref()
                .map(str::as_bytes)
                .and_then(chain::unhex);
            let there = cursor.last.map(|mac| mac.to_vec());
            // With `--partial`, a file may also be partial.
            let fault = (follows != there && (self.whole || there.is_some())).then(|| {
                "does not follow the line that stood before it: that one is gone, or another"
                    .to_owned()
            });
            return (NO_MAC, fault);
        }
        let before = line
            .previous
            .as_deref()
            .map(str::as_bytes)
            .and_then(chain::unhex);
        let before = before.and_then(|mac| Mac::try_from(mac).ok());
        match before {
            Some(mac) if line.event == "continued" && cursor.line == 1 => {
                let fault = "its chain begins in an earlier file, which is not here; name it first, or say --partial";
                (mac, self.whole.then(|| fault.to_owned()))
            }
            _ => (
                NO_MAC,
                Some("the beginning of its chain is missing".to_owned()),
            ),
        }
    }

    /// Says what was found.
    pub fn report(mut self) -> Report {
        let missing: Vec<Checkpoint> = self.checkpoints.values().copied().collect();
        for known in missing {
            let (count, at) = (known.count, known.at);
            let fault = match self.chains.get(&known.chain_id) {
                None if !self.whole => continue,
                None => format!(
                    "the chain is in no file; the database vouches for {count} lines up to {at}"
                ),
                Some(state) if state.place.count < count => format!(
                    "its tail is missing: there are {} lines, and the database vouches for {count} up to {at}",
                    state.place.count
                ),
                Some(_) => continue,
            };
            self.report.add_finding(AuditFinding {
                file: None,
                line: None,
                chain: Some(known.chain_id),
                sequence: None,
                fault,
            });
        }
        let chains = std::mem::take(&mut self.chains);
        for (chain, state) in chains {
            let checkpoint = self.checkpoints.get(&chain).map(|known| known.count);
            if !state.closed {
                let from = checkpoint.map_or_else(
                    || "its first line".to_owned(),
                    |count| format!("line {count}"),
                );
                self.report.notes.push(Note {
                    file: None,
                    line: None,
                    chain: Some(chain),
                    sequence: Some(state.place.count),
                    fault: format!(
                        "has no end: its process runs, or did not end in order. A tail cut off after {from} would \
                         not be missed"
                    ),
                });
            }
            let lines = state.lines;
            self.report.chains.push(ChainSummary {
                chain,
                lines,
                closed: state.closed,
                checkpoint,
            });
        }
        self.report
    }

    fn fault(&mut self, cursor: &Cursor<'_>, line: Option<&ChainLine>, fault: String) {
        self.report.add_finding(AuditFinding {
            file: Some(cursor.file.to_owned()),
            line: Some(cursor.line),
            chain: line.map(|line| line.chain),
            sequence: line.map(|line| line.seq),
            fault,
        });
    }

    fn note(&mut self, cursor: &Cursor<'_>, fault: &str) {
        self.report.add_note(Note {
            file: Some(cursor.file.to_owned()),
            line: Some(cursor.line),
            chain: None,
            sequence: None,
            fault: fault.to_owned(),
        });
    }
}
