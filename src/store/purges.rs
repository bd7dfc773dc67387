//! `Store`'s purges: rows that are no longer needed.

use time::OffsetDateTime;

use super::{
    open::Store,
    statements::{
        audit_chains,
        audit_events::{self, PURGE_BATCH},
        change_log, data_keys, key_usage, model_lists, request_results,
    },
};
use crate::domain::error::Error;

impl Store {
    /// Deletes expired results of request ids.
    pub async fn purge_results(&self, now: OffsetDateTime) -> Result<u64, Error> {
        self.database
            .writer
            .purge(request_results::purge(now))
            .await
    }

    /// Deletes changes from before `before` from the change log, except the newest of them.
    pub async fn purge_log(&self, before: OffsetDateTime) -> Result<u64, Error> {
        self.database.writer.purge(change_log::purge(before)).await
    }

    /// Deletes the model lists that no key refers to.
    pub async fn purge_lists(&self) -> Result<u64, Error> {
        self.database.writer.purge(model_lists::purge()).await
    }

    /// Deletes the data keys that were retired before `before` and that no row refers to.
    pub async fn purge_data_keys(&self, before: OffsetDateTime) -> Result<u64, Error> {
        self.database.writer.purge(data_keys::purge(before)).await
    }

    /// Deletes the audit events before `before`, a batch at a time.
    pub async fn purge_audit_events(&self, before: OffsetDateTime) -> Result<(), Error> {
        let writer = &self.database.writer;
        while writer.purge(audit_events::purge(before)).await? >= PURGE_BATCH {}
        Ok(())
    }

    /// Deletes the chains whose last checkpoint is from before `before`.
    pub async fn purge_audit_chains(&self, before: OffsetDateTime) -> Result<(), Error> {
        let writer = &self.database.writer;
        writer.purge(audit_chains::purge(before)).await.map(drop)
    }

    /// Deletes the hours of key usage before `before`, one hour at a time.
    pub async fn purge_key_usage(&self, before: OffsetDateTime) -> Result<(), Error> {
        let writer = &self.database.writer;
        while writer.purge(key_usage::purge_hour(before)).await? > 0 {}
        Ok(())
    }
}
