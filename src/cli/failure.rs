//! Why a command failed: locally (exit code 1) or at the server (exit code 2). Reported once, on standard error.
//!
//! Invariants: text names what failed, the value, and the fix; `-o json` is one object with `code`, `reason` and
//! `message`. No message holds a secret, because no error here is made from one.
//!
//! Not here: retries.

use std::{
    collections::BTreeMap,
    fmt::{Display, Write as _},
    io,
    process::ExitCode,
};

use serde::Serialize;

use super::output::{self, OutputFormat};
use crate::{
    client::{CallError, ConnectError, HealthError, TokenError},
    domain::error::{Error, Reason},
    server::StartError,
};

const LOCAL: u8 = 1;
const REMOTE: u8 = 2;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// A fault on this machine: an input, a file, the terminal.
    #[error("{0}")]
    Local(String),
    /// A part of the work is done, a part is not.
    #[error("{0}")]
    Incomplete(String),
    /// The answer could not be written.
    #[error("cannot write the answer: {0}")]
    Output(#[from] io::Error),
    /// No connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The byokd of this machine is not ready.
    #[error(transparent)]
    NotReady(#[from] HealthError),
    /// The server refused the call, or did not answer.
    #[error("{}", .0.message)]
    Call(Box<CallError>),
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        Self::Call(Box::new(error))
    }
}

/// An error of this machine's own byokd. Its reader is the operator, so the cause is shown.
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::local(StartError::from(error))
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        Self::local(error)
    }
}

/// A failure for programs.
#[derive(Serialize)]
struct FailureReport<'a> {
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
    /// A fault on this machine.
    pub(super) fn local(message: impl Display) -> Self {
        Self::Local(message.to_string())
    }

    /// Writes the failure to standard error and returns the exit code.
    pub(super) fn report(&self, format: OutputFormat) -> ExitCode {
        let report = self.for_programs();
        output::write_stderr(&match format {
            OutputFormat::Text => report.text(),
            // A report is strings and a number. If it does not serialize, text is better than nothing.
            OutputFormat::Json => {
                serde_json::to_string(&report).map_or_else(|_| report.text(), |json| json + "\n")
            }
        });
        ExitCode::from(match self {
            Self::Call(_)
            | Self::Incomplete(_)
            | Self::NotReady(_)
            | Self::Connect(ConnectError::Unreachable { .. }) => REMOTE,
            Self::Local(_) | Self::Output(_) | Self::Connect(_) => LOCAL,
        })
    }

    fn for_programs(&self) -> FailureReport<'_> {
        let call = match self {
            Self::Call(call) => Some(call),
            _ => None,
        };
        FailureReport {
            code: match self {
                Self::Call(call) => call.code,
                Self::Connect(ConnectError::Unreachable { .. }) => "UNAVAILABLE",
                Self::Incomplete(_) => "INCOMPLETE",
                Self::NotReady(_) => "NOT_READY",
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
                .map(|violation| FieldReport {
                    field: &violation.field,
                    description: &violation.description,
                })
                .collect(),
            retry_after_seconds: call
                .and_then(|call| call.retry_after)
                .map(|delay| delay.as_secs_f64()),
        }
    }

    /// The fix, where the message cannot name it.
    fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Connect(ConnectError::Unreachable { .. }) => {
                Some("start one with `byokd serve`, or name another with --server")
            }
            Self::NotReady(HealthError::Unreachable { .. }) => {
                Some("it has not started yet, or its admin port is another: name it with --admin")
            }
            Self::NotReady(HealthError::NotServing { .. }) => {
                Some("/readyz on its admin port names the parts that are not ready")
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

impl FailureReport<'_> {
    fn text(&self) -> String {
        let mut text = String::from("error: ");
        // Writing to a String cannot fail.
        let _ = match (self.code, self.reason) {
            ("LOCAL" | "INCOMPLETE" | "NOT_READY", _) => Ok(()),
            (code, Some(reason)) => write!(text, "{code} {reason}: "),
            // No server answered: a status code would only hide that.
            ("UNAVAILABLE", None) if self.hint.is_some() => Ok(()),
            (code, None) => write!(text, "{code}: "),
        };
        text.push_str(&self.message);
        if let Some(hint) = self.hint {
            let _ = write!(text, ": {hint}");
        }
        text.push('\n');
        // A violation with the text of the message is not repeated.
        for violation in self
            .field_violations
            .iter()
            .filter(|violation| violation.description != self.message)
        {
            let _ = writeln!(text, "  {}: {}", violation.field, violation.description);
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
    use crate::client::FieldViolation;

    #[test]
    fn a_refusal_is_reported_with_all_details_of_the_server() {
        let failure = Failure::from(CallError {
            code: "RESOURCE_EXHAUSTED",
            reason: Some("RATE_LIMITED".to_owned()),
            message: "60 a minute are allowed".to_owned(),
            metadata: BTreeMap::new(),
            field_violations: vec![FieldViolation {
                field: "provider".to_owned(),
                description: "is busy".to_owned(),
            }],
            retry_after: Some(Duration::from_millis(1500)),
        });
        assert_eq!(
            failure.for_programs().text(),
            "error: RESOURCE_EXHAUSTED RATE_LIMITED: 60 a minute are allowed\n  provider: is busy\n  try again in 1.5 s\n"
        );
        let json = serde_json::to_value(failure.for_programs()).unwrap_or_default();
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
    fn an_unreachable_server_is_reported_with_the_fix() {
        let failure = Failure::from(ConnectError::Unreachable {
            server: "http://127.0.0.1:50051".to_owned(),
            cause: "refused".to_owned(),
        });
        assert_eq!(
            failure.for_programs().text(),
            "error: no byokd answers at http://127.0.0.1:50051 (refused): start one with `byokd serve`, or name \
             another with --server\n"
        );
    }
}
