//! `byokd audit verify`: is the audit stream whole?
//!
//! Exit codes: 0 it is; 1 it could not be checked; 2 something is wrong with it.
//!
//! Invariant: the database is asked before the files are read, so that a stream that is being written is never behind it.
//!
//! Absent: the check (`audit`).

use std::{fmt, path::PathBuf};

use clap::Args;
use serde::Serialize;

use super::{
    argument,
    failure::Failure,
    output,
    settings::{Settings, local},
    target::Target,
};
use crate::{
    audit::{ChainKey, Finding, Report, Verifier},
    config::Config,
    domain::audit::Checkpoint,
    server::store_settings,
    store::{OpenMode, Store},
    telemetry,
};

#[derive(Args, Debug)]
pub(super) struct Verify {
    /// The files of the stream, in the order in which they were written: the oldest first
    #[arg(required = true, value_name = "FILE", value_parser = argument::path())]
    files: Vec<PathBuf>,
    /// The key of its chains [default: audit.key_file of the configuration]
    #[arg(long, value_name = "FILE", value_parser = argument::path())]
    key_file: Option<PathBuf>,
    /// The files are not all there are: do not miss chains that are in none of them
    #[arg(long)]
    partial: bool,
    /// Do not ask the database how far the chains had come: a tail that was cut off is not missed
    #[arg(long)]
    no_database: bool,
    #[command(flatten)]
    settings: Settings,
}

impl Verify {
    pub(super) async fn run(self, target: &Target) -> Result<(), Failure> {
        let config = self.settings.load(target)?;
        telemetry::install(&config.log);
        let key_file = self.key_file.unwrap_or_else(|| config.audit_key_file());
        let key = ChainKey::open(&key_file).map_err(local)?;
        let checkpoints = match self.no_database {
            true => Vec::new(),
            false => checkpoints(&config).await?,
        };
        let mut verifier = Verifier::new(&key, checkpoints, !self.partial);
        for file in &self.files {
            verifier.read(file).map_err(|error| {
                Failure::Local(format!("cannot read {}: {error}", file.display()))
            })?;
        }
        let report = verifier.report();
        let faults = report.faults;
        output::answer(
            target.output,
            &Shown {
                sound: report.sound(),
                report,
            },
        )?;
        if faults > 0 {
            return Err(Failure::Incomplete(format!(
                "the audit stream is not whole: {faults} findings"
            )));
        }
        Ok(())
    }
}

/// What the database knows of the chains.
async fn checkpoints(config: &Config) -> Result<Vec<Checkpoint>, Failure> {
    let unasked = |error| {
        Failure::Local(format!(
            "{}; --no-database checks the files alone",
            local(error)
        ))
    };
    let settings = store_settings(config);
    // Opening would make a database where there is none.
    Store::schema_status(&settings).await.map_err(unasked)?;
    let store = Store::open(&settings, OpenMode::Maintain)
        .await
        .map_err(unasked)?;
    let chains = store.audit_chains().await;
    store.close().await;
    chains.map_err(unasked)
}

#[derive(Serialize)]
struct Shown {
    sound: bool,
    #[serde(flatten)]
    report: Report,
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report {
            lines,
            chains,
            findings,
            faults,
            notes,
        } = &self.report;
        for finding in findings {
            writeln!(f, "WRONG  {}", describe(finding))?;
        }
        for note in notes {
            writeln!(f, "note   {}", describe(note))?;
        }
        let verdict = match faults {
            0 => "sound".to_owned(),
            some => format!("NOT WHOLE: {some} findings"),
        };
        writeln!(f, "{lines} lines in {} chains: {verdict}", chains.len())
    }
}

/// Where, and what.
fn describe(finding: &Finding) -> String {
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
