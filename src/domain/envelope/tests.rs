//! The sealed record: round trip, and every way to damage or move one.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde::Deserialize;

use super::*;
use crate::domain::names::WorkspaceId;

const DEPLOYMENT: Uuid = Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0001);
const KEY_ID: Uuid = Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_00aa);
const SECRET: &str = "sk-proj-SYNTHETIC-0123456789abcdef";

/// A place for a record, owned, so that tests can change one part of it.
#[derive(Clone)]
struct Place {
    deployment: Uuid,
    scope: Scope,
    provider: ProviderName,
    key_id: Uuid,
    generation: u64,
    binding: Binding,
}

impl Place {
    fn acme() -> Self {
        Self {
            deployment: DEPLOYMENT,
            scope: Scope::Workspace(WorkspaceId::parse("acme").unwrap()),
            provider: ProviderName::parse("openai").unwrap(),
            key_id: KEY_ID,
            generation: 3,
            binding: Binding {
                base_url: "https://api.openai.com/v1".into(),
                headers: BTreeMap::from([("OpenAI-Project".into(), "proj_1".into())]),
            },
        }
    }

    fn context(&self) -> RecordContext<'_> {
        RecordContext {
            deployment: self.deployment,
            scope: &self.scope,
            provider: &self.provider,
            key_id: self.key_id,
            generation: self.generation,
            binding: &self.binding,
        }
    }
}

fn data_key(byte: u8, bucket: u16, version: u32) -> DataKey {
    DataKey::new(DataKeyId { bucket, version }, &[byte; 32]).unwrap()
}

fn sealed_for_acme() -> Vec<u8> {
    let key = ApiKey::parse(SECRET.to_owned()).unwrap();
    seal(&data_key(7, 42, 1), &Place::acme().context(), &key).unwrap()
}

/// The data key of `sealed_for_acme`: one that has seen no record yet, and one that remembers this one.
fn data_keys(sealed: &[u8]) -> [DataKey; 2] {
    let [new, used] = [data_key(7, 42, 1), data_key(7, 42, 1)];
    for _ in 0..2 {
        assert_eq!(
            open(&used, &Place::acme().context(), sealed)
                .unwrap()
                .expose(),
            SECRET
        );
    }
    [new, used]
}

#[test]
fn opens_where_it_was_sealed_and_is_different_each_time() {
    let (first, second) = (sealed_for_acme(), sealed_for_acme());
    assert_ne!(first, second);
    let opened = open(&data_key(7, 42, 1), &Place::acme().context(), &first).unwrap();
    assert_eq!(opened.expose(), SECRET);
    assert_eq!(
        data_key_of(&first).unwrap(),
        DataKeyId {
            bucket: 42,
            version: 1
        }
    );
    assert!(
        !first
            .windows(8)
            .any(|window| SECRET.as_bytes().windows(8).any(|part| part == window))
    );
}

#[test]
fn every_single_bit_flip_is_refused() {
    let sealed = sealed_for_acme();
    for key in data_keys(&sealed) {
        for bit in 0..sealed.len() * 8 {
            let mut flipped = sealed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(
                open(&key, &Place::acme().context(), &flipped).is_err(),
                "bit {bit}"
            );
        }
    }
}

#[test]
fn every_truncation_and_extension_is_refused() {
    let sealed = sealed_for_acme();
    for length in 0..sealed.len() {
        assert!(
            open(
                &data_key(7, 42, 1),
                &Place::acme().context(),
                &sealed[..length]
            )
            .is_err(),
            "{length} bytes"
        );
    }
    let longer = [sealed.as_slice(), &[0]].concat();
    assert!(open(&data_key(7, 42, 1), &Place::acme().context(), &longer).is_err());
}

