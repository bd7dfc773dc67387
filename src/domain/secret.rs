//! A provider's API key, as the one type that may hold it in the clear.
//!
//! Invariants:
//! - Every [`ApiKey`] is 1 to [`MAX_BYTES`] bytes of visible ASCII, so it always fits in an HTTP header and can
//!   never smuggle a second one.
//! - The bytes are wiped on drop, on every path, also when a key is refused.
//! - The only way to the text is [`ApiKey::expose`], which is easy to search for.
//!
//! Not here: `Display`, `Clone`, `PartialEq`, serde, and any opinion on prefixes or lengths of
//! particular vendors. Vendors change their formats; what is known of them is data beside the test calls.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

/// The longest key accepted, in bytes. The longest known format has 167 characters.
pub const MAX_BYTES: usize = 512;

/// A key shorter than this shows nothing of itself when masked: four characters of it would be too many.
const SHORTEST_SHOWN: usize = 20;
const SHOWN: usize = 4;

/// A provider's API key in the clear.
pub struct ApiKey(SecretString);

/// Why a text cannot be an API key. It never holds any part of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{}", self.advice())]
pub enum KeyFault {
    /// Nothing is left after trimming.
    Empty,
    /// Longer than [`MAX_BYTES`].
    TooLong,
    /// Holds an ASCII control character other than white space.
    ControlCharacter,
    /// White space inside, line breaks and tabs included.
    InnerSpace,
    /// Holds a character that is not ASCII.
    NotAscii,
    /// Begins with the scheme of an `Authorization` header.
    BearerPrefix,
    /// Holds a quotation mark, straight or typographic.
    Quoted,
}

impl KeyFault {
    /// One sentence for the person who pasted the key: the fault and its fix.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Empty => "The key is empty; paste the whole key as the provider shows it.",
            Self::TooLong => {
                "The key is longer than 512 characters; paste only the key, not a file or a token response."
            }
            Self::ControlCharacter => {
                "The key holds an invisible control character; copy it again from the provider's own page."
            }
            Self::InnerSpace => {
                "The key holds a space or a line break inside; paste it as one unbroken line."
            }
            Self::NotAscii => {
                "The key holds a character that no key has, often added by a chat or a document; \
                 copy it again from the provider's own page."
            }
            Self::BearerPrefix => {
                "The key begins with \"Bearer\"; leave that word out and paste only the key."
            }
            Self::Quoted => {
                "The key holds a quotation mark; paste it without the quotes around it."
            }
        }
    }
}

impl ApiKey {
    /// Takes what a person pasted: trims white space around it and checks the form.
    ///
    /// The text is wiped whether it is accepted or not.
    ///
    /// # Errors
    /// The first [`KeyFault`] found, which reveals nothing about the text beyond its kind.
    pub fn parse(raw: String) -> Result<Self, KeyFault> {
        let raw = Zeroizing::new(raw);
        let key = raw.trim();
        match fault(key) {
            Some(fault) => Err(fault),
            None => Ok(Self::of(key)),
        }
    }

    /// Takes the bytes of an opened record. They were checked when they were sealed; `None` means that they
    /// are not a key that [`ApiKey::parse`] could have accepted. The caller wipes the bytes.
    pub fn from_stored(raw: &[u8]) -> Option<Self> {
        let key = std::str::from_utf8(raw).ok()?;
        fault(key).is_none().then(|| Self::of(key))
    }

    /// The key in the clear: for a header of the provider, for sealing, for the caller it is resolved for.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// What others may see: "…" and the last 4 characters, or "…" alone for a key shorter than 20.
    pub fn masked(&self) -> String {
        let key = self.expose();
        let tail = match key.len() {
            SHORTEST_SHOWN.. => key
                .get(key.len().saturating_sub(SHOWN)..)
                .unwrap_or_default(),
            _ => "",
        };
        format!("…{tail}")
    }

    /// `to_owned` allocates exactly, so that boxing the string leaves no unwiped copy behind.
    fn of(key: &str) -> Self {
        Self(SecretString::from(key.to_owned()))
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey([redacted])")
    }
}

/// Finds the fault whose advice helps most: quotes before the word "Bearer", and the word before the space after it.
fn fault(key: &str) -> Option<KeyFault> {
    // What nearly every key is, seen in one pass without a branch: each resolve looks at one.
    let plain =
        |byte: u8| byte.is_ascii_graphic() & (byte != b'"') & (byte != b'\'') & (byte != b'`');
    if (1..=MAX_BYTES).contains(&key.len()) && key.bytes().fold(true, |all, byte| all & plain(byte))
    {
        return names_bearer(key).then_some(KeyFault::BearerPrefix);
    }
    let quote = |c| {
        matches!(
            c,
            '"' | '\'' | '`' | '“' | '”' | '„' | '‘' | '’' | '«' | '»'
        )
    };
    if key.is_empty() {
        Some(KeyFault::Empty)
    } else if key.len() > MAX_BYTES {
        Some(KeyFault::TooLong)
    } else if key.contains(quote) {
        Some(KeyFault::Quoted)
    } else if names_bearer(key) {
        Some(KeyFault::BearerPrefix)
    } else if key.contains(char::is_whitespace) {
        Some(KeyFault::InnerSpace)
    } else if !key.is_ascii() {
        Some(KeyFault::NotAscii)
    } else if key.contains(|c: char| c.is_ascii_control()) {
        Some(KeyFault::ControlCharacter)
    } else {
        None
    }
}

