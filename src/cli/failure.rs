//! How a command fails: locally (exit code 1) or at the server (exit code 2), reported once, on standard error.
//!
//! Text for people names the failure, the value and the fix; with `-o json` it is one JSON object with `code`,
//! `reason` and `message`. No message holds a secret: none of the errors below is made from one.
//!
//! Absent: retries.

use std::{collections::BTreeMap, fmt::Write as _, io, process::ExitCode};

use serde::Serialize;

use super::output::{self, Format};
use crate::client::{CallError, ConnectError, TokenError, Unready};
use crate::domain::error::Reason;

const LOCAL: u8 = 1;
const REMOTE: u8 = 2;

/// Why a command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// Something on this side: an input, a file, the terminal.
    #[error("{0}")]
    Local(String),
    /// Some of it was done, some could not be.
    #[error("{0}")]
    Incomplete(String),
    /// The answer could not be written.
    #[error("the answer could not be written: {0}")]
    Output(#[from] io::Error),
    /// No connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The byokd that was asked for its health is not ready.
    #[error(transparent)]
    Unready(#[from] Unready),
    /// The server refused, or did not answer.
    #[error("{}", .0.message)]
    Call(Box<CallError>),
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        Self::Call(Box::new(error))
    }
}

/// A failure as programs read it.
#[derive(Serialize)]
struct Report<'a> {
    /// A gRPC status code, `LOCAL` (the server was not asked), `INCOMPLETE` or `NOT_READY`.
    code: &'a str,
    reason: Option<&'a str>,
    message: String,
    hint: Option<&'a str>,
    metadata: BTreeMap<&'a str, &'a str>,
    field_violations: Vec<FieldReport<'a>>,
    retry_after_seconds: Option<f64>,
}

#[derive(Serialize)]
struct FieldReport<'a> {
    field: &'a str,
    description: &'a str,
}

impl Failure {
    /// Prints the failure and returns the exit code.
    pub(super) fn print(&self, format: Format) -> ExitCode {
        let report = self.report();
        output::aside(&match format {
            Format::Text => report.text(),
            // A report is strings and a number; should it not serialize, its text is better than nothing.
            Format::Json => {
                serde_json::to_string(&report).map_or_else(|_| report.text(), |json| json + "\n")
            }
        });
        ExitCode::from(match self {
            Self::Call(_)
            | Self::Incomplete(_)
            | Self::Unready(_)
            | Self::Connect(ConnectError::Unreachable { .. }) => REMOTE,
            Self::Local(_) | Self::Output(_) | Self::Connect(_) => LOCAL,
        })
    }

    fn report(&self) -> Report<'_> {
        let call = match self {
            Self::Call(call) => Some(call),
            _ => None,
        };
        Report {
            code: match self {
                Self::Call(call) => call.code,
                Self::Connect(ConnectError::Unreachable { .. }) => "UNAVAILABLE",
                Self::Incomplete(_) => "INCOMPLETE",
                Self::Unready(_) => "NOT_READY",
                _ => "LOCAL",
            },
            reason: call.and_then(|call| call.reason.as_deref()),
            message: self.to_string(),
            hint: self.hint(),
            metadata: call
                .iter()
                .flat_map(|call| &call.metadata)
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect(),
            field_violations: call
                .iter()
                .flat_map(|call| &call.field_violations)
                .map(|problem| FieldReport {
                    field: &problem.field,
                    description: &problem.description,
                })
                .collect(),
            retry_after_seconds: call
                .and_then(|call| call.retry_after)
                .map(|delay| delay.as_secs_f64()),
        }
    }

    /// What to do about it, where the message cannot know.
    fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Connect(ConnectError::Unreachable { .. }) => {
                Some("start one with `byokd serve`, or name another with --server")
            }
            Self::Unready(Unready::Unreachable { .. }) => {
                Some("it has not started yet, or its admin port is another: name it with --admin")
            }
            Self::Unready(Unready::Answered { .. }) => {
                Some("/readyz on its admin port says what it waits for")
            }
            Self::Connect(ConnectError::Token(TokenError::Mint(error)))
                if error.reason() == Reason::CredentialsInvalid =>
            {
                Some(
                    "name the folder of the running byokd with --data-dir, or a token with --token-file",
                )
            }
            Self::Call(call) if call.code == "UNAUTHENTICATED" => Some(
                "give a token that this server accepts with --token-file, or its own folder with --data-dir",
            ),
            Self::Call(call) => match call.reason.as_deref()? {
                "PLATFORM_KEY_MISSING" => Some("byokd platform set PROVIDER"),
                "BYO_KEY_MISSING" => {
                    Some("byokd key set WORKSPACE PROVIDER, or byokd toggle WORKSPACE off")
                }
                "PROVIDER_UNREACHABLE" => Some("--allow-unverified stores the key untested"),
                _ => None,
            },
            _ => None,
        }
    }
}

impl Report<'_> {
    fn text(&self) -> String {
        let mut text = String::from("error: ");
        // Writing to a String cannot fail.
        let _ = match (self.code, self.reason) {
            ("LOCAL" | "INCOMPLETE" | "NOT_READY", _) => Ok(()),
            (code, Some(reason)) => write!(text, "{code} {reason}: "),
            // There was no answer: a status code would hide that.
            ("UNAVAILABLE", None) if self.hint.is_some() => Ok(()),
            (code, None) => write!(text, "{code}: "),
        };
        text.push_str(&self.message);
        if let Some(hint) = self.hint {
            let _ = write!(text, ": {hint}");
        }
        text.push('\n');
        // A violation that says what the message said is not said twice.
        for problem in self
            .field_violations
            .iter()
            .filter(|problem| problem.description != self.message)
        {
            let _ = writeln!(text, "  {}: {}", problem.field, problem.description);
        }
        for (name, value) in &self.metadata {
            let _ = writeln!(text, "  {name} = {value}");
        }
        if let Some(seconds) = self.retry_after_seconds {
            let _ = writeln!(text, "  try again in {seconds} s");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::client::FieldProblem;

    #[test]
    fn a_refusal_is_told_with_everything_the_server_said() {
        let failure = Failure::from(CallError {
            code: "RESOURCE_EXHAUSTED",
            reason: Some("RATE_LIMITED".to_owned()),
            message: "60 a minute are allowed".to_owned(),
            metadata: BTreeMap::new(),
            field_violations: vec![FieldProblem {
                field: "provider".to_owned(),
                description: "is busy".to_owned(),
            }],
            retry_after: Some(Duration::from_millis(1500)),
        });
        assert_eq!(
            failure.report().text(),
            "error: RESOURCE_EXHAUSTED RATE_LIMITED: 60 a minute are allowed\n  provider: is busy\n  try again in 1.5 s\n"
        );
        let json = serde_json::to_value(failure.report()).unwrap_or_default();
        assert_eq!(
            json.pointer("/reason").and_then(|v| v.as_str()),
            Some("RATE_LIMITED")
        );
        assert_eq!(
            json.pointer("/field_violations/0/field")
                .and_then(|v| v.as_str()),
            Some("provider")
        );
    }

    #[test]
    fn nobody_there_is_told_with_the_remedy() {
        let failure = Failure::from(ConnectError::Unreachable {
            server: "http://127.0.0.1:50051".to_owned(),
            cause: "refused".to_owned(),
        });
        assert_eq!(
            failure.report().text(),
            "error: no byokd answers at http://127.0.0.1:50051 (refused): start one with `byokd serve`, or name \
             another with --server\n"
        );
    }
}
