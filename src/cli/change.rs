//! The options that changes share: request id, expected revision and end user, and the options of a new key.
//!
//! Not here: generated request ids. Without `--request-id`, a repeated command is a new change.

use std::{collections::HashMap, path::PathBuf};

use clap::Args;

use super::{argument, failure::Failure};

/// The options of every change.
#[derive(Args, Debug)]
pub(super) struct ChangeArgs {
    /// A retry with the same id finds the first result for 24 hours
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true, value_parser = argument::word)]
    pub(super) request_id: String,
    /// Reject the change if the revision is another one by now; 0 means never changed
    #[arg(long, value_name = "N")]
    pub(super) expected_revision: Option<u64>,
    /// The end user who asked for the change, for the audit log
    #[arg(long, value_name = "WHO", default_value = "", hide_default_value = true, value_parser = argument::word)]
    pub(super) on_behalf_of: String,
}

/// The options of every new key.
#[derive(Args, Debug)]
pub(super) struct NewKeyArgs {
    /// Read the key from this file [default: a prompt on a terminal, else standard input]
    #[arg(long, value_name = "FILE", value_parser = argument::path())]
    pub(super) key_file: Option<PathBuf>,
    /// One of the provider's allowed hosts [default: its first, or the host of a data-residency key]
    #[arg(long, value_name = "URL", default_value = "", hide_default_value = true, value_parser = argument::word)]
    pub(super) base_url: String,
    /// A header to send with every call, if the provider's entry allows it; may be repeated
    #[arg(long = "header", value_name = "NAME=VALUE", value_parser = argument::header)]
    headers: Vec<(String, String)>,
    /// Make the test call and store nothing
    #[arg(long)]
    pub(super) validate_only: bool,
    /// Store the key even if the test call proves nothing, e.g. because the provider is down
    #[arg(long)]
    pub(super) allow_unverified: bool,
    #[command(flatten)]
    pub(super) change: ChangeArgs,
}

impl NewKeyArgs {
    /// The headers by name; names are compared without case.
    pub(super) fn headers(&self) -> Result<HashMap<String, String>, Failure> {
        let mut headers = HashMap::new();
        for (name, value) in &self.headers {
            let repeated = headers
                .keys()
                .any(|known: &String| known.eq_ignore_ascii_case(name));
            if repeated {
                return Err(Failure::local(format_args!(
                    "--header {name} is given twice: give it once"
                )));
            }
            headers.insert(name.clone(), value.clone());
        }
        Ok(headers)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct TestLine {
        #[command(flatten)]
        new: NewKeyArgs,
    }

    #[test]
    fn a_header_is_given_once_whatever_its_case() -> Result<(), Box<dyn std::error::Error>> {
        let once = TestLine::try_parse_from(["x", "--header", "A=1", "--header", "B=2"])?;
        assert_eq!(once.new.headers()?.len(), 2);
        let twice = TestLine::try_parse_from(["x", "--header", "A=1", "--header", "a=2"])?;
        assert!(twice.new.headers().is_err());
        Ok(())
    }
}
