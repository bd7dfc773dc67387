//! How many stored keys are in which health, for metrics.
//!
//! Invariant: counts only; which workspace has which key is nobody's business here.
//!
//! Absent: the health of one key, which is read with its holder.

use sea_orm::{ConnectionTrait as _, DatabaseBackend, QueryResult, Statement};

use super::{
    Engine, Store,
    fault::{corrupt, unavailable},
    transaction::{LONG, LONG_LIMIT, limited},
};
use crate::domain::{
    error::Error,
    verdict::{Badge, Condemnation, Verdict},
};

/// How many active keys are alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyCount {
    /// `workspace` or `platform`.
    pub source: String,
    /// The provider's name.
    pub provider: String,
    /// What people see beside them.
    pub badge: Badge,
    /// How many they are.
    pub count: u64,
}

impl Store {
    /// Counts the active keys.
    pub async fn key_counts(&self, condemnation: &Condemnation) -> Result<Vec<KeyCount>, Error> {
        let passed = match self.backend() {
            DatabaseBackend::Postgres => "EXTRACT(EPOCH FROM (checked_at - refused_since))::float8",
            _ => "(julianday(checked_at) - julianday(refused_since)) * 86400.0",
        };
        let sql = format!(
            "SELECT scope, provider, verdict, \
             COALESCE(refused_count >= $1 AND {passed} >= $2, FALSE) AS condemned, COUNT(*) AS count \
             FROM provider_keys WHERE state = 'active' GROUP BY 1, 2, 3, 4"
        );
        let values = [
            condemnation.verdicts.max(1).into(),
            condemnation.over.as_seconds_f64().into(),
        ];
        let statement = Statement::from_sql_and_values(self.backend(), sql, values);
        let count = limited("counting the keys", LONG, async {
            match &self.engine {
                Engine::Sqlite { .. } => self.rows(statement).await,
                // All keys of all workspaces may take longer than a read may.
                Engine::Postgres(postgres) => {
                    let transaction = postgres.begin(&self.readers).await?;
                    transaction
                        .execute_unprepared(LONG_LIMIT)
                        .await
                        .map_err(unavailable)?;
                    let rows = transaction
                        .query_all_raw(statement)
                        .await
                        .map_err(unavailable)?;
                    transaction.commit().await.map_err(unavailable)?;
                    Ok(rows)
                }
            }
        });
        self.observed("count_keys", count)
            .await?
            .iter()
            .map(alike)
            .collect()
    }
}

fn alike(row: &QueryResult) -> Result<KeyCount, Error> {
    let verdict: Option<String> = row.try_get("", "verdict").map_err(unavailable)?;
    let condemned: bool = row.try_get("", "condemned").map_err(unavailable)?;
    let count: i64 = row.try_get("", "count").map_err(unavailable)?;
    Ok(KeyCount {
        source: row.try_get("", "scope").map_err(unavailable)?,
        provider: row.try_get("", "provider").map_err(unavailable)?,
        badge: Badge::of(verdict.as_deref().and_then(Verdict::parse), condemned),
        count: u64::try_from(count).map_err(|_| corrupt("a negative count"))?,
    })
}
