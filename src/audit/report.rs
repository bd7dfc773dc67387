//! The report of a check of audit files.
//!
//! Not here: finding it (`verify`).

use std::path::PathBuf;

use serde::Serialize;
use uuid::Uuid;

/// Findings, and notes, that a report lists in full.
const LISTED: usize = 1000;

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditFinding {
    /// The file; none: what is wrong is that something is in no file.
    pub file: Option<PathBuf>,
    /// The line in it, counted from 1.
    pub line: Option<u64>,
    /// The chain, if the entry names one.
    pub chain: Option<Uuid>,
    /// The sequence, if the entry names one.
    pub sequence: Option<u64>,
    /// What is wrong.
    pub fault: String,
}

/// What is not wrong, but worth knowing.
pub type Note = AuditFinding;

/// A chain that was read.
#[derive(Clone, Debug, Serialize)]
pub struct ChainSummary {
    /// Names it.
    pub chain: Uuid,
    /// How many lines it has here.
    pub lines: u64,
    /// Its last line says that it is over.
    pub closed: bool,
    /// How many of its lines the database vouches for.
    pub checkpoint: Option<u64>,
}

/// What a check found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// How many whole lines were read.
    pub lines: u64,
    /// The chains, in the order of their beginnings.
    pub chains: Vec<ChainSummary>,
    /// What is wrong; the first thousand of it.
    pub findings: Vec<AuditFinding>,
    /// How much is wrong.
    pub faults: u64,
    /// What is not wrong, but worth knowing.
    pub notes: Vec<Note>,
}

impl Report {
    /// Nothing is wrong.
    pub fn sound(&self) -> bool {
        self.faults == 0
    }

    /// Counts a finding, and lists it up to the bound.
    pub(super) fn add_finding(&mut self, finding: AuditFinding) {
        self.faults = self.faults.saturating_add(1);
        if self.findings.len() < LISTED {
            self.findings.push(finding);
        }
    }

    /// Lists a note up to the bound.
    pub(super) fn add_note(&mut self, note: Note) {
        if self.notes.len() < LISTED {
            self.notes.push(note);
        }
    }
}
