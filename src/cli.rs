//! The command line: one file a command, each a struct of arguments with a `run`.
//!
//! Data goes to standard output, everything else to standard error. Exit codes: 0 done, 1 a local mistake, 2 the server
//! refused or did not answer. No argument ever carries a key, and none that looks like one is shown again.
//!
//! To add a command: a file with its arguments and `run`, a variant of `Command`, and its line in `Command::run`.
//!
//! Absent: any decision about keys and payers. A command asks the server and shows what it said.

mod argument;
mod audit;
mod change;
mod config;
mod end;
mod explain;
mod failure;
mod healthcheck;
mod key;
mod migrate;
mod models;
mod output;
mod pages;
mod platform;
mod refusal;
mod resolve;
mod rewrap;
mod secret_input;
mod select;
mod serve;
mod settings;
mod target;
mod toggle;
mod token;
mod verify;
mod view;
mod workspace;

use std::{ffi::OsString, process::ExitCode};

use clap::{Parser, Subcommand};

use failure::Failure;
use target::Target;

use crate::process;

const EXAMPLES: &str = "\
Examples:
  byokd serve                                    serve on 127.0.0.1:50051, everything embedded
  byokd serve --demo                             the same with a provider of made-up keys, to try byokd out
  byokd token --role resolver --workspace acme   a token for a service that resolves
  byokd key set acme openai --enable-byo         type the key at the prompt; test it, store it, use it
  byokd key set acme openai < openai.key         the same from a file, for scripts
  byokd resolve acme --model gpt-4o-mini         whose key, which model, where, and who pays
  byokd explain acme --model gpt-4o-mini         and why not another
  byokd models acme --all                        every model, and why some cannot be used
  byokd toggle acme off                          back to the platform's keys
  byokd platform set anthropic                   the operator's own key
  byokd config check --as client.pem             what the bearer of a certificate or token may do, and by which rule
  byokd audit list acme                          who changed what
  byokd healthcheck                              is the byokd of this machine ready?
  byokd rewrap --dry-run                         how many data keys are under another KMS key

Exit codes: 0 done, 1 a local mistake (arguments, files), 2 the server refused or did not answer.";

/// Whose key, which model, where, and who pays.
#[derive(Debug, Parser)]
#[command(name = "byokd", version, about, after_help = EXAMPLES, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    target: Target,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve (the default)
    Serve(serve::Serve),
    /// Bring the database to this version's schema, or say where it stands
    #[command(subcommand)]
    Migrate(migrate::Migrate),
    /// Move everything to another KMS key, or to new data keys
    Rewrap(rewrap::Rewrap),
    /// Say whether the byokd of this machine is ready, by its exit code: for a container engine
    Healthcheck(healthcheck::Healthcheck),
    /// Mint a token with the embedded signer of the data folder
    Token(token::Token),
    /// Check the configuration, or show it
    #[command(subcommand)]
    Config(config::Config),
    /// The keys that a workspace brings
    #[command(subcommand)]
    Key(key::Key),
    /// The operator's own keys
    #[command(subcommand)]
    Platform(platform::Platform),
    /// Switch a workspace between its own keys and the platform's
    Toggle(toggle::Toggle),
    /// List the models that a workspace can use
    Models(models::Models),
    /// Select the model that is used when a call names none
    Select(select::Select),
    /// Ask as a service would: whose key, which model, where, and who pays
    Resolve(resolve::Resolve),
    /// The same decision without the key, and why each other candidate was not taken
    Explain(explain::Explain),
    /// Who changed what, who was handed which key, and whether the record is whole
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Show a workspace, or delete what is stored about it
    #[command(subcommand)]
    Workspace(workspace::Workspace),
}

impl Command {
    async fn run(self, target: &Target) -> Result<(), Failure> {
        match self {
            Self::Serve(command) => Box::pin(command.run(target)).await,
            Self::Migrate(command) => command.run(target).await,
            Self::Rewrap(command) => Box::pin(command.run(target)).await,
            Self::Healthcheck(command) => command.run(target).await,
            Self::Token(command) => command.run(target),
            Self::Config(command) => command.run(target).await,
            Self::Key(command) => command.run(target).await,
            Self::Platform(command) => command.run(target).await,
            Self::Toggle(command) => command.run(target).await,
            Self::Models(command) => command.run(target).await,
            Self::Select(command) => command.run(target).await,
            Self::Resolve(command) => command.run(target).await,
            Self::Explain(command) => command.run(target).await,
            Self::Audit(command) => Box::pin(command.run(target)).await,
            Self::Workspace(command) => command.run(target).await,
        }
    }
}

/// Runs the command line of this process and returns its exit code. The runtime lives in the library, so that the binary
/// and the tests do not compile the asynchronous code again.
pub fn main() -> ExitCode {
    // Before anything secret is in memory.
    if let Err(exposed) = process::seclude() {
        return Failure::Local(exposed.to_string()).print(output::Format::default());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => runtime.block_on(run(std::env::args_os().collect())),
        Err(error) => Failure::Local(format!("the process cannot start threads: {error}"))
            .print(output::Format::default()),
    }
}

async fn run(arguments: Vec<OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => return refusal::report(&error, &arguments),
    };
    let command = cli
        .command
        .unwrap_or_else(|| Command::Serve(serve::Serve::default()));
    match command.run(&cli.target).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.print(cli.target.output),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_tree_is_sound() {
        Cli::command().debug_assert();
    }

    /// An option of a command would silently take a global one's place.
    #[test]
    fn no_command_names_an_option_like_a_global_one() {
        fn walk(command: &clap::Command, global: &[&str]) -> usize {
            let own = command
                .get_arguments()
                .filter(|argument| !argument.is_global_set());
            let clashes = own
                .filter_map(clap::Arg::get_long)
                .filter(|long| global.contains(long));
            assert_eq!(
                clashes.collect::<Vec<_>>(),
                [""; 0],
                "{}",
                command.get_name()
            );
            command
                .get_subcommands()
                .map(|below| walk(below, global))
                .sum::<usize>()
                + 1
        }
        let cli = Cli::command();
        let global: Vec<&str> = cli
            .get_arguments()
            .filter(|argument| argument.is_global_set())
            .filter_map(clap::Arg::get_long)
            .collect();
        assert!(global.contains(&"tls-key") && global.contains(&"server"));
        assert!(walk(&cli, &global) > 20);
    }

    #[test]
    fn understands_what_the_examples_show() {
        for line in EXAMPLES.lines().filter_map(|line| line.strip_prefix("  ")) {
            let words = line.split("   ").next().unwrap_or_default();
            let words = words.split_whitespace().take_while(|word| *word != "<");
            assert!(Cli::try_parse_from(words).is_ok(), "{line}");
        }
    }

    #[test]
    fn refuses_what_contradicts_itself() {
        for line in [
            "byokd key",
            "byokd toggle acme",
            "byokd toggle acme maybe",
            "byokd select acme",
            "byokd select acme --clear",
            "byokd select acme gpt-4o-mini --clear --provider openai",
            "byokd key set acme openai --header novalue",
            "byokd key set acme openai --expected-revision -1",
            "byokd resolve acme -o yaml",
            "byokd audit verify",
            "byokd audit list acme --start yesterday",
        ] {
            assert!(Cli::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }
}
