//! Everything that byokd keeps, and every query that reaches it.
//!
//! Invariants: sea-orm and sqlx are named in this folder only. A read of a workspace is one statement outside a
//! transaction. A change is one transaction that locks its workspace first, writes audit row and change-log row with it,
//! and is whole or absent. A workspace's id is the first argument of every query that touches its rows. What lies here
//! is sealed: nothing in this folder sees a provider key or a data key in the clear. Every wait has a limit.
//!
//! Absent: caches (`workspace_cache`, `keyring`), decisions, and any call to a KMS or provider.

mod audit_chains;
mod audit_events;
mod change;
mod data_keys;
mod entities;
mod fault;
mod key_health;
mod key_usage;
mod listen;
mod lists;
mod load;
mod log;
mod migrations;
mod moment;
mod observed;
mod postgres;
mod postgres_url;
mod requests;
mod rewraps;
mod rotation;
mod schema;
mod sqlite;
mod transaction;

use std::{fs::File, sync::Arc, time::Duration};

use sea_orm::{ConnectionTrait, DatabaseBackend, DatabaseConnection, QueryResult, Statement};
use uuid::Uuid;

pub use change::Change;
pub use data_keys::DataKeyRow;
use fault::unavailable;
pub use key_health::KeyCount;
pub use key_usage::UsagePlace;
use listen::{Hints, listen_url};
use lists::SharedLists;
pub use log::{LogPage, LogPlace, Server};
use postgres::Postgres;
pub use requests::Remembered;
pub use rewraps::RewrapRun;
pub use rotation::SealedRecord;
pub use schema::SchemaStatus;
use transaction::limited;

use crate::domain::{
    error::{Error, Reason},
    names::{Scope, WorkspaceId},
    workspace::{Holder, Platform, Workspace},
};

/// How long opening may take, migrating and waiting for another one's migration included.
const OPEN: Duration = Duration::from_secs(300);
/// How long a connection may take to close.
const CLOSE: Duration = Duration::from_secs(2);

/// Which database, and how to use it.
#[derive(Clone)]
pub struct Settings {
    /// `sqlite:` and a file, or `postgres://`.
    pub url: String,
    /// Where to listen for changes, if not at `url`; PostgreSQL only.
    pub listen_url: String,
    /// What stands between byokd and PostgreSQL.
    pub pooler: Pooler,
    /// Whether a start brings the schema to this binary's level.
    pub migrate: bool,
    /// How many connections answer reads; PostgreSQL only.
    pub read_connections: u32,
    /// How many connections make changes; PostgreSQL only.
    pub write_connections: u32,
}

/// What stands between byokd and PostgreSQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooler {
    /// Nothing, or a pooler that keeps a session for each connection.
    None,
    /// A pooler that gives a session for one transaction only.
    Transaction,
}

/// What a process is here for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// It serves: it migrates, claims a SQLite file, and listens for changes.
    Serve,
    /// It works beside those that serve.
    Maintain,
}

impl Settings {
    /// The usual way to use the database of this URL.
    pub fn at(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            listen_url: String::new(),
            pooler: Pooler::None,
            migrate: true,
            read_connections: 8,
            write_connections: 4,
        }
    }

    fn is_postgres(&self) -> bool {
        self.url.starts_with("postgres:") || self.url.starts_with("postgresql:")
    }
}

/// The database.
#[derive(Debug)]
pub struct Store {
    writer: DatabaseConnection,
    readers: DatabaseConnection,
    log_reader: DatabaseConnection,
    engine: Engine,
    deployment: Uuid,
    lists: Arc<SharedLists>,
    hints: Hints,
    /// Whether the server tells its history and when it was started.
    tells_history: bool,
}

/// The closed list of databases.
#[derive(Debug)]
enum Engine {
    Sqlite {
        /// Held while this process serves, so that a second one refuses to.
        claim: Option<File>,
    },
    Postgres(Arc<Postgres>),
}

impl Store {
    /// Opens the database. A process that serves brings it to this binary's level, unless it is told not to.
    pub async fn open(settings: &Settings, mode: OpenMode) -> Result<Self, Error> {
        limited("opening the database", OPEN, Self::open_all(settings, mode)).await
    }

    /// Whether there is nobody to wait for.
    pub fn answers_at_once(settings: &Settings) -> bool {
        !settings.is_postgres()
    }

    /// Whether there is a database that answers, be it by a refusal.
    pub async fn answers(settings: &Settings) -> bool {
        Self::answers_at_once(settings) || Postgres::answers(settings).await
    }

    async fn open_all(settings: &Settings, mode: OpenMode) -> Result<Self, Error> {
        let migrates = mode == OpenMode::Serve && settings.migrate;
        let (engine, writer) = Self::connect(settings, mode).await?;
        let deployment = match &engine {
            Engine::Sqlite { .. } => {
                if migrates {
                    schema::migrate(&writer).await?;
                }
                schema::serving(&writer).await?
            }
            Engine::Postgres(postgres) => {
                let setup = postgres.begin(&writer).await?;
                if migrates {
                    schema::migrate(&setup).await?;
                }
                let deployment = schema::serving(&setup).await?;
                setup.commit().await.map_err(unavailable)?;
                deployment
            }
        };
        let deployment = deployment.deployment_id;
        let (readers, log_reader, hints, tells_history) = match &engine {
            Engine::Sqlite { .. } => {
                let readers = sqlite::readers(&sqlite::path(&settings.url)?).await?;
                (readers.clone(), readers, Hints::default(), false)
            }
            Engine::Postgres(postgres) => {
                let tells_history = log::tells_history(&postgres.begin(&writer).await?).await?;
                let hints = match (mode, listen_url(settings)) {
                    (OpenMode::Serve, Some((setting, url))) => Hints::listen(
                        postgres_url::options(setting, url, Pooler::None)?,
                        writer.clone(),
                    ),
                    (OpenMode::Serve, None) => {
                        tracing::info!(
                            "behind a pooler without database.listen_url, other replicas' changes are seen by \
                             polling only, within half a second"
                        );
                        Hints::default()
                    }
                    (OpenMode::Maintain, _) => Hints::default(),
                };
                let (readers, log_reader) =
                    tokio::try_join!(postgres.readers(settings), postgres.log_reader())?;
                (readers, log_reader, hints, tells_history)
            }
        };
        let lists = Arc::default();
        Ok(Self {
            writer,
            readers,
            log_reader,
            engine,
            deployment,
            lists,
            hints,
            tells_history,
        })
    }

