//! A recorded call to the KMS, and the requirements for every call of byokd.

use std::{
    collections::{BTreeMap, HashMap},
    time::Instant,
};

use serde_json::Value;

/// The required entries of an encryption context, which bind a wrapped data key to its place.
const CONTEXT: [&str; 4] = ["service", "deployment", "bucket", "version"];

#[derive(Clone, Debug)]
pub(crate) struct KmsCall {
    /// `Decrypt`, without the service's name.
    pub(crate) operation: String,
    pub(crate) key_id: Option<String>,
    /// Of `ReEncrypt`.
    pub(crate) source_key_id: Option<String>,
    /// Of `ReEncrypt`.
    pub(crate) destination_key_id: Option<String>,
    /// `EncryptionContext`; of `ReEncrypt` the destination's.
    pub(crate) context: BTreeMap<String, String>,
    /// Of `ReEncrypt`.
    pub(crate) source_context: BTreeMap<String, String>,
    pub(crate) at: Instant,
}

impl KmsCall {
    pub(super) fn new(operation: &str, body: &Value) -> Self {
        let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
        let context = |name: &str| {
            body.get(name)
                .and_then(|value| serde_json::from_value(value.clone()).ok())
                .unwrap_or_default()
        };
        let re_encrypt = operation == "ReEncrypt";
        Self {
            operation: operation.to_owned(),
            key_id: text("KeyId"),
            source_key_id: text("SourceKeyId"),
            destination_key_id: text("DestinationKeyId"),
            context: context(if re_encrypt {
                "DestinationEncryptionContext"
            } else {
                "EncryptionContext"
            }),
            source_context: context("SourceEncryptionContext"),
            at: Instant::now(),
        }
    }

    /// The KMS keys in the call, as byokd named them.
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        [&self.key_id, &self.source_key_id, &self.destination_key_id]
            .into_iter()
            .flatten()
            .map(String::as_str)
    }

    /// Calls that byokd must never make: with an unknown key (an id that is neither an ARN nor an alias,
    /// too), or with a context that binds to less than one data key of one deployment.
    pub(super) fn violations(&self, known: &HashMap<String, String>) -> Vec<String> {
        let (keys, contexts) = match self.operation.as_str() {
            "Decrypt" | "Encrypt" | "GenerateDataKey" | "GenerateDataKeyWithoutPlaintext" => {
                (vec![("KeyId", &self.key_id)], vec![&self.context])
            }
            "ReEncrypt" => (
                vec![
                    ("SourceKeyId", &self.source_key_id),
                    ("DestinationKeyId", &self.destination_key_id),
                ],
                vec![&self.source_context, &self.context],
            ),
            _ => return Vec::new(),
        };
        let mut found = Vec::new();
        for (name, key) in keys {
            if !key.as_ref().is_some_and(|key| known.contains_key(key)) {
                found.push(format!("{}: {name} is {key:?}", self.operation));
            }
        }
        for context in contexts {
            let missing = |name: &&str| context.get(*name).is_none_or(String::is_empty);
            if CONTEXT.iter().any(missing) {
                found.push(format!(
                    "{}: the encryption context is {context:?}",
                    self.operation
                ));
            }
        }
        found
    }
}
