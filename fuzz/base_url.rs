//! A base URL: only https to a name or a public address is admitted.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use byokd::egress::Egress;
use url::Url;

/// Judges one input.
pub fn run(text: &str) {
    let Ok(url) = Url::parse(text) else { return };
    for (loopback_http, private) in [(false, false), (true, false), (false, true)] {
        let private_hosts = if private {
            vec!["10.0.0.8".to_owned(), "llm.internal".to_owned()]
        } else {
            vec![]
        };
        let egress = Egress {
            loopback_http,
            private_hosts,
        };
        let admitted = egress.admits(&url).is_ok();
        let again = Url::parse(url.as_str()).unwrap();
        assert_eq!(
            admitted,
            egress.admits(&again).is_ok(),
            "{url} is judged twice, differently"
        );
        if admitted {
            judge(&url, loopback_http, private);
        }
    }
}

fn judge(url: &Url, loopback_http: bool, private: bool) {
    assert!(
        url.username().is_empty() && url.password().is_none(),
        "{url}"
    );
    assert!(url.query().is_none() && url.fragment().is_none(), "{url}");
    let host = url.host_str().unwrap().trim_matches(['[', ']']);
    let address: Option<IpAddr> = host.trim_end_matches('.').parse().ok();
    let loopback = address.map_or(host.trim_end_matches('.') == "localhost", |address| {
        canonical(address).is_loopback()
    });
    match url.scheme() {
        "https" => {}
        "http" => assert!(loopback_http && loopback, "{url}"),
        other => panic!("{other}: {url}"),
    }
    match address.map(canonical) {
        Some(address) if public(address) => {}
        Some(address) if loopback_http && address.is_loopback() => {}
        Some(address) => assert!(
            private && address == IpAddr::V4(Ipv4Addr::new(10, 0, 0, 8)),
            "{url}"
        ),
        None => assert!(
            !numeric(host),
            "{url}: the system's resolver would take this for an address"
        ),
    }
}

/// Text that `inet_aton` could read: its last label is a number.
fn numeric(host: &str) -> bool {
    // One dot at the end is the root; with more it is no name, and no address either.
    let last = host
        .strip_suffix('.')
        .unwrap_or(host)
        .rsplit('.')
        .next()
        .unwrap();
    let hex = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    hex.map_or(
        !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit()),
        |hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()),
    )
}

fn canonical(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else {
        return address;
    };
    match v6.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => IpAddr::V4(Ipv4Addr::from_bits(
            (u32::from(high) << 16) | u32::from(low),
        )),
        _ => v6.to_canonical(),
    }
}

/// The standard library's opinion, and ranges that it does not cover.
fn public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            !(v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_broadcast()
                || v4.is_documentation()
                || v4.is_multicast()
                || a == 0
                || a >= 240
                || (a == 100 && (64..128).contains(&b))
                || (a == 198 && (18..20).contains(&b))
                || (a == 192 && b == 0 && c == 0)
                || (a == 192 && b == 88 && c == 99)
                || v4 == Ipv4Addr::new(168, 63, 129, 16))
        }
        IpAddr::V6(v6) => {
            let [a, b, ..] = v6.segments();
            let embeds_v4 = a == 0x2002 || (a == 0x2001 && b == 0);
            (a & 0xe000) == 0x2000
                && !embeds_v4
                && !(a == 0x2001 && b == 0xdb8)
                && !v6.is_unique_local()
                && !v6.is_unicast_link_local()
                && v6 != Ipv6Addr::LOCALHOST
        }
    }
}
