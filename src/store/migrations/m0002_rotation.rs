//! Key rotation: when a data key was retired, and the progress of `byokd rewrap`.
//!
//! Invariants: it only expands the schema. A binary of level 1 ignores the new column and table.

use sea_orm_migration::{
    prelude::*,
    schema::{
        big_integer, boolean, integer, string, text, timestamp_with_time_zone_null, uuid, uuid_null,
    },
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
        let retired_at = Table::alter()
            .table("data_keys")
            .add_column(timestamp_with_time_zone_null("retired_at"))
            .to_owned();
        manager.alter_table(retired_at).await?;
        let rewraps = Table::create()
            .table("rewraps")
            .col(integer("id").primary_key())
            .col(string("mode"))
            .col(text("kms_key_arn"))
            .col(uuid("run_id"))
            .col(big_integer("alive_at"))
            .col(integer("bucket"))
            .col(uuid_null("after_key_id"))
            .col(big_integer("moved"))
            .col(big_integer("refused"))
            .col(boolean("finished"))
            .to_owned();
        manager.create_table(rewraps).await?;
        let level = "UPDATE deployment SET schema_level = 2";
        manager.get_connection().execute_unprepared(level).await?;
        Ok(())
    }
}
