//! The names that byokd is spoken to with, each parsed into its own type.
//!
//! Invariant: a value of one of these types has the form that its `parse` promises; there is no other way to make one.
//! An error says what is wrong with the form and never repeats the input, which may be a misplaced secret.
//!
//! A copy of a name shares its text: one that is in memory a million times, or in every line of a record, is cheap to
//! pass on.
//!
//! Not here: whether a name means anything. The catalog knows providers, models and purposes; the store knows workspaces.

use std::{fmt, sync::Arc};

/// Why a text is not a name of its kind; for people, in the words "it must …".
pub type Malformed = &'static str;

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $max:expr, $allowed:expr, $form:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(Arc<str>);

        impl $type {
            /// Checks the form; the error is a sentence for people that does not repeat the input.
            pub fn parse(text: &str) -> Result<Self, Malformed> {
                let allowed: fn(u8) -> bool = $allowed;
                if text.is_empty() || text.len() > $max || !text.bytes().all(allowed) {
                    return Err($form);
                }
                Ok(Self(text.into()))
            }

            /// The name as it was given.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// One customer of the product: the product's own id for its tenant.
    WorkspaceId,
    128,
    |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b':' | b'-'),
    "must be 1 to 128 characters of A-Z a-z 0-9 . _ : -"
);

name!(
    /// A provider's name in the catalog, e.g. `openai`.
    ProviderName,
    64,
    |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'_' | b'-'),
    "must be 1 to 64 characters of a-z 0-9 . _ -"
);

name!(
    /// A family, an alias or a concrete model id. Providers use slashes and colons in theirs.
    ModelName,
    256,
    |byte| byte.is_ascii_graphic(),
    "must be 1 to 256 printable ASCII characters without spaces"
);

name!(
    /// What a call is for, e.g. `reply`.
    PurposeName,
    64,
    |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-'),
    "must be 1 to 64 characters of a-z 0-9 _ -"
);

name!(
    /// What makes a retried change the same change.
    RequestId,
    128,
    |byte| byte.is_ascii_graphic(),
    "must be 1 to 128 printable ASCII characters without spaces"
);

impl PurposeName {
    /// The purpose of a request that names none.
    pub fn reply() -> Self {
        Self("reply".into())
    }
}

/// Whose a key or a change is: one workspace's, or the operator's.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// It belongs to this workspace and to no other.
    Workspace(WorkspaceId),
    /// It belongs to the operator.
    Platform,
}

impl Scope {
    /// The word for the kind of scope, as it is stored and bound.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Workspace(_) => "workspace",
            Self::Platform => "platform",
        }
    }

    /// The workspace's id; empty for the platform. No workspace has an empty id.
    pub fn workspace_id(&self) -> &str {
        match self {
            Self::Workspace(id) => id.as_str(),
            Self::Platform => "",
        }
    }
}

/// The product's end user, as the caller asserts it; at most 256 printable characters.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct OnBehalfOf(String);

impl OnBehalfOf {
    /// Checks the form; empty means "not said".
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        if text.chars().count() > 256 || !text.chars().all(printable) {
            return Err("must be at most 256 printable characters");
        }
        Ok(Self(text.to_owned()))
    }

    /// The name as it was given; empty: not said.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Neither a control character nor one that breaks lines or turns the direction of writing, which would let a name lie
/// in a log (Unicode Standard Annex #9, section 2).
fn printable(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workspace_ids_have_one_form() {
        for good in ["a", "acme", "org_1:team-2.x", &"x".repeat(128)] {
            assert!(WorkspaceId::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "a/b",
            "a b",
            "a\0b",
            "ä",
            "a\n",
            &"x".repeat(129),
            &"x".repeat(10_000),
        ] {
            assert!(WorkspaceId::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_error_never_repeats_the_input() {
        let secret = "sk-proj-SYNTHETIC/0123456789";
        assert!(
            !WorkspaceId::parse(secret)
                .unwrap_err()
                .contains("SYNTHETIC")
        );
        assert!(
            !ProviderName::parse(secret)
                .unwrap_err()
                .contains("SYNTHETIC")
        );
    }
}
