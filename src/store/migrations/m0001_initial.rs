//! The first schema. `entities` documents the columns.

use sea_orm_migration::{
    prelude::*,
    schema::{
        big_integer, big_integer_null, big_pk_auto, binary, binary_null, boolean, integer,
        integer_null, json_binary, string, string_null, text, timestamp_with_time_zone,
        timestamp_with_time_zone_null, uuid,
    },
    sea_orm::Statement,
};

/// `one_active_key`: a workspace has one active key for a provider, whatever the code does.
const INDEXES: &str = "
    CREATE INDEX keys_by_holder ON provider_keys (scope, workspace_id, provider);
    CREATE INDEX keys_by_data_key ON provider_keys (bucket, data_key_version);
    CREATE INDEX keys_by_model_list ON provider_keys (model_list_hash);
    CREATE INDEX audit_by_holder ON audit_events (scope, workspace_id, at);
    CREATE INDEX results_by_expiry ON request_results (expires_at);
    CREATE UNIQUE INDEX one_active_key ON provider_keys (scope, workspace_id, provider) WHERE state = 'active';
";

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// On SQLite, too: a start that was killed halfway must not prevent the next one.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    #[expect(
        elided_lifetimes_in_paths,
        reason = "async_trait matches the trait's own spelling only"
    )]
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in tables() {
            manager.create_table(table).await?;
        }
        let connection = manager.get_connection();
        connection.execute_unprepared(INDEXES).await?;
        let row = Query::insert()
            .into_table("deployment")
            .columns(["id", "deployment_id", "schema_level", "oldest_binary_level"])
            .values_panic([1.into(), uuid::Uuid::new_v4().into(), 1.into(), 1.into()])
            .to_owned();
        let statement: Statement = connection.get_database_backend().build(&row);
        connection.execute_raw(statement).await?;
        Ok(())
    }
}

fn table(name: &'static str) -> TableCreateStatement {
    Table::create().table(name).to_owned()
}

fn key(columns: &[&'static str]) -> IndexCreateStatement {
    let mut key = Index::create().primary().to_owned();
    for column in columns {
        key.col(*column);
    }
    key
}

fn data_key_reference(table: &'static str) -> ForeignKeyCreateStatement {
    ForeignKey::create()
        .from(table, ("bucket", "data_key_version"))
        .to("data_keys", ("bucket", "version"))
        .to_owned()
}

fn tables() -> [TableCreateStatement; 8] {
    [
        table("deployment")
            .col(integer("id").primary_key())
            .col(uuid("deployment_id"))
            .col(integer("schema_level"))
            .col(integer("oldest_binary_level"))
            .to_owned(),
        table("data_keys")
            .col(integer("bucket"))
            .col(big_integer("version"))
            .col(binary("wrapped"))
            .col(text("kms_key_arn"))
            .col(string("state"))
            .col(timestamp_with_time_zone("created_at"))
            .primary_key(&mut key(&["bucket", "version"]))
            .to_owned(),
        table("holders")
            .col(string("scope"))
            .col(string("workspace_id"))
            .col(boolean("present"))
            .col(boolean("byo_enabled"))
            .col(big_integer("revision"))
            .col(json_binary("selections"))
            .col(json_binary("generations"))
            .col(timestamp_with_time_zone("updated_at"))
            .primary_key(&mut key(&["scope", "workspace_id"]))
            .to_owned(),
        table("model_lists")
            .col(binary("hash"))
            .col(text("body"))
            .primary_key(&mut key(&["hash"]))
            .to_owned(),
        table("provider_keys")
            .col(uuid("key_id").primary_key())
            .col(string("scope"))
            .col(string("workspace_id"))
            .col(string("provider"))
            .col(big_integer("generation"))
            .col(string("state"))
            .col(binary_null("sealed"))
            .col(integer_null("bucket"))
            .col(big_integer_null("data_key_version"))
            .col(text("base_url"))
            .col(json_binary("headers"))
            .col(string("masked"))
            .col(string_null("verdict"))
            .col(timestamp_with_time_zone_null("checked_at"))
            .col(timestamp_with_time_zone_null("verified_at"))
            .col(integer("refused_count"))
            .col(timestamp_with_time_zone_null("refused_since"))
            .col(binary_null("model_list_hash"))
            .col(timestamp_with_time_zone_null("models_as_of"))
            .col(text("set_by"))
            .col(text("on_behalf_of"))
            .col(timestamp_with_time_zone("set_at"))
            .col(timestamp_with_time_zone_null("ended_at"))
            .foreign_key(&mut data_key_reference("provider_keys"))
            .foreign_key(
                ForeignKey::create()
                    .from("provider_keys", "model_list_hash")
                    .to("model_lists", "hash"),
            )
            .foreign_key(
                ForeignKey::create()
                    .from("provider_keys", ("scope", "workspace_id"))
                    .to("holders", ("scope", "workspace_id")),
            )
            .to_owned(),
        table("change_log")
            .col(big_pk_auto("sequence"))
            .col(uuid("change_id"))
            .col(string("scope"))
            .col(string("workspace_id"))
            .col(big_integer("revision"))
            .col(timestamp_with_time_zone("at"))
            .to_owned(),
        table("audit_events")
            .col(uuid("event_id").primary_key())
            .col(string("scope"))
            .col(string("workspace_id"))
            .col(timestamp_with_time_zone("at"))
            .col(text("actor"))
            .col(text("on_behalf_of"))
            .col(string("action"))
            .col(string_null("provider"))
            .col(json_binary("before"))
            .col(json_binary("after"))
            .col(string_null("verdict"))
            .col(string_null("request_id"))
            .col(big_integer("revision"))
            .to_owned(),
        table("request_results")
            .col(string("scope"))
            .col(string("workspace_id"))
            .col(string("rpc"))
            .col(string("request_id"))
            .col(integer("bucket"))
            .col(big_integer("data_key_version"))
            .col(binary("fingerprint"))
            .col(json_binary("result"))
            .col(timestamp_with_time_zone("expires_at"))
            .primary_key(&mut key(&["scope", "workspace_id", "rpc", "request_id"]))
            .foreign_key(&mut data_key_reference("request_results"))
            .to_owned(),
    ]
}
