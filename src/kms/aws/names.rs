//! Which KMS keys the configuration's names stand for, as the KMS says.
//!
//! Invariants: a key that was allowed stays so as long as this process lives; a name that was not looked up yet makes
//! every stranger a perhaps, never a no.
//!
//! Not here: the looking up.

use std::{
    collections::BTreeSet,
    sync::{PoisonError, RwLock},
};

use crate::{domain::kms_key::KmsKeyName, kms::Allowed};

#[derive(Debug)]
pub(super) struct Names {
    key: KmsKeyName,
    previous: Vec<KmsKeyName>,
    seen: RwLock<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    current: Option<String>,
    current_is_good: bool,
    allowed: BTreeSet<String>,
    not_yet_known: BTreeSet<String>,
}

impl Names {
    pub(super) fn new(key: KmsKeyName, previous: Vec<KmsKeyName>) -> Self {
        let mut seen = Seen {
            current: key.key_arn().map(str::to_owned),
            ..Seen::default()
        };
        for name in std::iter::once(&key).chain(&previous) {
            match name.key_arn() {
                Some(arn) => seen.allowed.insert(arn.to_owned()),
                None => seen.not_yet_known.insert(name.as_str().to_owned()),
            };
        }
        Self {
            key,
            previous,
            seen: RwLock::new(seen),
        }
    }

    pub(super) fn key(&self) -> &KmsKeyName {
        &self.key
    }

    pub(super) fn current(&self) -> Option<String> {
        self.read().current.clone()
    }

    /// Whether the KMS has said of the current key that it can be used.
    pub(super) fn current_is_good(&self) -> bool {
        self.read().current_is_good
    }

    pub(super) fn judge_current(&self, good: bool) {
        self.write().current_is_good = good;
    }

    /// Previous keys whose names are still to be looked up.
    pub(super) fn not_yet_known(&self) -> Vec<KmsKeyName> {
        let seen = self.read();
        self.previous
            .iter()
            .filter(|name| seen.not_yet_known.contains(name.as_str()))
            .cloned()
            .collect()
    }

    /// The KMS said which key a name stands for.
    pub(super) fn found(&self, name: &KmsKeyName, arn: &str, current: bool) {
        let mut seen = self.write();
        seen.not_yet_known.remove(name.as_str());
        seen.allowed.insert(arn.to_owned());
        if current
            && let Some(before) = seen.current.replace(arn.to_owned())
            && before != arn
        {
            tracing::info!(
                before,
                now = arn,
                "kms.key names another KMS key; it wraps from now on"
            );
        }
    }

    pub(super) fn allows(&self, arn: &str) -> Allowed {
        let seen = self.read();
        if seen.allowed.contains(arn) {
            Allowed::Yes
        } else if seen.not_yet_known.is_empty() || !arn.starts_with("arn:") {
            Allowed::No
        } else {
            Allowed::NotYetKnown
        }
    }

    // No code panics while it holds the lock, so a poisoned one still holds good names.
    fn read(&self) -> std::sync::RwLockReadGuard<'_, Seen> {
        self.seen.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Seen> {
        self.seen.write().unwrap_or_else(PoisonError::into_inner)
    }
}