    async fn connect(
        settings: &Settings,
        mode: OpenMode,
    ) -> Result<(Engine, DatabaseConnection), Error> {
        if settings.is_postgres() {
            let postgres = Postgres::open(settings).await?;
            let writer = postgres.writer(settings).await?;
            return Ok((Engine::Postgres(Arc::new(postgres)), writer));
        }
        let path = sqlite::path(&settings.url)?;
        let claim = match mode {
            OpenMode::Serve => Some(sqlite::claim(&path)?),
            OpenMode::Maintain => None,
        };
        Ok((Engine::Sqlite { claim }, sqlite::writer(&path).await?))
    }

    /// The deployment that this database is: bound into everything sealed.
    pub fn deployment(&self) -> Uuid {
        self.deployment
    }

    /// A workspace; one that was never seen has revision 0.
    pub async fn workspace(&self, id: &WorkspaceId) -> Result<Workspace, Error> {
        match self.holder(&Scope::Workspace(id.clone())).await? {
            Holder::Workspace(workspace) => Ok(workspace),
            Holder::Platform(_) => Err(Error::internal("a workspace was loaded as the platform")),
        }
    }

    /// The platform.
    pub async fn platform(&self) -> Result<Platform, Error> {
        match self.holder(&Scope::Platform).await? {
            Holder::Platform(platform) => Ok(platform),
            Holder::Workspace(_) => Err(Error::internal("the platform was loaded as a workspace")),
        }
    }

    /// Whose keys these are.
    pub async fn holder(&self, scope: &Scope) -> Result<Holder, Error> {
        let load = async {
            let rows = self
                .rows(load::select(self.backend(), self.tells_history, scope))
                .await?;
            load::holder(&rows, &self.lists, scope)
        };
        let holder = self.observed("load_holder", load).await;
        if let Err(error) = &holder
            && error.reason() == Reason::StoreUnavailable
        {
            // A standby: the connections lead to the wrong server.
            self.renew_connections();
        }
        holder
    }

    /// Resolves when another process may have changed something; never where no one tells.
    pub async fn hinted(&self) {
        self.hints.next().await;
    }

    /// Closes the connections, and another process may serve; what is still open is rolled back.
    pub async fn close(&self) {
        let close = async |connection: &DatabaseConnection| match tokio::time::timeout(
            CLOSE,
            connection.close_by_ref(),
        )
        .await
        {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                tracing::warn!(%error, "a database connection did not close");
                false
            }
            Err(_) => {
                tracing::warn!("a database connection did not close within {CLOSE:?}");
                false
            }
        };
        tokio::join!(close(&self.log_reader), close(&self.readers));
        // The last one: SQLite empties its log when the last connection closes, if that one may write.
        let closed = close(&self.writer).await;
        // What is still being committed keeps others out until this process ends.
        if closed && let Engine::Sqlite { claim: Some(claim) } = &self.engine {
            sqlite::unclaim(claim);
        }
    }

    /// Begins a change: from here on nobody else changes this workspace, or the platform.
    pub async fn begin(&self, scope: &Scope) -> Result<Change, Error> {
        let begin = async {
            let transaction = self.transaction().await?;
            let limit = self.step_limit();
            limited("waiting for the workspace's lock", limit, async {
                let change = Change::begin(transaction, self, scope, limit).await;
                change.map_err(|error| {
                    if postgres::is_read_only(&error) {
                        self.renew_connections();
                    }
                    unavailable(error)
                })
            })
            .await
        };
        self.observed("begin_change", begin).await
    }

    /// The rows of one statement.
    async fn rows(&self, statement: Statement) -> Result<Vec<QueryResult>, Error> {
        self.rows_by(&self.readers, statement).await
    }

    /// The same for whoever follows the change log.
    async fn log_rows(&self, statement: Statement) -> Result<Vec<QueryResult>, Error> {
        self.rows_by(&self.log_reader, statement).await
    }

    async fn rows_by(
        &self,
        readers: &DatabaseConnection,
        statement: Statement,
    ) -> Result<Vec<QueryResult>, Error> {
        match &self.engine {
            Engine::Sqlite { .. } => readers.query_all_raw(statement).await.map_err(unavailable),
            Engine::Postgres(postgres) => postgres.rows(readers, statement).await,
        }
    }

    /// What someone else does to the rows.
    #[cfg(test)]
    pub(crate) async fn tamper(&self, sql: &str) -> Result<(), Error> {
        self.writer
            .execute_unprepared(sql)
            .await
            .map_err(unavailable)?;
        Ok(())
    }

    fn backend(&self) -> DatabaseBackend {
        self.writer.get_database_backend()
    }

    /// The server that the connections lead to must not be used.
    fn renew_connections(&self) {
        if let Engine::Postgres(postgres) = &self.engine {
            postgres.renew();
        }
    }
}
