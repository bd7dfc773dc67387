//! The caller's token: read from a file, or minted by the signer in the data folder.
//!
//! Invariants: a minted token has only the rights that one command needs, and is never stored. A token that was read is
//! wiped after use; the connection keeps a copy until it is dropped.
//!
//! Not here: verifying a token (the server).

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use tonic::metadata::{Ascii, MetadataValue};
use zeroize::Zeroizing;

use crate::{
    domain::{caller::Role, clock::Clock, error::Error, names::PurposeName},
    identity::{self, MintRequest, Signer},
};

/// The longest token that is read. Servers reject longer metadata.
const MAX_BYTES: u64 = 8 * 1024;
const BUFFER: usize = 16 * 1024;

/// The source of the token.
#[derive(Clone, Debug)]
pub enum TokenSource {
    /// A file.
    File(PathBuf),
    /// The embedded signer in this folder.
    DataDir(PathBuf),
    /// No token: the client certificate is the caller's identity.
    Certificate,
}

/// The rights of a minted token. A token from a file has its own.
#[derive(Clone, Debug)]
pub struct Access<'a> {
    /// The role.
    pub role: Role,
    /// One workspace, or `*`.
    pub workspace: &'a str,
    /// The purpose. `None`: the default purpose.
    pub purpose: Option<PurposeName>,
}

impl TokenSource {
    /// The value of the `authorization` metadata. `None`: no token.
    pub(super) fn authorization(
        &self,
        access: &Access<'_>,
    ) -> Result<Option<MetadataValue<Ascii>>, TokenError> {
        let token = match self {
            Self::Certificate => return Ok(None),
            Self::File(path) => read(path)?,
            Self::DataDir(folder) => {
                let request = MintRequest {
                    subject: "cli".to_owned(),
                    roles: vec![access.role],
                    workspace: access.workspace.to_owned(),
                    purposes: access.purpose.iter().cloned().collect(),
                };
                Zeroizing::new(identity::mint(
                    &Signer::in_folder(folder)?,
                    &request,
                    &Clock::system(),
                )?)
            }
        };
        let header = Zeroizing::new(format!("Bearer {}", token.as_str()));
        let mut value: MetadataValue<Ascii> = header.parse().map_err(|_| TokenError::Unsendable)?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

fn read(path: &Path) -> Result<Zeroizing<String>, TokenError> {
    let unreadable = |error| TokenError::Unreadable {
        path: path.to_owned(),
        error,
    };
    // The capacity is enough for the whole file: a buffer that grows leaves copies behind.
    let mut text = Zeroizing::new(String::with_capacity(BUFFER));
    File::open(path)
        .map_err(unreadable)?
        .take(MAX_BYTES)
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    let token = text.trim();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(TokenError::NotAToken(path.to_owned()));
    }
    Ok(Zeroizing::new(token.to_owned()))
}

/// There is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file cannot be read.
    #[error("cannot read the token file {}: {error}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// The file does not hold a token.
    #[error("the token file {} does not hold one token on one line", .0.display())]
    NotAToken(PathBuf),
    /// The signer failed.
    #[error(transparent)]
    Mint(#[from] Error),
    /// The signer's token is no metadata value.
    #[error("cannot send the minted token: it is not plain text")]
    Unsendable,
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCESS: Access<'_> = Access {
        role: Role::Viewer,
        workspace: "acme",
        purpose: None,
    };

    #[test]
    fn a_file_holds_one_token() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("token");
        std::fs::write(&path, "eyJ.a.b\n")?;
        let value = TokenSource::File(path.clone())
            .authorization(&ACCESS)?
            .ok_or("no token")?;
        assert_eq!(value.to_str()?, "Bearer eyJ.a.b");
        assert!(!format!("{value:?}").contains("eyJ"));
        for bad in ["", "\n", "two tokens", "two\ntokens"] {
            std::fs::write(&path, bad)?;
            assert!(
                TokenSource::File(path.clone())
                    .authorization(&ACCESS)
                    .is_err(),
                "{bad:?}"
            );
        }
        Ok(())
    }
}
