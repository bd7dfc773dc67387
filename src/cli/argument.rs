//! The values of arguments: each parser rejects a value that looks like a key.
//!
//! A pasted key is already in the shell's history and in the list of processes. These checks keep it from the server,
//! where it would be a name, and from the terminal, where an error would print it.
//!
//! Not here: the form of ids and names. The server checks it, for all clients.

use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TypedValueParser};

use crate::domain::secret::{KEY_LENGTH, begins_like_key, looks_like_key};

const REFUSED: &str = "looks like a key";

/// Whether a text may be a key: reason enough to keep it out of an error, not to reject it.
pub(super) fn may_be_key(text: &str) -> bool {
    let text = text.trim();
    let opaque = text.len() >= KEY_LENGTH
        && text.bytes().all(|byte| byte.is_ascii_graphic())
        && text.bytes().any(|byte| byte.is_ascii_digit())
        && text.bytes().any(|byte| byte.is_ascii_alphabetic())
        && !text.starts_with(['-', '/', '.', '{']);
    opaque || begins_like_key(text)
}

/// Any text except a key.
pub(super) fn word(text: &str) -> Result<String, &'static str> {
    if looks_like_key(text) {
        Err(REFUSED)
    } else {
        Ok(text.to_owned())
    }
}

/// The name of a provider. No provider's name begins like a key, not even a short one.
pub(super) fn provider(text: &str) -> Result<String, &'static str> {
    if text.starts_with("sk-") || text.starts_with("sk_") {
        return Err(REFUSED);
    }
    word(text)
}

/// The path of a file or folder. It may be empty, as a variable may be.
pub(super) fn path() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new()
        .map(PathBuf::from)
        .try_map(|path| {
            if path.to_str().is_some_and(looks_like_key) {
                return Err(REFUSED);
            }
            Ok(path)
        })
}

/// A header, written NAME=VALUE.
pub(super) fn header(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once('=').ok_or("is not NAME=VALUE")?;
    if name.trim().is_empty() {
        return Err("has no name before the `=`");
    }
    let bare = value.trim().trim_start_matches("Bearer ");
    if looks_like_key(bare) || looks_like_key(name) {
        return Err(REFUSED);
    }
    Ok((name.trim().to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separates_keys_from_names() {
        for key in [
            "sk-proj-0123456789abcdef",
            " sk-ant-api03-abcdefghij",
            "AIzaSyA0123456789abcdef",
            "gsk_0123456789abcdefghij",
        ] {
            assert!(looks_like_key(key) && may_be_key(key), "{key}");
            assert!(word(key).is_err() && provider(key).is_err());
        }
        for name in [
            "acme",
            "sk-telecom",
            "gpt-4o-mini-2024-07-18",
            "550e8400-e29b-41d4-a716-446655440000",
        ] {
            assert!(word(name).is_ok(), "{name}");
        }
        assert!(provider("sk-abc").is_err());
        assert!(may_be_key("0123456789abcdef0123456789abcdef"));
    }

    #[test]
    fn headers_are_name_and_value() {
        assert_eq!(
            header("OpenAI-Project=proj=1"),
            Ok(("OpenAI-Project".to_owned(), "proj=1".to_owned()))
        );
        assert!(header("OpenAI-Project").is_err());
        assert!(header("=x").is_err());
        assert!(header("Authorization=Bearer sk-proj-0123456789abcdef").is_err());
    }
}