fn names_bearer(key: &str) -> bool {
    ["bearer", "authorization"].iter().any(|word| {
        key.split_at_checked(word.len())
            .is_some_and(|(first, rest)| {
                first.eq_ignore_ascii_case(word)
                    && rest
                        .chars()
                        .next()
                        .is_none_or(|c| c.is_whitespace() || c == ':')
            })
    })
}

/// How the keys and tokens in use begin.
const PREFIXES: [&str; 11] = [
    "sk-", "sk_", "gsk_", "csk-", "xai-", "AIza", "hf_", "r8_", "nvapi-", "pplx-", "eyJ",
];

/// No provider issues shorter keys, while names that begin like a key ("sk-telecom") are shorter.
pub const KEY_LENGTH: usize = 20;

/// What surely is a key or a token, wherever it stands.
pub fn looks_like_key(text: &str) -> bool {
    let text = text.trim();
    text.len() >= KEY_LENGTH && begins_like_key(text)
}

/// What begins like one, of any length.
pub fn begins_like_key(text: &str) -> bool {
    PREFIXES.iter().any(|prefix| text.starts_with(prefix))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn parse(raw: &str) -> Result<ApiKey, KeyFault> {
        ApiKey::parse(raw.to_owned())
    }

    #[test]
    fn white_space_around_a_key_is_trimmed() {
        for raw in [
            "sk-proj-0123456789abcdef",
            "  sk-proj-0123456789abcdef\r\n",
            "\tsk-proj-0123456789abcdef\u{a0}",
        ] {
            assert_eq!(parse(raw).unwrap().expose(), "sk-proj-0123456789abcdef");
        }
    }

    #[test]
    fn each_fault_is_named() {
        let long = "k".repeat(MAX_BYTES + 1);
        let faults = [
            ("", KeyFault::Empty),
            (" \n\t ", KeyFault::Empty),
            (long.as_str(), KeyFault::TooLong),
            ("sk-a b", KeyFault::InnerSpace),
            ("sk-a\nb", KeyFault::InnerSpace),
            ("sk-a\tb", KeyFault::InnerSpace),
            ("sk-a\0b", KeyFault::ControlCharacter),
            ("sk-a\u{7f}b", KeyFault::ControlCharacter),
            ("sk-ä", KeyFault::NotAscii),
            ("sk-a\u{200b}b", KeyFault::NotAscii),
            ("Bearer sk-a", KeyFault::BearerPrefix),
            ("bEaReR\tsk-a", KeyFault::BearerPrefix),
            ("Bearer", KeyFault::BearerPrefix),
            ("Authorization: Bearer sk-a", KeyFault::BearerPrefix),
            ("\"sk-a\"", KeyFault::Quoted),
            ("'sk-a", KeyFault::Quoted),
            ("“sk-a”", KeyFault::Quoted),
            ("\"Bearer sk-a\"", KeyFault::Quoted),
        ];
        for (raw, expected) in faults {
            assert_eq!(parse(raw).unwrap_err(), expected, "{raw:?}");
        }
        assert!(parse(&"k".repeat(MAX_BYTES)).is_ok());
        assert!(
            parse("bearer-of-good-keys").is_ok(),
            "only the word itself is the scheme"
        );
    }

    #[test]
    fn a_fault_never_echoes_the_text() {
        let fault = parse("hunter2 hunter2").unwrap_err();
        assert!(!format!("{fault} {fault:?} {}", fault.advice()).contains("hunter2"));
    }

    #[test]
    fn a_key_shows_four_characters_or_none() {
        assert_eq!(parse("0123456789abcdefWXYZ").unwrap().masked(), "…WXYZ");
        assert_eq!(parse("0123456789abcdefXYZ").unwrap().masked(), "…");
        assert_eq!(
            format!("{:?}", parse("0123456789abcdefWXYZ").unwrap()),
            "ApiKey([redacted])"
        );
    }

    #[test]
    fn stored_bytes_must_still_be_a_key() {
        assert_eq!(ApiKey::from_stored(b"sk-a").unwrap().expose(), "sk-a");
        for raw in [&b""[..], b"\xff\xfe", b"sk-a\r\nx-evil: 1", b" sk-a"] {
            assert!(ApiKey::from_stored(raw).is_none());
        }
    }
}
