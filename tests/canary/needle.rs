//! A planted secret, and every form in which it could leak.

use std::collections::HashMap;

use uuid::Uuid;

/// Longer secrets are searched in pieces: a leak may be partial.
const PIECE: usize = 12;

/// The forms that are searched for.
pub(super) const ENCODINGS: [&str; 8] = [
    "raw",
    "percent",
    "plus",
    "JSON",
    "base64",
    "base64url",
    "hex",
    "first 8 characters",
];

/// A secret and its pieces in every form.
pub(super) struct Needle {
    pub(super) name: &'static str,
    pub(super) secret: String,
    pieces: Vec<(&'static str, String)>,
}

impl Needle {
    /// A key with every character that an encoding changes and a key may contain; its parts look random.
    pub(super) fn rich() -> Self {
        let random = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        let mut secret = String::from("sk-");
        for (n, digit) in random.chars().enumerate() {
            secret.push(digit);
            if n % 4 == 3 {
                secret.push(char::from(b"+/%=&<>?\\~:@#^|$"[n / 4]));
            }
        }
        Self::of("the rich key", secret + "Zy9x")
    }

    /// A key with only characters that every name may contain.
    pub(super) fn plain() -> Self {
        let (one, two) = (Uuid::new_v4().simple(), Uuid::new_v4().simple());
        Self::of("the plain key", format!("sk-{one}-{two}"))
    }

    /// Another secret that must not leak.
    pub(super) fn of(name: &'static str, secret: String) -> Self {
        // A masked key shows the end.
        let bytes = &secret.as_bytes()[..secret.len() - 4];
        let text = std::str::from_utf8(bytes).unwrap();
        let json = serde_json::to_string(text).unwrap();
        let mut pieces = vec![("first 8 characters", text[..8].to_owned())];
        let mut add = |encoding, whole: &str| {
            let whole = whole.as_bytes();
            for at in (0..=whole.len() - PIECE).step_by(PIECE / 2) {
                pieces.push((
                    encoding,
                    String::from_utf8(whole[at..at + PIECE].to_vec()).unwrap(),
                ));
            }
        };
        add("raw", text);
        add("JSON", json.trim_matches('"'));
        add("percent", &percent(bytes, "%"));
        add("percent", &percent(bytes, "%").to_lowercase());
        add(
            "plus",
            &url::form_urlencoded::byte_serialize(bytes).collect::<String>(),
        );
        add("hex", &hex(bytes));
        add("hex", &hex(bytes).to_uppercase());
        for shift in 0..3 {
            add("base64", &base64(bytes, shift, b"+/"));
            add("base64url", &base64(bytes, shift, b"-_"));
        }
        pieces.sort();
        pieces.dedup();
        Self {
            name,
            secret,
            pieces,
        }
    }

    /// The texts to search for, each with its form.
    pub(super) fn pieces(&self) -> &[(&'static str, String)] {
        &self.pieces
    }
}

fn percent(bytes: &[u8], sign: &str) -> String {
    let encoded = |byte: &u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(*byte).to_string()
        }
        _ => format!("{sign}{byte:02X}"),
    };
    bytes.iter().map(encoded).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// RFC 4648 with these two last characters, of the bytes at offset `shift` within a longer text; without the
/// characters that the surrounding bytes affect.
fn base64(bytes: &[u8], shift: usize, last: &[u8; 2]) -> String {
    let letters: Vec<u8> = (b'A'..=b'Z')
        .chain(b'a'..=b'z')
        .chain(b'0'..=b'9')
        .chain(last.iter().copied())
        .collect();
    let skipped = (3 - shift) % 3;
    let whole = bytes[skipped..].chunks_exact(3);
    let four = |three: &[u8]| {
        let bits = u32::from(three[0]) << 16 | u32::from(three[1]) << 8 | u32::from(three[2]);
        [18, 12, 6, 0].map(|by| char::from(letters[(bits >> by & 63) as usize]))
    };
    whole.flat_map(four).collect()
}

/// Searches for all pieces at once: the log at TRACE is long.
pub(super) struct Search<'n> {
    needles: &'n [Needle],
    /// By their first eight bytes: the secret, and its piece.
    by_start: HashMap<u64, Vec<(usize, usize)>>,
    /// The starts that are worth a comparison.
    likely: Vec<bool>,
}

const START: usize = 8;
const LIKELY: usize = 1 << 20;

impl<'n> Search<'n> {
    pub(super) fn of(needles: &'n [Needle]) -> Self {
        let (mut by_start, mut likely) = (HashMap::<u64, Vec<_>>::new(), vec![false; LIKELY]);
        for (n, needle) in needles.iter().enumerate() {
            for (p, (_, piece)) in needle.pieces.iter().enumerate() {
                let start = u64::from_le_bytes(piece.as_bytes()[..START].try_into().unwrap());
                by_start.entry(start).or_default().push((n, p));
                likely[Self::spot(start)] = true;
            }
        }
        Self {
            needles,
            by_start,
            likely,
        }
    }

    /// The secret that appears first, its form, and the text around it.
    pub(super) fn first_in(&self, haystack: &[u8]) -> Option<(&'static str, &'static str, String)> {
        for (at, window) in haystack.windows(START).enumerate() {
            let start = u64::from_le_bytes(window.try_into().unwrap());
            if !self.likely[Self::spot(start)] {
                continue;
            }
            for (n, p) in self.by_start.get(&start).into_iter().flatten() {
                let needle = &self.needles[*n];
                let (encoding, piece) = &needle.pieces[*p];
                if haystack[at..].starts_with(piece.as_bytes()) {
                    let around = &haystack[at.saturating_sub(200)..(at + 80).min(haystack.len())];
                    return Some((
                        needle.name,
                        encoding,
                        String::from_utf8_lossy(around).into_owned(),
                    ));
                }
            }
        }
        None
    }

    fn spot(start: u64) -> usize {
        usize::try_from(start.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 44).unwrap()
    }
}

#[test]
fn a_needle_is_found_in_every_form() {
    let needle = Needle::rich();
    let secret = &needle.secret;
    let bytes = secret.as_bytes();
    for (encoding, captured) in [
        ("raw", format!("before{}", &secret[8..])),
        ("JSON", format!("{:?}", &secret[30..])),
        ("percent", percent(&bytes[30..], "%")),
        ("hex", hex(&bytes[3..])),
        ("base64", base64(&[b"x", bytes].concat(), 0, b"+/")),
        ("base64", base64(&[b"xy", bytes].concat(), 0, b"+/")),
        ("base64url", base64(&[b"xyz", bytes].concat(), 0, b"-_")),
        ("first 8 characters", secret[..8].to_owned()),
    ] {
        let search = Search::of(std::slice::from_ref(&needle));
        let found = search.first_in(captured.as_bytes());
        assert!(found.is_some(), "{encoding}: {captured}");
    }
    let search = Search::of(std::slice::from_ref(&needle));
    assert!(
        search
            .first_in(format!("…{}", &secret[secret.len() - 4..]).as_bytes())
            .is_none()
    );
    assert!(search.first_in(Needle::rich().secret.as_bytes()).is_none());
}
