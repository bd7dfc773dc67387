//! What auditors ask for: how far the chains of the audit stream have come, how often keys were handed out, and the
//! changes of a workspace in their order.
//!
//! Expands only: an older binary neither reads nor writes what is new here.

use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, binary, boolean, string, text, timestamp_with_time_zone, uuid},
};

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
        for (name, table, columns) in [
            (
                "audit_by_revision",
                "audit_events",
                &["scope", "workspace_id", "revision"][..],
            ),
            ("audit_by_time", "audit_events", &["at"]),
            ("usage_by_hour", "key_usage", &["hour"]),
        ] {
            let mut index = Index::create().name(name).table(table).to_owned();
            for column in columns {
                index.col(*column);
            }
            manager.create_index(index).await?;
        }
        let level = Query::update()
            .table("deployment")
            .value("schema_level", 3)
            .to_owned();
        manager.execute(level).await
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
