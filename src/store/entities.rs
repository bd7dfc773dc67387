//! The tables, as the newest schema has them.
//!
//! Invariants:
//! - Times are UTC.
//! - A table about workspaces and the platform has `scope` (`workspace` or `platform`) and `workspace_id` (empty for the
//!   platform). A table about workspaces alone has `workspace_id`.
//! - No column holds a secret in the clear.
//!
//! Not here: conversion to the domain's types (`values`, `statements`).

#![expect(
    unreachable_pub,
    reason = "the derives of sea-orm name these from outside"
)]

/// One entity of sea-orm, without relations.
macro_rules! table {
    ($(#[$doc:meta])* $table:ident = $name:literal { $($columns:tt)* }) => {
        $(#[$doc])*
        pub(super) mod $table {
            use sea_orm::entity::prelude::*;

            #[derive(Clone, Debug, DeriveEntityModel)]
            #[sea_orm(table_name = $name)]
            pub struct Model {
                $($columns)*
            }

            #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
            pub enum Relation {}

            impl ActiveModelBehavior for ActiveModel {}
        }
    };
}

table! {
    /// One row: the deployment and its schema level.
    deployment = "deployment" {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i32,
        pub deployment_id: Uuid,
        /// The level of the newest migration.
        pub schema_level: i32,
        /// The lowest level that a binary must know.
        pub oldest_binary_level: i32,
    }
}

table! {
    /// Data keys, wrapped by the KMS.
    data_keys = "data_keys" {
        #[sea_orm(primary_key, auto_increment = false)]
        pub bucket: i32,
        #[sea_orm(primary_key, auto_increment = false)]
        pub version: i64,
        pub wrapped: Vec<u8>,
        /// As the KMS returned it.
        pub kms_key_arn: String,
        /// `active`: seals new records; `retired`: only opens old ones.
        pub state: String,
        pub created_at: TimeDateTimeWithTimeZone,
        pub retired_at: Option<TimeDateTimeWithTimeZone>,
    }
}

table! {
    /// Workspaces and, as one row, the platform.
    holders = "holders" {
        #[sea_orm(primary_key, auto_increment = false)]
        pub scope: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub workspace_id: String,
        /// False: a tombstone, or a row that only a lock inserted.
        pub present: bool,
        pub byo_enabled: bool,
        pub revision: i64,
        /// Provider → {model, revision}.
        pub selections: Json,
        /// Provider → count.
        pub generations: Json,
        pub updated_at: TimeDateTimeWithTimeZone,
    }
}

table! {
    /// Active keys with their sealed records, and the masked history of the others.
    provider_keys = "provider_keys" {
        #[sea_orm(primary_key, auto_increment = false)]
        pub key_id: Uuid,
        pub scope: String,
        pub workspace_id: String,
        pub provider: String,
        pub generation: i64,
        /// `active`, `superseded` or `deleted`.
        pub state: String,
        /// Empty unless active.
        pub sealed: Option<Vec<u8>>,
        pub bucket: Option<i32>,
        pub data_key_version: Option<i64>,
        pub base_url: String,
        /// Name → value.
        pub headers: Json,
        pub masked: String,
        pub verdict: Option<String>,
        pub checked_at: Option<TimeDateTimeWithTimeZone>,
        pub verified_at: Option<TimeDateTimeWithTimeZone>,
        pub refused_count: i32,
        pub refused_since: Option<TimeDateTimeWithTimeZone>,
        pub model_list_hash: Option<Vec<u8>>,
        pub models_as_of: Option<TimeDateTimeWithTimeZone>,
        pub set_by: String,
        pub on_behalf_of: String,
        pub set_at: TimeDateTimeWithTimeZone,
        /// When the key was superseded or deleted.
        pub ended_at: Option<TimeDateTimeWithTimeZone>,
    }
}

table! {
    /// Each distinct list of model ids.
    model_lists = "model_lists" {
        #[sea_orm(primary_key, auto_increment = false)]
        pub hash: Vec<u8>,
        /// One id a line.
        pub body: String,
    }
}

table! {
    /// The changes, in commit order.
    change_log = "change_log" {
        #[sea_orm(primary_key)]
        pub sequence: i64,
        /// Random: distinguishes two histories with the same sequence.
        pub change_id: Uuid,
        pub scope: String,
        pub workspace_id: String,
        pub revision: i64,
        pub at: TimeDateTimeWithTimeZone,
    }
}

table! {
    /// The audit events of changes.
    audit_events = "audit_events" {
        #[sea_orm(primary_key, auto_increment = false)]
        pub event_id: Uuid,
        pub scope: String,
        pub workspace_id: String,
        pub at: TimeDateTimeWithTimeZone,
        pub actor: String,
        pub on_behalf_of: String,
        pub action: String,
        pub provider: Option<String>,
        pub before: Json,
        pub after: Json,
        pub verdict: Option<String>,
        pub request_id: Option<String>,
        pub revision: i64,
    }
}

table! {
    /// The first result of each change that named a request id.
    request_results = "request_results" {
        #[sea_orm(primary_key, auto_increment = false)]
        pub scope: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub workspace_id: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub rpc: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub request_id: String,
        /// The data key that the fingerprint's key is derived from.
        pub bucket: i32,
        pub data_key_version: i64,
        /// HMAC of the payload.
        pub fingerprint: Vec<u8>,
        pub result: Json,
        pub expires_at: TimeDateTimeWithTimeZone,
    }
}

table! {
    /// One row: the owner and the progress of `byokd rewrap`.
    rewraps = "rewraps" {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i32,
        /// `kms_key` or `data_keys`.
        pub mode: String,
        /// The KMS key that everything is moved to.
        pub kms_key_arn: String,
        /// The run that owns the row.
        pub run_id: Uuid,
        /// The last heartbeat: seconds since 1970 by the database's clock.
        pub alive_at: i64,
        /// The bucket in progress.
        pub bucket: i32,
        /// The last key that was processed in that bucket.
        pub after_key_id: Option<Uuid>,
        /// The number of data keys or records that were moved.
        pub moved: i64,
        /// The number of data keys or records that could not be moved.
        pub refused: i64,
        pub finished: bool,
    }
}

table! {
    /// The checkpoints of the audit log's chains.
    audit_chains = "audit_chains" {
        #[sea_orm(primary_key, auto_increment = false)]
        pub chain_id: Uuid,
        pub opened_at: TimeDateTimeWithTimeZone,
        /// The number of lines; 0: no checkpoint yet.
        pub count: i64,
        /// The MAC of the last line.
        pub head: Vec<u8>,
        pub at: TimeDateTimeWithTimeZone,
        pub closed: bool,
        /// The number of the last batch of `key_usage` that the chain's process added.
        pub counted: i64,
    }
}

table! {
    /// How often each caller was handed a workspace's key, by the hour.
    key_usage = "key_usage" {
        #[sea_orm(primary_key, auto_increment = false)]
        pub workspace_id: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub hour: TimeDateTimeWithTimeZone,
        #[sea_orm(primary_key, auto_increment = false)]
        pub provider: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub generation: i64,
        /// The subject of the caller.
        #[sea_orm(primary_key, auto_increment = false)]
        pub caller: String,
        pub handed_out: i64,
    }
}
