//! `Store`'s queries for serving: holders, changes, the change log, stored results, audit and metrics.

use sea_orm::DatabaseTransaction;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    change::ChangeTransaction,
    open::Store,
    statements::{
        audit_chains, audit_events,
        change_log::{self, LogPage, LogPlace},
        holders,
        key_usage::{self, UsagePlace},
        provider_keys::{self, KeyCount},
        request_results::{self, StoredResult},
    },
};
use crate::domain::{
    audit::{Checkpoint, KeyUsage, RecordedEvent, TimeRange},
    caller::Rpc,
    error::Error,
    names::{RequestId, Scope, WorkspaceId},
    verdict::Condemnation,
    workspace::{Holder, Platform, Workspace},
};

impl Store {
    /// Reads a workspace; one that was never seen has revision 0.
    pub async fn workspace(&self, id: &WorkspaceId) -> Result<Workspace, Error> {
        match self.holder(&Scope::Workspace(id.clone())).await? {
            Holder::Workspace(workspace) => Ok(workspace),
            Holder::Platform(_) => Err(Error::internal("a workspace was loaded as the platform")),
        }
    }

    /// Reads the platform.
    pub async fn platform(&self) -> Result<Platform, Error> {
        match self.holder(&Scope::Platform).await? {
            Holder::Platform(platform) => Ok(platform),
            Holder::Workspace(_) => Err(Error::internal("the platform was loaded as a workspace")),
        }
    }

    /// Reads a workspace or the platform with its active keys.
    pub async fn holder(&self, scope: &Scope) -> Result<Holder, Error> {
        let database = &self.database;
        let reads = database.reads();
        let load = holders::load(&reads, database.reports_identity, &self.lists, scope);
        let holder = database.observe("load_holder", load).await;
        database.renew_after(&holder);
        holder
    }

    /// Begins a change and locks its holder until the change ends.
    pub async fn begin(&self, scope: &Scope) -> Result<ChangeTransaction, Error> {
        let begin = ChangeTransaction::begin(&self.database, &self.lists, scope);
        self.database.observe("begin_change", begin).await
    }

    /// Finds the unexpired result of a request id.
    pub async fn find_result(
        &self,
        scope: &Scope,
        rpc: Rpc,
        request_id: &RequestId,
        now: OffsetDateTime,
    ) -> Result<Option<StoredResult>, Error> {
        let reads = self.database.reads();
        let find = request_results::find(&reads, scope, rpc, request_id, now);
        self.database.observe("find_result", find).await
    }

    /// Waits for a hint that another process changed something; forever where there are no hints.
    pub async fn wait_for_hint(&self) {
        self.database.hints.next().await;
    }

    /// Reads the end of the change log.
    pub async fn log_end(&self) -> Result<LogPlace, Error> {
        change_log::end(&self.database.log_reads()).await
    }

    /// Reads the first page of the change log after `from`.
    pub async fn log_after(&self, from: LogPlace) -> Result<LogPage, Error> {
        let database = &self.database;
        let reads = database.log_reads();
        let page = change_log::page(&reads, database.reports_identity, from);
        let page = database.observe("read_change_log", page).await;
        database.renew_after(&page);
        page
    }

    /// Reads the audit events of a scope after a revision and within a range, oldest first.
    pub async fn audit_events(
        &self,
        scope: &Scope,
        range: TimeRange,
        after: u64,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, Error> {
        let reads = self.database.reads();
        let list = audit_events::list(&reads, scope, range, after, limit);
        self.database.observe("list_audit_events", list).await
    }

    /// Writes a checkpoint, unless the stored one has more lines.
    pub async fn write_checkpoint(&self, checkpoint: &Checkpoint) -> Result<(), Error> {
        self.write("a checkpoint", async |tx| {
            audit_chains::write(tx, checkpoint).await
        })
        .await
    }

    /// Reads the last checkpoint of every chain, oldest chain first.
    pub async fn audit_chains(&self) -> Result<Vec<Checkpoint>, Error> {
        audit_chains::list(&self.database.reads()).await
    }

    /// Adds a batch of counts, unless it was added before.
    pub async fn add_key_usage(
        &self,
        chain_id: Uuid,
        opened_at: OffsetDateTime,
        number: u64,
        rows: &[KeyUsage],
    ) -> Result<(), Error> {
        let add = async |tx: &DatabaseTransaction| {
            if audit_chains::begin_batch(tx, chain_id, opened_at, number).await? {
                key_usage::add(tx, rows).await?;
            }
            Ok(())
        };
        let writer = &self.database.writer;
        writer.write_long("adding to the counts", add).await
    }

    /// Reads the counts of a workspace after a place and within a range, oldest hour first.
    pub async fn key_usage(
        &self,
        workspace: &WorkspaceId,
        range: TimeRange,
        after: Option<UsagePlace>,
        limit: usize,
    ) -> Result<Vec<KeyUsage>, Error> {
        let reads = self.database.reads();
        let list = key_usage::list(&reads, workspace, range, after, limit);
        self.database.observe("list_key_usage", list).await
    }

    /// Counts the active keys by health. Reads every key, so it may take long.
    pub async fn key_counts(&self, condemnation: &Condemnation) -> Result<Vec<KeyCount>, Error> {
        let count = self.database.read_long("counting the keys", async |tx| {
            provider_keys::count_by_badge(tx, condemnation).await
        });
        self.database.observe("count_keys", count).await
    }

    /// Runs SQL that an attacker with write access to the database could run.
    #[cfg(test)]
    pub(crate) async fn tamper(&self, sql: &str) -> Result<(), Error> {
        use sea_orm::ConnectionTrait as _;

        let connections = &self.database.writer.connections;
        connections.execute_unprepared(sql).await?;
        Ok(())
    }
}
