//! The two-minute walk: the commands that a demo prints, and what each one shows.
//!
//! Invariant: each command works when it is pasted into a shell, in this order. A black-box test pastes them.
//!
//! Not here: what the keys stand for (`keys.toml`).

use std::fmt;

use serde::Serialize;

const WALK: &str = include_str!("walk.txt");

/// One command of the walk.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// The command; `byokd` and `PROVIDER` stand for the program and the demo provider's URL.
    pub command: &'static str,
    /// A word of its answer.
    pub shows: &'static str,
}

/// The walk: every badge and billing mode, and the usual refusals.
pub fn steps() -> impl Iterator<Item = Step> {
    WALK.lines().filter_map(|line| {
        let (command, shows) = line.split_once(" # ")?;
        Some(Step {
            command: command.trim_end(),
            shows,
        })
    })
}

/// What a demo prints once its server runs.
#[derive(Debug, Serialize)]
pub struct Banner {
    /// The demo provider's URL.
    provider: String,
    #[serde(skip)]
    program: String,
    #[serde(skip)]
    folder: String,
}

impl Banner {
    pub(super) fn new(provider: &str, program: &str, folder: &str) -> Self {
        Self {
            provider: provider.to_owned(),
            program: program.to_owned(),
            folder: folder.to_owned(),
        }
    }

    fn command(&self, step: Step) -> String {
        step.command
            .replace("byokd", &self.program)
            .replace("PROVIDER", &self.provider)
    }
}

impl fmt::Display for Banner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            provider, folder, ..
        } = self;
        write!(
            f,
            "\nThe demo provider answers as OpenAI and as Anthropic on {provider}, for made-up keys only.\n\
             Shortened in a demo: 3 refusals in a row condemn a key at once (otherwise over 10 minutes), and a key\n\
             check ends after 2 s (otherwise 10 s). The data folder is removed at the end.\n\n\
             Try next, in another terminal:\n\
             \x20   export BYOKD__SERVER__DATA_DIR={folder}\n"
        )?;
        let commands: Vec<(String, &str)> = steps()
            .map(|step| (self.command(step), step.shows))
            .collect();
        let widths = commands.iter().map(|(command, _)| command.len());
        let width = widths.max().unwrap_or_default();
        for (command, shows) in commands {
            writeln!(f, "    {command:<width$}  # {shows}")?;
        }
        writeln!(f, "\ndocs/demo.md explains each step and lists all keys.")
    }
}
