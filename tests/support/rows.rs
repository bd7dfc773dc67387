//! The database's rows of one workspace, read in one transaction, and the invariants that hold at any moment.

use sea_orm::{
    ConnectionTrait as _, DatabaseConnection, QueryResult, Statement, TransactionTrait as _,
};
use serde_json::Value;

/// One row of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyRow {
    pub(crate) provider: String,
    pub(crate) generation: i64,
    pub(crate) state: String,
    /// Whether it still has its sealed bytes.
    pub(crate) sealed: bool,
}

/// All rows of a workspace's changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rows {
    /// 0: no row.
    pub(crate) revision: i64,
    pub(crate) byo_enabled: bool,
    pub(crate) generations: Value,
    /// By provider and generation.
    pub(crate) keys: Vec<KeyRow>,
    /// Revisions in the change log, in its order.
    pub(crate) logged: Vec<i64>,
    /// Revisions in the audit table, sorted.
    pub(crate) audited: Vec<i64>,
    /// Remembered results.
    pub(crate) remembered: i64,
}

/// Rows of a query that has the workspace's id as its only parameter.
pub(crate) async fn select(
    connection: &impl sea_orm::ConnectionTrait,
    sql: &str,
    workspace: &str,
) -> Vec<QueryResult> {
    let backend = connection.get_database_backend();
    let statement = Statement::from_sql_and_values(backend, sql, [workspace.into()]);
    connection.query_all_raw(statement).await.unwrap()
}

/// The only number in the result of a query without parameters.
pub(crate) async fn number(connection: &impl sea_orm::ConnectionTrait, sql: &str) -> i64 {
    let statement = Statement::from_string(connection.get_database_backend(), sql);
    let row = connection.query_one_raw(statement).await.unwrap();
    row.unwrap().try_get_by_index(0).unwrap()
}

impl Rows {
    pub(crate) async fn of(database: &DatabaseConnection, workspace: &str) -> Self {
        let snapshot = database.begin().await.unwrap();
        let mut rows = Self {
            revision: 0,
            byo_enabled: false,
            generations: Value::Object(serde_json::Map::new()),
            keys: Vec::new(),
            logged: Vec::new(),
            audited: Vec::new(),
            remembered: 0,
        };
        let holder = "SELECT revision, byo_enabled, generations FROM holders \
                      WHERE scope = 'workspace' AND workspace_id = $1";
        if let Some(holder) = select(&snapshot, holder, workspace).await.first() {
            rows.revision = holder.try_get("", "revision").unwrap();
            rows.byo_enabled = holder.try_get("", "byo_enabled").unwrap();
            rows.generations = holder.try_get("", "generations").unwrap();
        }
        let keys = "SELECT provider, generation, state, sealed IS NOT NULL AS is_sealed FROM provider_keys \
                    WHERE scope = 'workspace' AND workspace_id = $1 ORDER BY provider, generation";
        for key in select(&snapshot, keys, workspace).await {
            rows.keys.push(KeyRow {
                provider: key.try_get("", "provider").unwrap(),
                generation: key.try_get("", "generation").unwrap(),
                state: key.try_get("", "state").unwrap(),
                sealed: key.try_get("", "is_sealed").unwrap(),
            });
        }
        for (table, order, into) in [
            ("change_log", "sequence", &mut rows.logged),
            ("audit_events", "revision", &mut rows.audited),
        ] {
            let sql = format!(
                "SELECT revision FROM {table} WHERE scope = 'workspace' AND workspace_id = $1 ORDER BY {order}"
            );
            for row in select(&snapshot, &sql, workspace).await {
                into.push(row.try_get_by_index(0).unwrap());
            }
        }
        let results =
            "SELECT count(*) FROM request_results WHERE scope = 'workspace' AND workspace_id = $1";
        rows.remembered = select(&snapshot, results, workspace).await[0]
            .try_get_by_index(0)
            .unwrap();
        snapshot.rollback().await.unwrap();
        rows
    }

    /// The active key of a provider.
    pub(crate) fn active(&self, provider: &str) -> Option<&KeyRow> {
        let active = |key: &&KeyRow| key.provider == provider && key.state == "active";
        self.keys.iter().find(active)
    }

    /// The invariant after any changes: each is whole. One log row and one audit row a revision; at most one
    /// active key a provider, and it is the newest; sealed bytes with that one only; every generation once.
    pub(crate) fn assert_whole(&self, context: &str) {
        let revisions: Vec<i64> = (1..=self.revision).collect();
        assert_eq!(self.logged, revisions, "change log: {context}: {self:#?}");
        assert_eq!(self.audited, revisions, "audit: {context}: {self:#?}");
        let counted = self.generations.as_object().unwrap();
        for (provider, count) in counted {
            let own: Vec<&KeyRow> = self
                .keys
                .iter()
                .filter(|key| key.provider == *provider)
                .collect();
            let generations: Vec<i64> = own.iter().map(|key| key.generation).collect();
            let expected: Vec<i64> = (1..=count.as_i64().unwrap()).collect();
            assert_eq!(generations, expected, "generations: {context}: {self:#?}");
            let (newest, older) = own.split_last().unwrap();
            assert!(
                older.iter().all(|key| key.state != "active"),
                "{context}: {self:#?}"
            );
            assert!(
                ["active", "deleted"].contains(&newest.state.as_str()),
                "{context}: {self:#?}"
            );
        }
        for key in &self.keys {
            assert!(counted.contains_key(&key.provider), "{context}: {self:#?}");
            assert_eq!(
                key.sealed,
                key.state == "active",
                "sealed bytes: {context}: {self:#?}"
            );
        }
    }
}
