//! The name in a client certificate.
//!
//! The name is the one URI SAN, which must be a SPIFFE id (the X.509-SVID standard, section 2), or, where there is no
//! URI SAN, the one DNS SAN. The subject and its CN are never looked at (RFC 9525, section 2).
//!
//! Invariants: a certificate that names two identities has none. The chain, its times and its purpose were checked in
//! the handshake; that the certificate has not expired since is checked with each call.
//!
//! Not here: what a name may do (`domain::rule`), and revocation lists: certificates are to be short-lived.

use aws_lc_rs::digest::{SHA256, digest};
use time::OffsetDateTime;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

/// No name of a caller is longer, in bytes.
const LONGEST_NAME: usize = 512;

/// A client's certificate that the handshake accepted.
#[derive(Clone, Debug)]
pub struct Certificate {
    fingerprint: [u8; 32],
    not_after: OffsetDateTime,
    name: Result<String, &'static str>,
}

impl Certificate {
    /// Reads a certificate in DER; a fault is reported when a caller uses it.
    pub fn read(der: &[u8]) -> Self {
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(digest(&SHA256, der).as_ref());
        match X509Certificate::from_der(der) {
            Ok(([], certificate)) => Self {
                fingerprint,
                not_after: certificate.validity().not_after.to_datetime(),
                name: name(&certificate),
            },
            _ => Self {
                fingerprint,
                not_after: OffsetDateTime::UNIX_EPOCH,
                name: Err("the certificate is not an X.509 certificate"),
            },
        }
    }

    /// The caller's name; the error says why there is none, for the operator.
    pub fn name(&self) -> Result<&str, &'static str> {
        self.name.as_deref().map_err(|why| *why)
    }

    /// When it expires.
    pub fn not_after(&self) -> OffsetDateTime {
        self.not_after
    }

    /// The SHA-256 of its bytes.
    pub fn fingerprint(&self) -> &[u8; 32] {
        &self.fingerprint
    }
}

fn name(certificate: &X509Certificate<'_>) -> Result<String, &'static str> {
    let names = match certificate.subject_alternative_name() {
        Ok(Some(extension)) => &extension.value.general_names,
        Ok(None) => {
            return Err("the certificate has no subject alternative name; its CN does not count");
        }
        Err(_) => return Err("the certificate's subject alternative names cannot be read"),
    };
    // Such a one would be a name too many, or the only one.
    let unreadable = |name: &GeneralName<'_>| matches!(name, GeneralName::Invalid(tag, _) if matches!(tag.0, 2 | 6));
    if names.iter().any(unreadable) {
        return Err("the certificate has a subject alternative name that is not a text");
    }
    let uris: Vec<&str> = names
        .iter()
        .filter_map(|name| {
            if let GeneralName::URI(uri) = name {
                Some(*uri)
            } else {
                None
            }
        })
        .collect();
    let hosts: Vec<&str> = names
        .iter()
        .filter_map(|name| {
            if let GeneralName::DNSName(host) = name {
                Some(*host)
            } else {
                None
            }
        })
        .collect();
    match (uris.as_slice(), hosts.as_slice()) {
        ([id], _) if is_spiffe_id(id) => Ok((*id).to_owned()),
        ([_], _) => Err("the certificate's URI SAN is not a SPIFFE id"),
        ([], [host]) if is_host(host) => Ok((*host).to_owned()),
        ([], [_]) => Err("the certificate's DNS SAN is not a host name in lower case"),
        ([], []) => Err("the certificate has neither a URI SAN nor a DNS SAN"),
        ([], _) => Err("the certificate has several DNS SANs, which is more than one identity"),
        _ => Err("the certificate has several URI SANs, which is more than one identity"),
    }
}

/// The SPIFFE-ID standard, section 2: a trust domain, then segments of a path; no user, port, query, fragment or
/// percent-encoding, and no segment that is empty, `.` or `..`.
fn is_spiffe_id(uri: &str) -> bool {
    let Some((domain, path)) = uri
        .strip_prefix("spiffe://")
        .and_then(|rest| rest.split_once('/'))
    else {
        return false;
    };
    let lower = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'_')
    };
    let any = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let segment =
        |part: &str| !part.is_empty() && part != "." && part != ".." && part.bytes().all(any);
    uri.len() <= LONGEST_NAME
        && !domain.is_empty()
        && domain.bytes().all(lower)
        && path.split('/').all(segment)
}

fn is_host(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let label = |label: &str| !label.is_empty() && label.bytes().all(allowed);
    name.len() <= 253 && name.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spiffe_id_has_one_form() {
        for good in [
            "spiffe://td/a",
            "spiffe://example.org/ns/llm/sa/agent",
            "spiffe://t_d-1/A.b_C-9",
        ] {
            assert!(is_spiffe_id(good), "{good}");
        }
        for bad in [
            "",
            "spiffe://",
            "spiffe://td",
            "spiffe://td/",
            "spiffe:///a",
            "SPIFFE://td/a",
            "spiffe://TD/a",
            "spiffe://td:1/a",
            "spiffe://u@td/a",
            "spiffe://td/a?q",
            "spiffe://td/a#f",
            "spiffe://td/a//b",
            "spiffe://td/a/",
            "spiffe://td/./a",
            "spiffe://td/../a",
            "spiffe://td/%61",
            "spiffe://td/a b",
            "https://td/a",
            "spiffe://td/ä",
            "spiffe://td/a\0",
        ] {
            assert!(!is_spiffe_id(bad), "{bad}");
        }
        assert!(!is_spiffe_id(&format!(
            "spiffe://td/{}",
            "a".repeat(LONGEST_NAME)
        )));
    }

    #[test]
    fn what_is_no_certificate_names_nobody() {
        for der in [&b""[..], b"\x30\x00", b"not a certificate"] {
            assert!(Certificate::read(der).name().is_err());
        }
    }
}
