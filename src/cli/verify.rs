//! `byokd audit verify`: is the audit stream complete and unchanged?
//!
//! Exit codes: 0 yes; 1 the check failed; 2 no.
//!
//! Invariant: the database's checkpoints are read before the files, so that a growing stream is never behind them.
//!
//! Not here: the check (`audit`).

use std::{fmt, path::PathBuf};

use clap::Args;
use serde::Serialize;

use super::{argument, failure::Failure, global::GlobalArgs, settings::SettingsArgs};
use crate::{
    audit::{AuditFinding, ChainKey, Report, Verifier},
    config::Config,
    domain::audit::Checkpoint,
    server::store_settings,
    store::{OpenMode, Store},
    telemetry,
};

#[derive(Args, Debug)]
pub(super) struct VerifyAuditArgs {
    /// The files of the stream, the oldest first
    #[arg(required = true, value_name = "FILE", value_parser = argument::path())]
    files: Vec<PathBuf>,
    /// The key of its chains [default: audit.key_file of the configuration]
    #[arg(long, value_name = "FILE", value_parser = argument::path())]
    key_file: Option<PathBuf>,
    /// Some files are left out: do not report chains that are in none of these
    #[arg(long)]
    partial: bool,
    /// Check without the checkpoints of the database: a cut tail is not found
    #[arg(long)]
    no_database: bool,
    #[command(flatten)]
    settings: SettingsArgs,
}

impl VerifyAuditArgs {
    pub(super) async fn run(self, global: &GlobalArgs) -> Result<(), Failure> {
        let config = self.settings.load(global)?;
        telemetry::install(&config.log);
        let key_file = self.key_file.unwrap_or_else(|| config.audit_key_file());
        let key = ChainKey::open(&key_file)?;
        let checkpoints = match self.no_database {
            true => Vec::new(),
            false => checkpoints(&config).await?,
        };
        let mut verifier = Verifier::new(&key, checkpoints, !self.partial);
        for file in &self.files {
            verifier.read(file).map_err(|error| {
                Failure::local(format_args!("cannot read {}: {error}", file.display()))
            })?;
        }
        let report = verifier.report();
        let faults = report.faults;
        global.show(&VerifyReport {
            sound: report.sound(),
            report,
        })?;
        if faults > 0 {
            return Err(Failure::Incomplete(format!(
                "the audit stream is not whole: {faults} findings"
            )));
        }
        Ok(())
    }
}

/// The checkpoints of the chains in the database.
async fn checkpoints(config: &Config) -> Result<Vec<Checkpoint>, Failure> {
    let unavailable = |error| {
        Failure::local(format_args!(
            "{}; --no-database checks the files alone",
            Failure::from(error)
        ))
    };
    let settings = store_settings(config);
    // Opening a store creates a missing database; reading its schema does not.
    Store::schema_status(&settings).await.map_err(unavailable)?;
    let store = Store::open(&settings, OpenMode::Maintain)
        .await
        .map_err(unavailable)?;
    let chains = store.audit_chains().await;
    store.close().await;
    chains.map_err(unavailable)
}

#[derive(Serialize)]
struct VerifyReport {
    sound: bool,
    #[serde(flatten)]
    report: Report,
}

impl fmt::Display for VerifyReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report {
            lines,
            chains,
            findings,
            faults,
            notes,
        } = &self.report;
        for finding in findings {
            writeln!(f, "WRONG  {}", finding_text(finding))?;
        }
        for note in notes {
            writeln!(f, "note   {}", finding_text(note))?;
        }
        let verdict = match faults {
            0 => "sound".to_owned(),
            some => format!("NOT WHOLE: {some} findings"),
        };
        writeln!(f, "{lines} lines in {} chains: {verdict}", chains.len())
    }
}

/// The place of a finding, and its fault.
fn finding_text(finding: &AuditFinding) -> String {
    let file = finding.file.as_ref().map(|file| file.display().to_string());
    let line = finding
        .line
        .map(|line| format!(":{line}"))
        .unwrap_or_default();
    let chain = finding.chain.map(|chain| format!("chain {chain}"));
    let sequence = finding
        .sequence
        .map(|sequence| format!(" line {sequence}"))
        .unwrap_or_default();
    let place = [
        file.map(|file| file + &line),
        chain.map(|chain| chain + &sequence),
    ];
    format!(
        "{}: {}",
        place.into_iter().flatten().collect::<Vec<_>>().join(", "),
        finding.fault
    )
}
