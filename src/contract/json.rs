//! Messages of the contract as JSON, made from the embedded descriptor: the JSON that `grpcurl` prints.
//!
//! Invariants: fields with default values are omitted, names are camelCase, enums are names, 64-bit integers are
//! strings. A dynamic message prints secrets with `Debug`, so none leaves this file, and its texts are wiped.
//!
//! Not here: masking. The caller decides which secrets a message still holds.

use std::io;

use prost::{Message, Name};
use prost_reflect::{DescriptorPool, DynamicMessage, Value};
use zeroize::{Zeroize as _, Zeroizing};

use super::DESCRIPTORS;

/// Converts a message to JSON, indented.
///
/// # Errors
///
/// The embedded descriptor does not describe the message: a fault of the build.
pub fn to_json<M: Message + Name>(message: &M) -> io::Result<String> {
    encoded_to_json(&M::full_name(), &Zeroizing::new(message.encode_to_vec()))
}

fn encoded_to_json(name: &str, encoded: &[u8]) -> io::Result<String> {
    let pool = DescriptorPool::decode(DESCRIPTORS).map_err(io::Error::other)?;
    let descriptor = pool
        .get_message_by_name(name)
        .ok_or_else(|| io::Error::other(format!("the contract has no message {name}")))?;
    let mut message = DynamicMessage::decode(descriptor, encoded)?;
    let json = serde_json::to_string_pretty(&message);
    wipe(&mut message);
    Ok(json?)
}

/// Wipes the texts of a message and of the messages in it. No key is in a list or a map.
fn wipe(message: &mut DynamicMessage) {
    for (_, value) in message.fields_mut() {
        match value {
            Value::String(text) => text.zeroize(),
            Value::Message(inner) => wipe(inner),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use prost_types::Timestamp;
    use serde_json::json;

    use super::{super::v1, *};

    #[test]
    fn writes_the_json_mapping_of_protobuf() {
        let response = v1::GetWorkspaceResponse {
            workspace: Some(v1::Workspace {
                workspace_id: "acme".to_owned(),
                revision: 3,
                providers: vec![v1::ProviderEntry {
                    key: Some(v1::Key {
                        badge: v1::Badge::Connected.into(),
                        headers: [("OpenAI-Project".to_owned(), "p".to_owned())].into(),
                        set_at: Some(Timestamp {
                            seconds: 1_700_000_000,
                            nanos: 5_000_000,
                        }),
                        ..Default::default()
                    }),
                    ..Default::default()
                }],
                ..Default::default()
            }),
        };
        let json: serde_json::Value = serde_json::from_str(&to_json(&response).unwrap()).unwrap();
        assert_eq!(
            json,
            json!({"workspace": {
                "workspaceId": "acme",
                "revision": "3",
                "providers": [{"key": {
                    "badge": "BADGE_CONNECTED",
                    "headers": {"OpenAI-Project": "p"},
                    "setAt": "2023-11-14T22:13:20.005Z",
                }}],
            }})
        );
    }

    #[test]
    fn a_message_without_values_is_an_empty_object() {
        assert_eq!(to_json(&v1::VerifyKeyResponse::default()).unwrap(), "{}");
    }
}
