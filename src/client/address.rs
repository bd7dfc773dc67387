//! The server's address: the caller's, else the one in the data folder of a running server, else the default.
//!
//! Invariant: an address is `http://HOST:PORT` or `https://HOST:PORT`; a user, a path or a query in it is an error.
//!
//! Not here: environment variables (`cli`) and name resolution.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use url::{Host, Url};

/// The address of a byokd without configuration.
pub const DEFAULT_SERVER: &str = "http://127.0.0.1:50051";

/// A running server writes its address into this file of the data folder.
const FILE: &str = "server";

/// The longest address that is read.
const MAX_BYTES: u64 = 1024;

/// The address of one byokd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerAddress {
    url: String,
    loopback: bool,
    encrypted: bool,
}

impl ServerAddress {
    /// Returns `named` if it is given, else the address in `data_dir`, else the default.
    ///
    /// # Errors
    ///
    /// The address is malformed, or the file exists and cannot be read.
    pub fn find(named: Option<&str>, data_dir: &Path) -> Result<Self, AddressError> {
        if let Some(named) = named {
            return Self::parse(named, "the server address");
        }
        let path = data_dir.join(FILE);
        match read(&path) {
            Ok(line) => Self::parse(&line, &path.display().to_string()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Self::parse(DEFAULT_SERVER, "the default address")
            }
            Err(error) => Err(AddressError::Unreadable { path, error }),
        }
    }

    /// The address as a URL without a trailing slash.
    pub fn as_str(&self) -> &str {
        &self.url
    }

    /// Whether the traffic stays on this machine.
    pub const fn is_loopback(&self) -> bool {
        self.loopback
    }

    /// Whether the traffic is encrypted.
    pub const fn is_encrypted(&self) -> bool {
        self.encrypted
    }

    fn parse(text: &str, origin: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        let refused = |problem| AddressError::Malformed {
            origin: origin.to_owned(),
            // The text before an `@` may be a password.
            value: if text.contains('@') {
                "(not shown)".to_owned()
            } else {
                text.to_owned()
            },
            problem,
        };
        let url = Url::parse(text).map_err(|_| refused("is not a URL"))?;
        let encrypted = match url.scheme() {
            "http" => false,
            "https" => true,
            _ => return Err(refused("begins with neither http:// nor https://")),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refused("has a user or password in it"));
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(refused(
                "has a path, query or fragment after the host and port",
            ));
        }
        let loopback = match url.host() {
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            Some(Host::Domain(name)) => name == "localhost",
            None => return Err(refused("names no host")),
        };
        Ok(Self {
            url: url.as_str().trim_end_matches('/').to_owned(),
            loopback,
            encrypted,
        })
    }
}

fn read(path: &Path) -> io::Result<String> {
    let mut line = String::new();
    File::open(path)?
        .take(MAX_BYTES)
        .read_to_string(&mut line)?;
    Ok(line)
}

/// The server's address cannot be determined.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    /// A text that is no address.
    #[error(
        "{origin} {value:?} {problem}: write it as http://HOST:PORT or https://HOST:PORT, for example {DEFAULT_SERVER}"
    )]
    Malformed {
        /// The source of the text.
        origin: String,
        /// The text, unless it may hold a password.
        value: String,
        /// The fault of the text.
        problem: &'static str,
    },
    /// The file exists and cannot be read.
    #[error("cannot read the server's address in {}: {error}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_address_overrides_the_folder_and_the_folder_the_default()
    -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        assert_eq!(
            ServerAddress::find(None, folder.path())?.as_str(),
            DEFAULT_SERVER
        );
        std::fs::write(folder.path().join(FILE), "http://127.0.0.1:4000\n")?;
        assert_eq!(
            ServerAddress::find(None, folder.path())?.as_str(),
            "http://127.0.0.1:4000"
        );
        let named = ServerAddress::find(Some("http://byokd.internal:50051/"), folder.path())?;
        assert_eq!(named.as_str(), "http://byokd.internal:50051");
        assert!(!named.is_loopback() && !named.is_encrypted());
        assert!(ServerAddress::find(Some("https://byokd.internal"), folder.path())?.is_encrypted());
        assert!(ServerAddress::find(Some("http://[::1]:1"), folder.path())?.is_loopback());
        Ok(())
    }

    #[test]
    fn rejects_all_but_host_and_port() {
        let nowhere = Path::new("/nonexistent");
        for bad in [
            "",
            "localhost:50051",
            "https://",
            "ftp://a",
            "http://a/b",
            "http://a?b",
            "http://",
        ] {
            assert!(ServerAddress::find(Some(bad), nowhere).is_err(), "{bad}");
        }
        let failure = ServerAddress::find(Some("http://me:hunter2@host"), nowhere)
            .err()
            .map(|error| error.to_string());
        assert!(failure.is_some_and(|failure| !failure.contains("hunter2")));
    }
}
