//! The two-minute walk: the commands that a demo prints, and what each one shows.
//!
//! Invariant: each command works when it is pasted into a shell, in this order. A black-box test pastes them.
//!
//! Not here: what the keys stand for (`keys.toml`).

use std::fmt;

use serde::Serialize;

/// One command of the walk.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// The command; `byokd` and `PROVIDER` stand for the program and the demo provider's URL.
    pub command: &'static str,
    /// A word of its answer.
    pub shows: &'static str,
}

const fn step(command: &'static str, shows: &'static str) -> Step {
    Step { command, shows }
}

/// The walk: every badge and billing mode, and the usual refusals.
pub const STEPS: [Step; 26] = [
    step("byokd resolve acme", "CREDITS"),
    step(
        "echo demo-valid | byokd key set acme openai --enable-byo",
        "CONNECTED",
    ),
    step("byokd resolve acme --provider openai", "BYO"),
    step(
        "byokd resolve acme --provider openai --purpose training",
        "UNMETERED",
    ),
    step("byokd resolve acme --provider local", "UNMETERED"),
    step("byokd resolve acme --model gpt-0", "MODEL_UNKNOWN"),
    step("byokd resolve acme --provider anthropic", "BYO_KEY_MISSING"),
    step(
        "echo demo-no-funds | byokd key set acme anthropic",
        "LIMITED",
    ),
    step("echo demo-typo | byokd key set acme openai", "KEY_REJECTED"),
    step(
        "echo demo-restricted | byokd key set acme openai",
        "KEY_REJECTED",
    ),
    step("echo demo key | byokd key set acme openai", "KEY_MALFORMED"),
    step(
        "echo sk-ant-api03-demo | byokd key set acme openai",
        "KEY_WRONG_KIND",
    ),
    step(
        "echo demo-other-region | byokd key set acme openai",
        "BASE_URL_NOT_ALLOWED",
    ),
    step(
        "echo demo-down | byokd key set globex openai",
        "PROVIDER_UNREACHABLE",
    ),
    step(
        "echo demo-down | byokd key set globex openai --allow-unverified",
        "UNVERIFIED",
    ),
    step(
        "echo demo-mini-only | byokd key set initech openai --enable-byo",
        "CONNECTED",
    ),
    step(
        "byokd resolve initech --model gpt-6-sol",
        "MODEL_NOT_AVAILABLE",
    ),
    step("curl -s -X POST PROVIDER/keys/demo-valid/revoke", "revoked"),
    step("byokd key verify acme openai", "FAILING"),
    step("byokd key verify acme openai", "FAILING"),
    step("byokd key verify acme openai", "REJECTED"),
    step("byokd resolve acme --provider openai", "BYO_KEY_REJECTED"),
    step(
        "curl -s -X POST PROVIDER/keys/demo-valid/restore",
        "works again",
    ),
    step("byokd key verify acme openai", "CONNECTED"),
    step("byokd platform delete anthropic", "deleted"),
    step(
        "byokd resolve globex --provider anthropic",
        "PLATFORM_KEY_MISSING",
    ),
];

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

    fn command(&self, step: &Step) -> String {
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
        let commands: Vec<(String, &str)> = STEPS
            .iter()
            .map(|step| (self.command(step), step.shows))
            .collect();
        let width = commands.iter().map(|(command, _)| command.len()).max();
        let width = width.unwrap_or_default();
        for (command, shows) in commands {
            writeln!(f, "    {command:<width$}  # {shows}")?;
        }
        writeln!(f, "\ndocs/demo.md explains each step and lists all keys.")
    }
}
