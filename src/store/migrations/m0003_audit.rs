//! Audit: the checkpoints of the audit log's chains, key usage by the hour, and the audit events by revision.
//!
//! Invariants: it only expands the schema. An older binary ignores the new tables.

use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, binary, boolean, string, text, timestamp_with_time_zone, uuid},
};

const INDEXES_AND_LEVEL: &str = "
    CREATE INDEX audit_by_revision ON audit_events (scope, workspace_id, revision);
    CREATE INDEX audit_by_time ON audit_events (at);
    CREATE INDEX usage_by_hour ON key_usage (hour);
    UPDATE deployment SET schema_level = 3;
";

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    #[expect(
        elided_lifetimes_in_paths,
        reason = "async_trait matches the trait's own spelling only"
    )]
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(audit_chains()).await?;
        manager.create_table(key_usage()).await?;
        let connection = manager.get_connection();
        connection.execute_unprepared(INDEXES_AND_LEVEL).await?;
        Ok(())
    }
}

fn audit_chains() -> TableCreateStatement {
    Table::create()
        .table("audit_chains")
        .col(uuid("chain_id").primary_key())
        .col(timestamp_with_time_zone("opened_at"))
        .col(big_integer("count"))
        .col(binary("head"))
        .col(timestamp_with_time_zone("at"))
        .col(boolean("closed"))
        .col(big_integer("counted"))
        .to_owned()
}

fn key_usage() -> TableCreateStatement {
    let mut key = Index::create().primary().to_owned();
    for column in ["workspace_id", "hour", "provider", "generation", "caller"] {
        key.col(column);
    }
    Table::create()
        .table("key_usage")
        .col(string("workspace_id"))
        .col(timestamp_with_time_zone("hour"))
        .col(string("provider"))
        .col(big_integer("generation"))
        .col(text("caller"))
        .col(big_integer("handed_out"))
        .primary_key(&mut key)
        .to_owned()
}
