//! The settings of the store.
//!
//! Not here: reading them from the configuration (`server::open`).

/// The database and how to connect to it.
#[derive(Clone)]
pub struct StoreSettings {
    /// `sqlite:` and a file, or `postgres://`.
    pub url: String,
    /// The URL for `LISTEN`, if it differs from `url`; PostgreSQL only.
    pub listen_url: String,
    /// The pooler between byokd and PostgreSQL.
    pub pooler: PoolerMode,
    /// Whether `OpenMode::Serve` migrates the schema to this binary's level.
    pub migrate: bool,
    /// The number of connections for reads; PostgreSQL only.
    pub read_connections: u32,
    /// The number of connections for changes; PostgreSQL only.
    pub write_connections: u32,
}

/// The pooler between byokd and PostgreSQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolerMode {
    /// None, or one that pools sessions.
    None,
    /// One that pools transactions: each transaction may run in another session.
    Transaction,
}

/// The reason why a process opens the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// To serve: the process migrates, claims a SQLite file, and listens for changes.
    Serve,
    /// To maintain the database beside the serving processes.
    Maintain,
}

impl StoreSettings {
    /// The default settings for the database at `url`.
    pub fn at(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            listen_url: String::new(),
            pooler: PoolerMode::None,
            migrate: true,
            read_connections: 8,
            write_connections: 4,
        }
    }

    /// Whether the URL names a PostgreSQL server; else it names a SQLite file.
    pub(super) fn is_postgres(&self) -> bool {
        self.url.starts_with("postgres:") || self.url.starts_with("postgresql:")
    }

    /// The setting and the URL to listen at; `None` behind a transaction pooler without `database.listen_url`, because
    /// `LISTEN` would stay in a session that the pooler gives to other clients.
    pub(super) fn listen_at(&self) -> Option<(&'static str, &str)> {
        match (self.listen_url.as_str(), self.pooler) {
            ("", PoolerMode::None) => Some(("database.url", &self.url)),
            ("", PoolerMode::Transaction) => None,
            (url, _) => Some(("database.listen_url", url)),
        }
    }
}
