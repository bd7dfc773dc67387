//! Which IP addresses are the public internet.
//!
//! Invariants:
//! - What is not known to be public is not: of IPv6 only the global unicast space counts, minus its reserved parts.
//! - An IPv4 address inside an IPv6 one (mapped, NAT64) is judged as the IPv4 address it leads to; forms that no
//!   current network uses (compatible, translated, 6to4, Teredo) never count as public.
//!
//! Source: IANA's special-purpose address registries for IPv4 and IPv6. Beyond them: 168.63.129.16, a public
//! address that is Azure's host service to every virtual machine. Absent: who may go where.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where an address leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// The public internet.
    Public,
    /// This machine.
    Loopback,
    /// A network of the operator's own.
    Private,
    /// Nowhere that a provider can be: metadata services, multicast, reserved space.
    Never,
}

/// First match wins.
const V4: [(Ipv4Addr, u32, Reach); 19] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8, Reach::Never),
    (Ipv4Addr::new(10, 0, 0, 0), 8, Reach::Private),
    (Ipv4Addr::new(100, 100, 100, 200), 32, Reach::Never), // Alibaba's metadata service
    (Ipv4Addr::new(100, 64, 0, 0), 10, Reach::Private),    // carrier-grade NAT
    (Ipv4Addr::new(127, 0, 0, 0), 8, Reach::Loopback),
    (Ipv4Addr::new(168, 63, 129, 16), 32, Reach::Never), // Azure's host service
    (Ipv4Addr::new(169, 254, 0, 0), 16, Reach::Never),   // link-local, and the metadata services
    (Ipv4Addr::new(172, 16, 0, 0), 12, Reach::Private),
    (Ipv4Addr::new(192, 0, 0, 0), 24, Reach::Never), // protocol assignments, Oracle's metadata service
    (Ipv4Addr::new(192, 0, 2, 0), 24, Reach::Never), // documentation
    (Ipv4Addr::new(192, 31, 196, 0), 24, Reach::Never), // AS112
    (Ipv4Addr::new(192, 52, 193, 0), 24, Reach::Never), // AMT
    (Ipv4Addr::new(192, 88, 99, 0), 24, Reach::Never), // 6to4 relays
    (Ipv4Addr::new(192, 168, 0, 0), 16, Reach::Private),
    (Ipv4Addr::new(198, 18, 0, 0), 15, Reach::Private), // benchmarks
    (Ipv4Addr::new(198, 51, 100, 0), 24, Reach::Never), // documentation
    (Ipv4Addr::new(203, 0, 113, 0), 24, Reach::Never),  // documentation
    (Ipv4Addr::new(224, 0, 0, 0), 4, Reach::Never),     // multicast
    (Ipv4Addr::new(240, 0, 0, 0), 4, Reach::Never),     // reserved, broadcast
];

/// First match wins; what is in none of them is [`Reach::Never`].
const V6: [(Ipv6Addr, u32, Reach); 9] = [
    (Ipv6Addr::LOCALHOST, 128, Reach::Loopback),
    (
        Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
        128,
        Reach::Never,
    ), // AWS's metadata service
    (
        Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0),
        7,
        Reach::Private,
    ), // unique local
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23, Reach::Never), // assignments, Teredo, ORCHID
    (
        Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0),
        32,
        Reach::Never,
    ), // documentation
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16, Reach::Never), // 6to4
    (
        Ipv6Addr::new(0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0),
        48,
        Reach::Never,
    ), // AS112
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20, Reach::Never), // documentation
    (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3, Reach::Public),
];

/// `64:ff9b::/96`, through which IPv6-only networks reach IPv4.
const NAT64: Ipv6Addr = Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0);

/// Where `address` leads.
pub(super) fn reach(address: IpAddr) -> Reach {
    match address {
        IpAddr::V4(v4) => reach_v4(v4),
        IpAddr::V6(v6) => match inner_v4(v6) {
            Some(v4) => reach_v4(v4),
            None => reach_v6(v6),
        },
    }
}

