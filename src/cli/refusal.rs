//! The report of wrong arguments: clap's text, unless it would print a key.
//!
//! Invariants: clap quotes the rejected value, so an error with a quote that may be a key is replaced by a fixed text.
//! A superfluous argument is never quoted. There is no `--key`; that option gets the fixed text, too.
//!
//! Not here: finding the mistake (clap, and the value parsers in `argument`).

use std::{ffi::OsString, process::ExitCode};

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::{argument, output};

const KEY_IN_ARGUMENTS: &str = "\
error: an argument or a variable holds a key, or a text that looks like one; it is not shown here

A key is never read from the command line, because the shell's history and the list of processes keep it.
Type it at the prompt, pipe it in, or name a file:

  byokd key set acme openai
  byokd key set acme openai < openai.key
  byokd key set acme openai --key-file openai.key

If it was a real key, your shell's history may hold it now: replace the key at its provider.
";

/// Options that people try for a key.
const KEY_OPTIONS: [&str; 6] = [
    "--key",
    "--api-key",
    "--api_key",
    "--apikey",
    "--secret",
    "--token",
];

/// Reports wrong arguments, or prints the help that was asked for.
pub(super) fn report(error: &clap::Error, arguments: &[OsString]) -> ExitCode {
    if error.use_stderr() {
        output::write_stderr(&text(error, arguments));
        return ExitCode::FAILURE;
    }
    match output::write_stdout(&error.render().to_string()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn text(error: &clap::Error, arguments: &[OsString]) -> String {
    let rendered = error.render().to_string();
    if asks_for_key_option(error) || refuses_a_key(error) || quotes_a_key(&rendered, arguments) {
        return KEY_IN_ARGUMENTS.to_owned();
    }
    if is_superfluous(error) {
        let usage = error.get(ContextKind::Usage).map(ToString::to_string);
        let usage = usage.unwrap_or_default();
        return format!(
            "error: one argument too many; it is not shown, since it may be a key\n\n{usage}\n\n\
             A key is typed at the prompt, piped in, or read from --key-file. For more, try '--help'.\n"
        );
    }
    rendered
}

fn asks_for_key_option(error: &clap::Error) -> bool {
    invalid_argument(error).is_some_and(|argument| {
        let name = argument.split('=').next().unwrap_or_default();
        KEY_OPTIONS.contains(&name)
    })
}

/// Whether the rejected value may be a key. A value from the environment is not among the arguments.
fn refuses_a_key(error: &clap::Error) -> bool {
    context(error, ContextKind::InvalidValue).is_some_and(argument::may_be_key)
}

fn is_superfluous(error: &clap::Error) -> bool {
    error.kind() == ErrorKind::UnknownArgument
        && invalid_argument(error).is_some_and(|argument| !argument.starts_with('-'))
}

fn invalid_argument(error: &clap::Error) -> Option<&str> {
    context(error, ContextKind::InvalidArg)
}

fn context(error: &clap::Error, kind: ContextKind) -> Option<&str> {
    match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text),
        _ => None,
    }
}

fn quotes_a_key(rendered: &str, arguments: &[OsString]) -> bool {
    arguments
        .iter()
        // The program's own path is not an argument.
        .skip(1)
        .map(|argument| argument.to_string_lossy())
        .any(|argument| {
            // `sk-…`, `--option=sk-…` and `-osk-…`, and `NAME=sk-…` behind an option.
            let after_equals = argument.split('=').skip(1);
            let after_short = argument.strip_prefix('-').and_then(|rest| rest.get(1..));
            [argument.as_ref()]
                .into_iter()
                .chain(after_equals)
                .chain(after_short)
                .map(str::trim)
                .any(|part| argument::may_be_key(part) && rendered.contains(part))
        })
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::{super::command::CommandLine, *};

    const KEY: &str = "sk-proj-abcDEF0123456789";

    fn report_of(line: &str) -> Option<String> {
        let arguments: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        let error = CommandLine::try_parse_from(&arguments).err()?;
        Some(text(&error, &arguments))
    }

    #[test]
    fn no_stray_key_is_shown_again() {
        for line in [
            "byokd KEY",
            "byokd key KEY",
            "byokd key set KEY",
            "byokd key set acme KEY",
            "byokd key set acme openai KEY",
            "byokd key set acme openai --key KEY",
            "byokd key set acme openai --key=KEY",
            "byokd key set acme openai --api-key=KEY",
            "byokd key set acme openai --apikey KEY",
            "byokd key set acme openai --keys=KEY",
            "byokd key set acme openai --validate-only=KEY",
            "byokd key set acme openai --expected-revision KEY",
            "byokd key set acme openai --key-file KEY",
            "byokd key set acme openai --key-file=KEY",
            "byokd key set acme openai --header X=KEY",
            "byokd key set acme openai --header KEY",
            "byokd key set acme openai -kKEY",
            "byokd key set acme openai -oKEY",
            "byokd key set acme openai --output=KEY",
            "byokd key set acme openai --KEY",
            "byokd key set acme openai -KEY",
            "byokd key set acme openai -- KEY",
            "byokd platform set KEY",
            "byokd platform set openai KEY",
            "byokd toggle acme KEY",
            "byokd --server KEY key list acme",
            "byokd --token-file KEY key list acme",
        ] {
            for key in [
                KEY,
                "0123456789abcdef0123456789abcdef",
                "gsk_abcDEF0123456789abc",
            ] {
                // A text that only may be a key is accepted where a name or a path is expected.
                let report = report_of(&line.replace("KEY", key));
                assert!(report.is_some() || key != KEY, "{line}");
                assert!(report.is_none_or(|report| !report.contains(key)), "{line}");
            }
        }
    }

    #[test]
    fn a_short_secret_is_not_shown_either() {
        for line in [
            "byokd key set acme openai hunter2",
            "byokd key set acme openai --key hunter2",
            "byokd key set acme openai --api-key=hunter2",
            "byokd key set acme openai --unknown=hunter2",
        ] {
            assert!(
                report_of(line).is_some_and(|report| !report.contains("hunter2")),
                "{line}"
            );
        }
    }

    #[test]
    fn a_key_in_a_variable_is_not_shown_either() -> Result<(), clap::Error> {
        let line: Vec<OsString> = ["byokd", "--token-file", KEY, "key", "list", "acme"]
            .map(OsString::from)
            .into();
        let error = CommandLine::try_parse_from(&line).err();
        // As if the value had come from the environment: no argument holds it.
        let report = error.map(|error| text(&error, &[]));
        assert!(report.is_some_and(|report| !report.contains(KEY)));
        CommandLine::try_parse_from(["byokd", "--token-file", "", "key", "list", "acme"])?;
        Ok(())
    }

    #[test]
    fn ordinary_mistakes_are_reported_in_full() {
        let report = report_of("byokd toggle 550e8400-e29b-41d4-a716-446655440000 maybe")
            .unwrap_or_default();
        assert!(
            report.contains("maybe") && report.contains("on, off"),
            "{report}"
        );
    }
}
