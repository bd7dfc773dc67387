//! A sealed record as the database could hold it: only a record that was sealed for this very place opens.

use std::{collections::BTreeMap, sync::LazyLock};

use byokd::domain::{
    envelope::{DataKey, DataKeyId, RecordContext, data_key_of, open, seal},
    names::{ProviderName, Scope, WorkspaceId},
    secret::ApiKey,
    workspace::Binding,
};
use uuid::Uuid;

const SECRET: &str = "sk-proj-SYNTHETIC-0123456789abcdef";
const HEADER_AND_TAG: usize = 71 + 16;

struct Place {
    scope: Scope,
    provider: ProviderName,
    binding: Binding,
}

impl Place {
    fn context(&self) -> RecordContext<'_> {
        RecordContext {
            deployment: Uuid::from_u128(7),
            scope: &self.scope,
            provider: &self.provider,
            key_id: Uuid::from_u128(9),
            generation: 3,
            binding: &self.binding,
        }
    }
}

static PLACE: LazyLock<Place> = LazyLock::new(|| Place {
    scope: Scope::Workspace(WorkspaceId::parse("acme").unwrap()),
    provider: ProviderName::parse("openai").unwrap(),
    binding: Binding {
        base_url: "https://api.example/v1".to_owned(),
        headers: BTreeMap::new(),
    },
});
static DATA_KEY: LazyLock<DataKey> = LazyLock::new(|| {
    DataKey::new(
        DataKeyId {
            bucket: 7,
            version: 2,
        },
        &[0x42; 32],
    )
    .unwrap()
});
static SEALED: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let key = ApiKey::parse(SECRET.to_owned()).unwrap();
    seal(&DATA_KEY, &PLACE.context(), &key).unwrap()
});

/// Judges one input.
pub fn run(data: &[u8]) {
    header(data);
    let opened = open(&DATA_KEY, &PLACE.context(), data);
    assert!(
        opened.is_err(),
        "a record opens that this data key did not seal"
    );
    changed(data);
    round_trip(data);
}

/// The header matches its bytes, and only a record of the known format and a sufficient length has one.
fn header(data: &[u8]) {
    match data_key_of(data) {
        Ok(id) => {
            assert!(data.len() >= HEADER_AND_TAG && data[0] == 1);
            assert_eq!(id.bucket.to_be_bytes(), data[1..3]);
            assert_eq!(id.version.to_be_bytes(), data[3..7]);
        }
        Err(_) => assert!(data.len() < HEADER_AND_TAG || data[0] != 1),
    }
}

/// A real record, of which the input changes bytes (offset, difference), its length, or its place.
fn changed(data: &[u8]) {
    let [length, rest @ ..] = data else { return };
    let mut record = SEALED.clone();
    for change in rest.chunks_exact(2) {
        let at = usize::from(change[0]) % record.len();
        record[at] ^= change[1];
    }
    match length % 4 {
        1 => record.truncate(usize::from(*length) % (SEALED.len() + 1)),
        2 => record.push(*length),
        _ => {}
    }
    match open(&DATA_KEY, &PLACE.context(), &record) {
        Ok(key) => assert!(record == *SEALED && key.expose() == SECRET),
        Err(_) => assert_ne!(record, *SEALED),
    }
    let elsewhere = Binding {
        base_url: String::from_utf8_lossy(rest).into_owned(),
        headers: PLACE.binding.headers.clone(),
    };
    if elsewhere.base_url != PLACE.binding.base_url {
        let context = RecordContext {
            binding: &elsewhere,
            ..PLACE.context()
        };
        assert!(
            open(&DATA_KEY, &context, &SEALED).is_err(),
            "a record opens for another host"
        );
    }
}

/// A key is opened as it was sealed.
fn round_trip(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(key) = ApiKey::parse(text.to_owned()) else {
        return;
    };
    assert_eq!(key.expose(), text.trim());
    let sealed = seal(&DATA_KEY, &PLACE.context(), &key).unwrap();
    assert_eq!(sealed.len(), HEADER_AND_TAG + key.expose().len());
    assert_eq!(
        open(&DATA_KEY, &PLACE.context(), &sealed).unwrap().expose(),
        key.expose()
    );
}
