//! Reading a key: from a prompt without echo, from standard input, or from a file.
//!
//! Invariants: the input is bounded, held in memory that is wiped, and never part of an error. Standard input is read
//! without the standard library's buffer, which is not wiped.
//!
//! Not here: checking the key, which the server does.

use std::{
    fs::File,
    io::{self, IsTerminal as _, Read},
    os::fd::AsFd as _,
    path::Path,
};

use secrecy::SecretString;
use zeroize::Zeroizing;

use super::failure::Failure;

/// Longer than any key; a longer input is a wrong file.
const MAX_BYTES: usize = 4096;

/// More than is ever read, so that the buffer never grows: growing would leave an unwiped copy behind.
const BUFFER: usize = MAX_BYTES.saturating_mul(2);

/// Reads a key from the file, else from the prompt on a terminal, else from standard input.
pub(super) fn read(file: Option<&Path>, provider: &str) -> Result<SecretString, Failure> {
    let failed = |origin: String| {
        move |error: SecretInputError| {
            Failure::local(format_args!("cannot read a key from {origin}: {error}"))
        }
    };
    if let Some(path) = file {
        let failed = failed(path.display().to_string());
        let file = File::open(path).map_err(|error| failed(SecretInputError::Io(error)))?;
        return bounded(file)
            .and_then(|bytes| parse(&bytes))
            .map_err(failed);
    }
    let stdin = io::stdin();
    if stdin.is_terminal() {
        let typed = rpassword::prompt_password(format!("Key for {provider} (not shown): "));
        return typed
            .map_err(SecretInputError::Io)
            .map(Zeroizing::new)
            .and_then(|typed| parse(typed.as_bytes()))
            .map_err(failed("the prompt".to_owned()));
    }
    let failed = failed("standard input".to_owned());
    let unbuffered = stdin
        .as_fd()
        .try_clone_to_owned()
        .map_err(|error| failed(SecretInputError::Io(error)))?;
    bounded(File::from(unbuffered))
        .and_then(|bytes| parse(&bytes))
        .map_err(failed)
}

/// Why the input is no key. Holds none of the input.
#[derive(Debug, thiserror::Error)]
enum SecretInputError {
    #[error("{0}")]
    Io(io::Error),
    #[error("it is empty")]
    Empty,
    #[error("it is longer than {MAX_BYTES} bytes, which no key is")]
    TooLong,
    #[error("it is not text")]
    NotText,
    #[error("it has more than one line: give the key alone")]
    ManyLines,
}

fn bounded(from: impl Read) -> Result<Zeroizing<Vec<u8>>, SecretInputError> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(BUFFER));
    let one_too_many = MAX_BYTES.saturating_add(1);
    from.take(u64::try_from(one_too_many).unwrap_or(u64::MAX))
        .read_to_end(&mut bytes)
        .map_err(SecretInputError::Io)?;
    Ok(bytes)
}

fn parse(bytes: &[u8]) -> Result<SecretString, SecretInputError> {
    if bytes.len() > MAX_BYTES {
        return Err(SecretInputError::TooLong);
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|_| SecretInputError::NotText)?
        .trim();
    if text.is_empty() {
        return Err(SecretInputError::Empty);
    }
    if text.contains(['\n', '\r']) {
        return Err(SecretInputError::ManyLines);
    }
    if text.contains(char::is_control) {
        return Err(SecretInputError::NotText);
    }
    Ok(SecretString::from(text))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    fn key(input: &[u8]) -> Result<String, String> {
        bounded(input)
            .and_then(|bytes| parse(&bytes))
            .map(|key| key.expose_secret().to_owned())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn white_space_around_a_key_is_not_part_of_it() {
        assert_eq!(key(b"sk-abc\n"), Ok("sk-abc".to_owned()));
        assert_eq!(key(b"  sk-abc\r\n\n"), Ok("sk-abc".to_owned()));
        assert_eq!(key(&[b'k'; MAX_BYTES]).map(|key| key.len()), Ok(MAX_BYTES));
    }

    #[test]
    fn a_wrong_input_is_rejected_and_not_repeated() {
        let long = vec![b'k'; 1_000_000];
        for bad in [
            &b""[..],
            b" \n",
            b"sk-abc\nsk-def",
            b"sk-\xff",
            b"sk-\x1babc",
            &long,
        ] {
            assert!(key(bad).is_err_and(|error| !error.contains("sk-") && !error.contains("kkk")));
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = read(Some(Path::new("/nonexistent/key")), "openai").err();
        assert!(error.is_some_and(|error| error.to_string().contains("/nonexistent/key")));
    }
}
