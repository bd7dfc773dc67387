//! The options that changes share: what makes one safe to retry, and what a new key may bring along.
//!
//! Absent: made-up request ids. A retry of the whole command is a new change unless the caller names one.

use std::{collections::HashMap, path::PathBuf};

use clap::Args;

use super::{argument, failure::Failure};

/// What every change may say about itself.
#[derive(Args, Debug)]
pub(super) struct Change {
    /// A retry with the same id finds the first result for 24 hours
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true, value_parser = argument::word)]
    pub(super) request_id: String,
    /// Refuse if the revision is another one by now; 0 means never changed
    #[arg(long, value_name = "N")]
    pub(super) expected_revision: Option<u64>,
    /// The end user who asked for it, for the record
    #[arg(long, value_name = "WHO", default_value = "", hide_default_value = true, value_parser = argument::word)]
    pub(super) on_behalf_of: String,
}

/// What every new key may bring along.
#[derive(Args, Debug)]
pub(super) struct NewKey {
    /// Read the key from this file [default: a prompt on a terminal, else standard input]
    #[arg(long, value_name = "FILE", value_parser = argument::path())]
    pub(super) key_file: Option<PathBuf>,
    /// One of the provider's allowed hosts [default: its first; a data-residency key finds its own]
    #[arg(long, value_name = "URL", default_value = "", hide_default_value = true, value_parser = argument::word)]
    pub(super) base_url: String,
    /// A header to send with every call, if the provider's entry allows it; may be repeated
    #[arg(long = "header", value_name = "NAME=VALUE", value_parser = argument::header)]
    headers: Vec<(String, String)>,
    /// Make the test call and store nothing
    #[arg(long)]
    pub(super) validate_only: bool,
    /// Store the key also if the test call learnt nothing about it, e.g. because the provider is down
    #[arg(long)]
    pub(super) allow_unverified: bool,
    #[command(flatten)]
    pub(super) change: Change,
}

impl NewKey {
    /// The headers by name.
    pub(super) fn headers(&self) -> Result<HashMap<String, String>, Failure> {
        let mut headers = HashMap::new();
        for (name, value) in &self.headers {
            let again = headers
                .keys()
                .any(|known: &String| known.eq_ignore_ascii_case(name));
            if again {
                return Err(Failure::Local(format!(
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
    struct Line {
        #[command(flatten)]
        new: NewKey,
    }

    #[test]
    fn a_header_is_given_once_whatever_its_case() -> Result<(), Box<dyn std::error::Error>> {
        let once = Line::try_parse_from(["x", "--header", "A=1", "--header", "B=2"])?;
        assert_eq!(once.new.headers()?.len(), 2);
        let twice = Line::try_parse_from(["x", "--header", "A=1", "--header", "a=2"])?;
        assert!(twice.new.headers().is_err());
        Ok(())
    }
}