#[test]
fn every_move_to_another_place_is_refused() {
    let sealed = sealed_for_acme();
    let workspace = |id| Scope::Workspace(WorkspaceId::parse(id).unwrap());
    let with_headers = |headers: &[(&str, &str)]| Binding {
        headers: headers
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect(),
        ..Place::acme().binding
    };
    let host = |base_url: &str| Binding {
        base_url: base_url.into(),
        ..Place::acme().binding
    };
    let places = [
        (
            "deployment",
            Place {
                deployment: Uuid::from_u128(9),
                ..Place::acme()
            },
        ),
        (
            "workspace",
            Place {
                scope: workspace("other"),
                ..Place::acme()
            },
        ),
        (
            "scope",
            Place {
                scope: Scope::Platform,
                ..Place::acme()
            },
        ),
        (
            "provider",
            Place {
                provider: ProviderName::parse("anthropic").unwrap(),
                ..Place::acme()
            },
        ),
        (
            "row",
            Place {
                key_id: Uuid::from_u128(9),
                ..Place::acme()
            },
        ),
        (
            "generation",
            Place {
                generation: 4,
                ..Place::acme()
            },
        ),
        (
            "host",
            Place {
                binding: host("https://evil.example/v1"),
                ..Place::acme()
            },
        ),
        (
            "header value",
            Place {
                binding: with_headers(&[("OpenAI-Project", "proj_2")]),
                ..Place::acme()
            },
        ),
        (
            "header name",
            Place {
                binding: with_headers(&[("OpenAI-Organization", "proj_1")]),
                ..Place::acme()
            },
        ),
        (
            "header gone",
            Place {
                binding: with_headers(&[]),
                ..Place::acme()
            },
        ),
        (
            "header more",
            Place {
                binding: with_headers(&[("A", "b"), ("OpenAI-Project", "proj_1")]),
                ..Place::acme()
            },
        ),
    ];
    for key in data_keys(&sealed) {
        for (what, place) in &places {
            let result = open(&key, &place.context(), &sealed);
            assert!(result.is_err(), "another {what} was accepted");
        }
    }
}

#[test]
fn another_data_key_is_refused_whatever_its_name() {
    let sealed = sealed_for_acme();
    let place = Place::acme();
    let fault = |key| open(&key, &place.context(), &sealed).unwrap_err();
    assert_eq!(fault(data_key(8, 42, 1)), EnvelopeFault::Commitment);
    assert_eq!(fault(data_key(7, 43, 1)), EnvelopeFault::OtherDataKey);
    assert_eq!(fault(data_key(7, 42, 2)), EnvelopeFault::OtherDataKey);
}

#[test]
fn an_unknown_format_is_refused() {
    let mut sealed = sealed_for_acme();
    sealed[0] = 2;
    assert_eq!(data_key_of(&sealed), Err(EnvelopeFault::UnknownFormat));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), format in any::<bool>()) {
        let mut bytes = bytes;
        if format && !bytes.is_empty() {
            bytes[0] = FORMAT;
        }
        prop_assert!(open(&data_key(7, 42, 1), &Place::acme().context(), &bytes).is_err());
    }

    #[test]
    fn every_key_comes_back(text in "[!-~]{1,512}") {
        prop_assume!(!text.to_ascii_lowercase().starts_with("bearer"));
        if let Ok(key) = ApiKey::parse(text.clone()) {
            let place = Place::acme();
            let sealed = seal(&data_key(1, 0, 1), &place.context(), &key).unwrap();
            let opened = open(&data_key(1, 0, 1), &place.context(), &sealed).unwrap();
            prop_assert_eq!(opened.expose(), text);
        }
    }
}

#[derive(Deserialize)]
struct Vector {
    data_key: String,
    deployment: Uuid,
    scope: String,
    workspace_id: String,
    provider: String,
    key_id: Uuid,
    generation: u64,
    base_url: String,
    headers: BTreeMap<String, String>,
    sealed: String,
    plaintext: String,
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

/// The same vectors are opened by an independent implementation, `tests/vectors/open_vectors.py`.
#[test]
fn golden_vectors_open() {
    let vectors: Vec<Vector> =
        serde_json::from_str(include_str!("../../../tests/vectors/envelope_v1.json")).unwrap();
    assert!(vectors.len() >= 3);
    for vector in vectors {
        let sealed = unhex(&vector.sealed);
        let data_key =
            DataKey::new(data_key_of(&sealed).unwrap(), &unhex(&vector.data_key)).unwrap();
        let scope = match vector.scope.as_str() {
            "platform" => Scope::Platform,
            _ => Scope::Workspace(WorkspaceId::parse(&vector.workspace_id).unwrap()),
        };
        let place = Place {
            deployment: vector.deployment,
            scope,
            provider: ProviderName::parse(&vector.provider).unwrap(),
            key_id: vector.key_id,
            generation: vector.generation,
            binding: Binding {
                base_url: vector.base_url,
                headers: vector.headers,
            },
        };
        let opened = open(&data_key, &place.context(), &sealed).unwrap();
        assert_eq!(opened.expose(), vector.plaintext);
    }
}
