//! The guarded way out: which hosts and addresses byokd may call.
//!
//! Invariants:
//! - The address connected to is the address that was checked: names are resolved by [`Guard`] alone, which hands
//!   out permitted addresses only, so a name that answers differently a moment later gains nothing.
//! - A host that is an address never reaches the resolver, so [`Egress::admits`] judges it before every call.
//! - No redirect, no proxy, no cookie, no referer; TLS, except to loopback in development.
//! - Metadata services, link-local, multicast and reserved addresses are refused whatever the operator allows.
//!
//! Not here: which base URLs a provider may have (that is the catalog's), and rate limits.

mod address;

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use self::address::{Reach, reach};

/// A slow handshake must leave time for the answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Between the two calls of a check, not between checks: servers close idle connections at will.
const IDLE_TIMEOUT: Duration = Duration::from_secs(5);

/// What may be called; by default public hosts over TLS alone.
#[derive(Clone, Debug, Default)]
pub struct Egress {
    /// Whether loopback may be called, and without TLS: for development and tests only.
    pub loopback_http: bool,
    /// Hosts, by name or address, that may be on a private network. TLS is still required.
    pub private_hosts: Vec<String>,
}

/// Why a base URL or an address is not called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Barred {
    /// Neither https nor, in development, http to loopback.
    #[error("it must use https (http only to loopback, in development)")]
    Scheme,
    /// It holds more than scheme, host, port and path.
    #[error("it must have no user, password, query or fragment")]
    Decorated,
    /// The host is, or resolves only to, addresses that may not be called.
    #[error("it leads to an address that is not public; an operator can allow the host")]
    Address,
}

impl Egress {
    /// Whether the guard allows this base URL. It does not resolve the name yet.
    ///
    /// # Errors
    /// The first reason not to.
    pub fn admits(&self, base_url: &Url) -> Result<(), Barred> {
        let host = base_url.host().ok_or(Barred::Scheme)?;
        match base_url.scheme() {
            "https" => {}
            "http" if self.loopback_http && is_loopback(&host) => {}
            _ => return Err(Barred::Scheme),
        }
        let decorated = !base_url.username().is_empty()
            || base_url.password().is_some()
            || base_url.query().is_some()
            || base_url.fragment().is_some();
        if decorated {
            return Err(Barred::Decorated);
        }
        // No name has an empty label; such a text may be an address to whom it is given next.
        if let Host::Domain(name) = &host
            && name
                .strip_suffix('.')
                .unwrap_or(name)
                .split('.')
                .any(str::is_empty)
        {
            return Err(Barred::Address);
        }
        match address_of(&host) {
            Some(address) if !self.permits(base_url.host_str().unwrap_or_default(), address) => {
                Err(Barred::Address)
            }
            _ => Ok(()),
        }
    }

    /// Whether `host` may be called at `address`.
    fn permits(&self, host: &str, address: IpAddr) -> bool {
        match reach(address) {
            Reach::Public => true,
            Reach::Loopback => self.loopback_http || self.may_be_private(host),
            Reach::Private => self.may_be_private(host),
            Reach::Never => false,
        }
    }

    fn may_be_private(&self, host: &str) -> bool {
        let host = plain(host);
        self.private_hosts
            .iter()
            .any(|allowed| plain(allowed).eq_ignore_ascii_case(host))
    }

    /// A client that calls nothing else. It trusts the CA certificates of `ca`, in PEM, alone; `None`: those that the
    /// machine trusts.
    pub(crate) fn client(
        self: &Arc<Self>,
        ca: Option<&[u8]>,
    ) -> Result<reqwest::Client, reqwest::Error> {
        let mut builder = reqwest::Client::builder();
        if let Some(pem) = ca {
            builder = builder.tls_certs_only(reqwest::Certificate::from_pem_bundle(pem)?);
        }
        builder
            .user_agent(concat!("byokd/", env!("CARGO_PKG_VERSION")))
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .retry(reqwest::retry::never())
            .https_only(!self.loopback_http)
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .dns_resolver(Guard(Arc::clone(self)))
            .build()
    }
}

/// Resolves names to permitted addresses only.
struct Guard(Arc<Egress>);

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let egress = Arc::clone(&self.0);
        Box::pin(async move {
            let host = name.as_str();
            let all = tokio::net::lookup_host((host, 0)).await?;
            let permitted: Vec<SocketAddr> = all
                .filter(|found| egress.permits(host, found.ip()))
                .collect();
            if permitted.is_empty() {
                return Err(Barred::Address.into());
            }
            let addresses: Addrs = Box::new(permitted.into_iter());
            Ok(addresses)
        })
    }
}

