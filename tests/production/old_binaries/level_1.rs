//! The entities of the first migration, as the first byokd had them: frozen. A binary of schema level 1 reads
//! and writes like this, and must still work after later migrations.

#![allow(
    unreachable_pub,
    reason = "the derives of sea-orm name these from outside"
)]

/// One row about the whole database.
pub(super) mod deployment {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "deployment")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i32,
        pub deployment_id: Uuid,
        /// The newest migration's level.
        pub schema_level: i32,
        /// The lowest level that a binary must know.
        pub oldest_binary_level: i32,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Data keys, wrapped by the KMS.
pub(super) mod data_keys {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "data_keys")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub bucket: i32,
        #[sea_orm(primary_key, auto_increment = false)]
        pub version: i64,
        pub wrapped: Vec<u8>,
        /// As the KMS returned it.
        pub kms_key_arn: String,
        /// `active`: seals new records.
        pub state: String,
        pub created_at: TimeDateTimeWithTimeZone,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Workspaces and, as one row, the platform.
pub(super) mod holders {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "holders")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub scope: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub workspace_id: String,
        /// False: a tombstone, or touched but never set up.
        pub present: bool,
        pub byo_enabled: bool,
        pub revision: i64,
        /// Provider → {model, revision}.
        pub selections: Json,
        /// Provider → count.
        pub generations: Json,
        pub updated_at: TimeDateTimeWithTimeZone,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Keys: the active ones with their sealed record, the others as masked history.
pub(super) mod provider_keys {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "provider_keys")]
    pub struct Model {
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
        /// When it stopped being active.
        pub ended_at: Option<TimeDateTimeWithTimeZone>,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Each distinct list of model ids once.
pub(super) mod model_lists {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "model_lists")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub hash: Vec<u8>,
        /// One id a line.
        pub body: String,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// What changed, in commit order.
pub(super) mod change_log {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "change_log")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub sequence: i64,
        /// Random: separates two histories with the same sequence.
        pub change_id: Uuid,
        pub scope: String,
        pub workspace_id: String,
        pub revision: i64,
        pub at: TimeDateTimeWithTimeZone,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Who changed what.
pub(super) mod audit_events {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "audit_events")]
    pub struct Model {
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

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// The first result of each change that named a request id.
pub(super) mod request_results {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "request_results")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub scope: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub workspace_id: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub rpc: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub request_id: String,
        /// The data key whose derived key made the fingerprint.
        pub bucket: i32,
        pub data_key_version: i64,
        /// HMAC of the payload.
        pub fingerprint: Vec<u8>,
        pub result: Json,
        pub expires_at: TimeDateTimeWithTimeZone,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}
