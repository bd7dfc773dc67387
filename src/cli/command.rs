//! The tree of commands.

use clap::{Parser, Subcommand};

use super::{
    audit::AuditCommand, config::ConfigCommand, explain::ExplainArgs, failure::Failure,
    global::GlobalArgs, healthcheck::HealthcheckArgs, key::KeyCommand, migrate::MigrateCommand,
    models::ModelsArgs, platform::PlatformCommand, resolve::ResolveArgs, rewrap::RewrapArgs,
    select::SelectArgs, serve::ServeArgs, toggle::ToggleArgs, token::TokenArgs,
    workspace::WorkspaceCommand,
};

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
pub(super) struct CommandLine {
    #[command(flatten)]
    pub(super) global: GlobalArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

impl CommandLine {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let command = self
            .command
            .unwrap_or_else(|| Command::Serve(ServeArgs::default()));
        command.run(&self.global).await
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve (the default)
    Serve(ServeArgs),
    /// Bring the database to this version's schema, or show its schema level
    #[command(subcommand)]
    Migrate(MigrateCommand),
    /// Move everything to another KMS key, or to new data keys
    Rewrap(RewrapArgs),
    /// Check whether the byokd of this machine is ready, by the exit code: for a container engine
    Healthcheck(HealthcheckArgs),
    /// Mint a token with the embedded signer of the data folder
    Token(TokenArgs),
    /// Check the configuration, or show it
    #[command(subcommand)]
    Config(ConfigCommand),
    /// The keys that a workspace brings
    #[command(subcommand)]
    Key(KeyCommand),
    /// The operator's own keys
    #[command(subcommand)]
    Platform(PlatformCommand),
    /// Switch a workspace between its own keys and the platform's
    Toggle(ToggleArgs),
    /// List the models that a workspace can use
    Models(ModelsArgs),
    /// Select the model for calls that name none
    Select(SelectArgs),
    /// Resolve as a service does: whose key, which model, where, and who pays
    Resolve(ResolveArgs),
    /// Show the same decision without the key, and why each other candidate was not taken
    Explain(ExplainArgs),
    /// Who changed what, which service received which key, and whether the audit log is complete
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Show a workspace, or delete everything that is stored about it
    #[command(subcommand)]
    Workspace(WorkspaceCommand),
}

impl Command {
    async fn run(self, global: &GlobalArgs) -> Result<(), Failure> {
        match self {
            Self::Serve(command) => Box::pin(command.run(global)).await,
            Self::Migrate(command) => command.run(global).await,
            Self::Rewrap(command) => Box::pin(command.run(global)).await,
            Self::Healthcheck(command) => command.run(global).await,
            Self::Token(command) => command.run(global),
            Self::Config(command) => command.run(global).await,
            Self::Key(command) => command.run(global).await,
            Self::Platform(command) => command.run(global).await,
            Self::Toggle(command) => command.run(global).await,
            Self::Models(command) => command.run(global).await,
            Self::Select(command) => command.run(global).await,
            Self::Resolve(command) => command.run(global).await,
            Self::Explain(command) => command.run(global).await,
            Self::Audit(command) => Box::pin(command.run(global)).await,
            Self::Workspace(command) => command.run(global).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_tree_is_sound() {
        CommandLine::command().debug_assert();
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
        let cli = CommandLine::command();
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
            assert!(CommandLine::try_parse_from(words).is_ok(), "{line}");
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
            assert!(
                CommandLine::try_parse_from(line.split(' ')).is_err(),
                "{line}"
            );
        }
    }
}
