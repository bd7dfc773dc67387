//! The position of a check in a file, and the lines that it reads there.
//!
//! Not here: the judgment of a line (`verify`).

use std::{
    io::{self, BufRead},
    path::Path,
};

use serde::Deserialize;
use uuid::Uuid;

use crate::domain::audit::Mac;

/// The fields of a line that the check reads.
#[derive(Deserialize)]
pub(super) struct ChainLine {
    pub(super) chain: Uuid,
    pub(super) seq: u64,
    pub(super) event: String,
    pub(super) follows: Option<String>,
    pub(super) previous: Option<String>,
    #[serde(default)]
    pub(super) torn: bool,
}

/// The position of the check in a file.
pub(super) struct Cursor<'f> {
    pub(super) file: &'f Path,
    pub(super) line: u64,
    /// The MAC of the last line that ended.
    pub(super) last: Option<Mac>,
    pub(super) current: Option<Uuid>,
    /// A line that is none, and that the next one may explain.
    pub(super) unexplained: bool,
}

/// Skips the rest of a line that is too long.
pub(super) fn skip_line(lines: &mut impl BufRead) -> io::Result<()> {
    loop {
        let read = lines.fill_buf()?;
        let (used, over) = match read.iter().position(|byte| *byte == b'\n') {
            Some(at) => (at.saturating_add(1), true),
            None => (read.len(), read.is_empty()),
        };
        lines.consume(used);
        if over {
            return Ok(());
        }
    }
}
