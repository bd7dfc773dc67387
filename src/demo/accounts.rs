//! The accounts behind the demo's keys, and which of the keys are revoked just now.
//!
//! Not here: HTTP (`vendor`).

use std::{
    collections::HashMap,
    sync::atomic::{AtomicBool, Ordering},
};

use super::keys::{DemoKey, KeyTable, VendorRefusal, VendorRefusals};
use crate::domain::protocol::Protocol;

/// The accounts of both vendors.
pub(super) struct Accounts {
    by_key: HashMap<String, Account>,
    unknown_key: VendorRefusals,
    pub(super) unknown_model: VendorRefusals,
}

struct Account {
    key: DemoKey,
    revoked: AtomicBool,
}

impl Accounts {
    pub(super) fn new(table: KeyTable) -> Self {
        let account = |key: DemoKey| {
            let revoked = AtomicBool::new(key.revoked);
            (key.name.clone(), Account { key, revoked })
        };
        Self {
            by_key: table.key.into_iter().map(account).collect(),
            unknown_key: table.unknown_key,
            unknown_model: table.unknown_model,
        }
    }

    /// The account of a key that this vendor knows and that is not revoked.
    pub(super) fn find(&self, protocol: Protocol, key: &str) -> Result<&DemoKey, &VendorRefusal> {
        self.by_key
            .get(key)
            .filter(|account| account.key.is_known_to(protocol))
            .filter(|account| !account.revoked.load(Ordering::Relaxed))
            .map(|account| &account.key)
            .ok_or_else(|| self.unknown_key.of(protocol))
    }

    /// Revokes or restores a key at both vendors; false: there is no such key.
    pub(super) fn set_revoked(&self, key: &str, revoked: bool) -> bool {
        let account = self.by_key.get(key);
        if let Some(account) = account {
            account.revoked.store(revoked, Ordering::Relaxed);
        }
        account.is_some()
    }
}
