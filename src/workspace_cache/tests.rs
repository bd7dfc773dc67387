//! One replica's directory, driven poll by poll on a clock that stands still, and another process on its database.
//!
//! A manual edit shows whether an entry comes from memory, because the change log does not contain it.

mod floor;
mod follow;
mod history;
mod kept;
mod slot;

use std::{sync::Arc, time::Duration};

use super::WorkspaceCache;
use crate::{
    domain::{
        audit::AuditEvent,
        caller::Rpc,
        change::Draft,
        clock::Clock,
        error::Reason,
        names::{OnBehalfOf, Scope, WorkspaceId},
    },
    store::{LogPage, OpenMode, ServerIdentity, Store, StoreSettings},
};

const SECOND: Duration = Duration::from_secs(1);
const MILLISECOND: Duration = Duration::from_millis(1);
/// How many workspaces a replica keeps.
const KEPT: usize = 64;

/// One replica, and another process on the same database.
struct World {
    cache: WorkspaceCache,
    clock: Clock,
    other: Store,
    _folder: tempfile::TempDir,
}

/// What a view of `acme` shows.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    byo: bool,
    degraded: bool,
}

const OFF: Seen = Seen {
    byo: false,
    degraded: false,
};
const ON: Seen = Seen {
    byo: true,
    degraded: false,
};

impl World {
    /// A replica that was just started, and knows nothing yet.
    fn started_again(self) -> Self {
        let store = Arc::clone(&self.cache.shared.store);
        Self {
            cache: WorkspaceCache::new(store, self.clock.clone(), 60 * SECOND, KEPT),
            ..self
        }
    }

    /// A replica that found its place in the log; `acme` has BYO off, at revision 1, and is in memory.
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = StoreSettings::at(&format!(
            "sqlite:{}",
            folder.path().join("byokd.db").display()
        ));
        let store = Arc::new(Store::open(&settings, OpenMode::Serve).await.unwrap());
        let other = Store::open(&settings, OpenMode::Maintain).await.unwrap();
        let clock = Clock::manual(time::OffsetDateTime::UNIX_EPOCH);
        let cache = WorkspaceCache::new(store, clock.clone(), 60 * SECOND, KEPT);
        let world = Self {
            cache,
            clock,
            other,
            _folder: folder,
        };
        world.toggle(false).await;
        world.poll().await;
        assert_eq!(world.seen().await, OFF);
        world
    }

    /// The other process commits a change, as `change::commit` does.
    async fn toggle(&self, on: bool) {
        let change = self.other.begin(&Scope::Workspace(acme())).await.unwrap();
        let mut draft = Draft::new(change.holder().await.unwrap());
        draft.set_byo(on);
        let event = AuditEvent {
            actor: "another replica".to_owned(),
            on_behalf_of: OnBehalfOf::default(),
            action: Rpc::ToggleByo,
            provider: None,
            before: serde_json::Value::Null,
            after: serde_json::Value::Null,
            verdict: None,
            request_id: None,
        };
        change
            .commit(&draft, event, None, self.clock.now())
            .await
            .unwrap();
    }

    async fn sql(&self, sql: &str) {
        self.other.tamper(sql).await.unwrap();
    }

    /// An edit that the change log does not contain.
    async fn edit(&self, on: bool) {
        self.sql(&format!(
            "UPDATE holders SET byo_enabled = {on} WHERE workspace_id = 'acme'"
        ))
        .await;
    }

    /// Takes a table away, or brings it back.
    async fn away(&self, table: &str) {
        self.sql(&format!("ALTER TABLE {table} RENAME TO {table}_away"))
            .await;
    }

    async fn back(&self, table: &str) {
        self.sql(&format!("ALTER TABLE {table}_away RENAME TO {table}"))
            .await;
    }

    async fn poll(&self) {
        self.cache.poll().await.unwrap();
    }

    /// A poll that fails; the log is there again after it.
    async fn failed_poll(&self) {
        self.away("change_log").await;
        self.cache.poll().await.unwrap_err();
        self.back("change_log").await;
    }

    fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }

    async fn seen(&self) -> Seen {
        let view = self.cache.workspace(&acme()).await.unwrap();
        Seen {
            byo: view.entry.byo_enabled,
            degraded: view.degraded,
        }
    }

    async fn refused(&self) -> Reason {
        self.cache.workspace(&acme()).await.unwrap_err().reason()
    }

    /// Looks until this is seen.
    async fn shows(&self, byo: bool) {
        let looking = async {
            while self.seen().await.byo != byo {
                tokio::time::sleep(MILLISECOND).await;
            }
        };
        tokio::time::timeout(30 * SECOND, looking).await.unwrap();
    }

    /// The database is what it was before `acme` was changed last.
    async fn restore(&self, revision: u64, byo: bool) {
        self.sql(&format!(
            "DELETE FROM change_log WHERE sequence = (SELECT max(sequence) FROM change_log); \
             UPDATE holders SET revision = {revision}, byo_enabled = {byo} WHERE workspace_id = 'acme'"
        ))
        .await;
    }

    /// A page without new entries from this server.
    async fn page(&self, history: &str, started: &str) -> LogPage {
        LogPage {
            end: self.other.log_end().await.unwrap(),
            changes: Vec::new(),
            more: false,
            broken: false,
            server: ServerIdentity {
                history: history.to_owned(),
                started: started.to_owned(),
            },
        }
    }
}

fn acme() -> WorkspaceId {
    WorkspaceId::parse("acme").unwrap()
}
