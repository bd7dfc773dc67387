//! `byokd rewrap`: moves everything to the configured KMS key, or to new data keys.
//!
//! Progress goes to standard error: a bar on a terminal, a line every two seconds elsewhere. The summary goes to
//! standard output. Exit code 2: some could not be moved; 1: the work stopped, and the next run resumes it.
//!
//! Not here: the work (`ops`).

use std::{
    fmt,
    io::{IsTerminal as _, stderr},
    time::{Duration, Instant},
};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::{failure::Failure, global::GlobalArgs, output, settings::SettingsArgs};
use crate::{
    domain::clock::Clock,
    server::{self, RewrapMode, RewrapProgress},
    telemetry,
};

/// The time between two lines of progress, without a terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(2);

#[derive(Args, Debug)]
pub(super) struct RewrapArgs {
    /// Seal every record under new data keys; also the way from a local key file to a cloud KMS
    #[arg(long)]
    data_keys: bool,
    /// Start over instead of resuming an earlier run
    #[arg(long)]
    restart: bool,
    /// Count the records or data keys to move, and move nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    settings: SettingsArgs,
}

impl RewrapArgs {
    pub(super) async fn run(self, global: &GlobalArgs) -> Result<(), Failure> {
        let config = self.settings.load(global)?;
        telemetry::install(&config.log);
        let job = if self.data_keys {
            RewrapMode::DataKeys
        } else {
            RewrapMode::KmsKey
        };
        let mut display = ProgressDisplay::new();
        let summary = server::rewrap(
            &config,
            Clock::system(),
            job,
            self.dry_run,
            self.restart,
            |progress| display.show(progress),
        )
        .await
        .map_err(Failure::local);
        display.end();
        let summary = summary?;
        let refused = summary.refused;
        let report = RewrapReport {
            what: if self.data_keys {
                "records"
            } else {
                "data keys"
            },
            dry_run: self.dry_run,
            kms_key: summary.kms_key_arn,
            moved: summary.moved,
            refused,
            resumed: summary.resumed,
        };
        global.show(&report)?;
        if refused > 0 {
            return Err(Failure::Incomplete(format!(
                "{refused} {} could not be moved, because they are damaged; the log names each. They are left as they \
                 were: set those keys again",
                report.what
            )));
        }
        Ok(())
    }
}

enum ProgressDisplay {
    Bar(ProgressBar),
    Lines(Option<Instant>),
}

impl ProgressDisplay {
    fn new() -> Self {
        match stderr().is_terminal() {
            true => {
                let style =
                    ProgressStyle::with_template("{wide_bar} {pos} of {len} looked at, {msg}");
                Self::Bar(
                    ProgressBar::no_length()
                        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())),
                )
            }
            false => Self::Lines(None),
        }
    }

    fn show(&mut self, progress: RewrapProgress) {
        let RewrapProgress { done, total, moved } = progress;
        match self {
            Self::Bar(bar) => {
                bar.set_length(total);
                bar.set_position(done);
                bar.set_message(format!("{moved} moved"));
            }
            Self::Lines(last) => {
                let due = last.is_none_or(|last| last.elapsed() >= LINE_INTERVAL) || done == total;
                if due {
                    *last = Some(Instant::now());
                    output::write_stderr(&format!("{done} of {total} looked at, {moved} moved\n"));
                }
            }
        }
    }

    fn end(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

/// The result of the run, or of a dry run.
#[derive(Serialize)]
struct RewrapReport {
    what: &'static str,
    dry_run: bool,
    kms_key: String,
    moved: u64,
    refused: u64,
    resumed: bool,
}

impl fmt::Display for RewrapReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            what,
            dry_run,
            kms_key,
            moved,
            refused,
            resumed,
        } = self;
        match (dry_run, moved, refused) {
            (true, ..) => writeln!(f, "would move {moved} {what}; the KMS key is {kms_key}"),
            // With --data-keys, a run without records still replaced the data keys.
            (false, 0, 0) if *what == "data keys" => {
                writeln!(
                    f,
                    "nothing to move: all {what} are where they should be, under {kms_key}"
                )
            }
            (false, ..) => {
                let resumed = if *resumed {
                    ", counting what an earlier run had done"
                } else {
                    ""
                };
                writeln!(
                    f,
                    "moved {moved} {what}{resumed}; {refused} refused; the KMS key is {kms_key}"
                )
            }
        }
    }
}