/// Whether a call failed because [`Guard`] found no permitted address.
pub(crate) fn was_barred(error: &reqwest::Error) -> bool {
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        if inner.is::<Barred>() {
            return true;
        }
        cause = inner.source();
    }
    false
}

fn address_of(host: &Host<&str>) -> Option<IpAddr> {
    match host {
        Host::Ipv4(v4) => Some(IpAddr::V4(*v4)),
        Host::Ipv6(v6) => Some(IpAddr::V6(*v6)),
        Host::Domain(_) => None,
    }
}

fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => plain(name).eq_ignore_ascii_case("localhost"),
        _ => address_of(host).is_some_and(|address| reach(address) == Reach::Loopback),
    }
}

/// `[::1]` and `::1` are one host, and so are `llm.internal.` and `llm.internal`.
fn plain(host: &str) -> &str {
    host.trim_matches(['[', ']']).trim_end_matches('.')
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn admits(egress: &Egress, url: &str) -> Result<(), Barred> {
        egress.admits(&Url::parse(url).unwrap())
    }

    #[test]
    fn production_calls_public_https_only() {
        let egress = Egress::default();
        for url in [
            "https://api.openai.com/v1",
            "https://1.1.1.1/",
            "https://[2606:4700::1111]:8443/v1",
        ] {
            assert_eq!(admits(&egress, url), Ok(()), "{url}");
        }
        let refused = [
            ("http://api.openai.com/v1", Barred::Scheme),
            ("http://127.0.0.1/", Barred::Scheme),
            ("file:///etc/passwd", Barred::Scheme),
            ("ftp://api.openai.com/", Barred::Scheme),
            ("data:text/plain,x", Barred::Scheme),
            ("https://user@api.openai.com/", Barred::Decorated),
            ("https://:password@api.openai.com/", Barred::Decorated),
            ("https://api.openai.com/v1?key=1", Barred::Decorated),
            ("https://api.openai.com/v1#x", Barred::Decorated),
            ("https://127.0.0.1/", Barred::Address),
            ("https://127.1/", Barred::Address),
            ("https://0x7f000001/", Barred::Address),
            ("https://2130706433/", Barred::Address),
            ("https://017700000001/", Barred::Address),
            ("https://10.0.0.8/v1", Barred::Address),
            ("https://169.254.169.254/latest", Barred::Address),
            ("https://[::1]/", Barred::Address),
            ("https://[::ffff:10.0.0.8]/", Barred::Address),
            ("https://[64:ff9b::a00:8]/", Barred::Address),
            ("https://0.0.0.0/", Barred::Address),
            ("https://127.5.0.1../", Barred::Address),
            ("https://api.openai.com../", Barred::Address),
        ];
        for (url, refusal) in refused {
            assert_eq!(admits(&egress, url), Err(refusal), "{url}");
        }
    }

    #[test]
    fn development_may_call_loopback_without_tls_and_nothing_else() {
        let egress = Egress {
            loopback_http: true,
            ..Egress::default()
        };
        for url in [
            "http://127.0.0.1:8080/v1",
            "http://[::1]:8080/",
            "http://localhost:1/",
            "https://127.0.0.1/",
        ] {
            assert_eq!(admits(&egress, url), Ok(()), "{url}");
        }
        assert_eq!(admits(&egress, "http://10.0.0.8/"), Err(Barred::Scheme));
        assert_eq!(
            admits(&egress, "http://localhost.example.com/"),
            Err(Barred::Scheme)
        );
        assert_eq!(admits(&egress, "https://10.0.0.8/"), Err(Barred::Address));
    }

    #[test]
    fn an_operator_may_allow_private_hosts_but_never_metadata_services() {
        let private_hosts = ["10.0.0.8", "::1", "llm.Internal", "169.254.169.254"]
            .map(str::to_owned)
            .to_vec();
        let egress = Egress {
            private_hosts,
            ..Egress::default()
        };
        assert_eq!(admits(&egress, "https://10.0.0.8/v1"), Ok(()));
        assert_eq!(admits(&egress, "https://[::1]/v1"), Ok(()));
        assert_eq!(admits(&egress, "http://10.0.0.8/v1"), Err(Barred::Scheme));
        assert_eq!(admits(&egress, "https://10.0.0.9/v1"), Err(Barred::Address));
        assert_eq!(
            admits(&egress, "https://169.254.169.254/"),
            Err(Barred::Address)
        );
        let inside = "10.1.2.3".parse().unwrap();
        assert!(egress.permits("llm.internal.", inside));
        assert!(
            !egress.permits("evil.llm.internal", inside)
                && !egress.permits("evil.llm.Internal", inside)
        );
        assert!(!egress.permits("llm.internal", "169.254.169.254".parse().unwrap()));
    }
}
