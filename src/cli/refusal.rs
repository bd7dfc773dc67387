//! What is said when the arguments make no sense: clap's words, unless they would repeat a key.
//!
//! clap quotes the value it does not want. So an error that quotes something that may be a key is replaced by a fixed
//! text, and a superfluous argument is never quoted at all. There is no `--key`; asking for one gets the same text.
//!
//! Absent: finding the mistake. That is clap's, and the value parsers' in `argument`.

use std::{ffi::OsString, process::ExitCode};

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::{argument, output};

const KEY_IN_ARGUMENTS: &str = "\
error: an argument or a variable holds a key, or what looks like one; it is not shown here

A key is never taken from the command line: the shell's history and the list of processes keep what stands there.
Type it at the prompt, pipe it in, or name a file:

  byokd key set acme openai
  byokd key set acme openai < openai.key
  byokd key set acme openai --key-file openai.key

If it was a real key, your shell's history may hold it now: replace the key at its provider.
";

/// Options that people try.
const KEY_OPTIONS: [&str; 6] = [
    "--key",
    "--api-key",
    "--api_key",
    "--apikey",
    "--secret",
    "--token",
];

/// Prints the fault of the arguments, or the requested help.
pub(super) fn report(error: &clap::Error, arguments: &[OsString]) -> ExitCode {
    if error.use_stderr() {
        output::aside(&text(error, arguments));
        return ExitCode::FAILURE;
    }
    match output::print(&error.render().to_string()) {
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

/// A value that may be a key; it may come from the environment and then is none of the arguments.
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

    use super::{super::Cli, *};

    const KEY: &str = "sk-proj-abcDEF0123456789";

    fn output(line: &str) -> Option<String> {
        let arguments: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        let error = Cli::try_parse_from(&arguments).err()?;
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
                // What only might be a key is taken as a name or a path, where one may stand.
                let output = output(&line.replace("KEY", key));
                assert!(output.is_some() || key != KEY, "{line}");
                assert!(output.is_none_or(|output| !output.contains(key)), "{line}");
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
                output(line).is_some_and(|output| !output.contains("hunter2")),
                "{line}"
            );
        }
    }

    #[test]
    fn a_key_in_a_variable_is_not_shown_either() -> Result<(), clap::Error> {
        let line: Vec<OsString> = ["byokd", "--token-file", KEY, "key", "list", "acme"]
            .map(OsString::from)
            .into();
        let error = Cli::try_parse_from(&line).err();
        // As if the value had come from the environment: no argument holds it.
        let output = error.map(|error| text(&error, &[]));
        assert!(output.is_some_and(|output| !output.contains(KEY)));
        Cli::try_parse_from(["byokd", "--token-file", "", "key", "list", "acme"])?;
        Ok(())
    }

    #[test]
    fn ordinary_mistakes_are_output_in_full() {
        let output =
            output("byokd toggle 550e8400-e29b-41d4-a716-446655440000 maybe").unwrap_or_default();
        assert!(
            output.contains("maybe") && output.contains("on, off"),
            "{output}"
        );
    }
}