fn reach_v4(address: Ipv4Addr) -> Reach {
    let same = |net: Ipv4Addr, bits: u32| {
        (address.to_bits() ^ net.to_bits()).checked_shr(32_u32.saturating_sub(bits)) == Some(0)
    };
    V4.into_iter()
        .find(|(net, bits, _)| same(*net, *bits))
        .map_or(Reach::Public, |(_, _, reach)| reach)
}

fn reach_v6(address: Ipv6Addr) -> Reach {
    let same = |net: Ipv6Addr, bits: u32| {
        (address.to_bits() ^ net.to_bits()).checked_shr(128_u32.saturating_sub(bits)) == Some(0)
    };
    V6.into_iter()
        .find(|(net, bits, _)| same(*net, *bits))
        .map_or(Reach::Never, |(_, _, reach)| reach)
}

fn inner_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let translated = || {
        let difference = address.to_bits() ^ NAT64.to_bits();
        u32::try_from(difference).ok().map(Ipv4Addr::from_bits)
    };
    address.to_ipv4_mapped().or_else(translated)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn every_address_leads_where_the_registries_say() {
        let vectors: [(Reach, &[&str]); 4] = [
            (
                Reach::Public,
                &[
                    "1.1.1.1",
                    "8.8.8.8",
                    "9.255.255.255",
                    "11.0.0.0",
                    "100.63.255.255",
                    "100.128.0.0",
                    "126.255.255.255",
                    "128.0.0.0",
                    "168.63.129.15",
                    "169.253.255.255",
                    "169.255.0.0",
                    "172.15.255.255",
                    "172.32.0.0",
                    "192.0.1.0",
                    "192.0.3.0",
                    "192.167.255.255",
                    "192.169.0.0",
                    "198.17.255.255",
                    "198.20.0.0",
                    "203.0.112.255",
                    "203.0.114.0",
                    "223.255.255.255",
                    "2606:4700::6810:1",
                    "2a00:1450:4001:81b::200e",
                    "2001:4860:4860::8888",
                    "2001:200::1",
                    "::ffff:8.8.8.8",
                    "64:ff9b::8.8.8.8",
                ],
            ),
            (
                Reach::Loopback,
                &[
                    "127.0.0.1",
                    "127.255.255.254",
                    "::1",
                    "::ffff:127.0.0.1",
                    "64:ff9b::7f00:1",
                ],
            ),
            (
                Reach::Private,
                &[
                    "10.0.0.0",
                    "10.255.255.255",
                    "100.64.0.0",
                    "100.127.255.255",
                    "172.16.0.0",
                    "172.31.255.255",
                    "192.168.0.0",
                    "192.168.255.255",
                    "198.18.0.1",
                    "198.19.255.255",
                    "fc00::",
                    "fd12:3456::1",
                    "fdff:ffff::1",
                    "::ffff:10.1.2.3",
                    "64:ff9b::192.168.0.1",
                ],
            ),
            (
                Reach::Never,
                &[
                    "0.0.0.0",
                    "0.1.2.3",
                    "100.100.100.200",
                    "168.63.129.16",
                    "169.254.169.254",
                    "169.254.0.1",
                    "192.0.0.1",
                    "192.0.0.192",
                    "192.0.2.1",
                    "192.88.99.1",
                    "198.51.100.1",
                    "203.0.113.1",
                    "224.0.0.1",
                    "239.255.255.255",
                    "240.0.0.1",
                    "255.255.255.255",
                    "::",
                    "::7f00:1",
                    "::10.0.0.1",
                    "::8.8.8.8",
                    "::ffff:0:8.8.8.8",
                    "::ffff:169.254.169.254",
                    "::ffff:0.0.0.0",
                    "64:ff9b::169.254.169.254",
                    "64:ff9b:1::1",
                    "100::1",
                    "2001::1",
                    "2001:20::1",
                    "2001:db8::1",
                    "2002:7f00:1::",
                    "2620:4f:8000::1",
                    "3fff::1",
                    "4000::1",
                    "5f00::1",
                    "fd00:ec2::254",
                    "fe80::1",
                    "febf::1",
                    "fec0::1",
                    "ff02::1",
                ],
            ),
        ];
        for (expected, addresses) in vectors {
            for address in addresses {
                assert_eq!(reach(address.parse().unwrap()), expected, "{address}");
            }
        }
    }
}
