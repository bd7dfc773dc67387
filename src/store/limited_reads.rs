//! A connection for reads, with the limits of its engine.
//!
//! Invariants: a read on PostgreSQL ends within its limit (`Postgres::rows`).

use sea_orm::{
    ConnectionTrait, DatabaseBackend, DatabaseConnection, DbErr, ExecResult, QueryResult,
    Statement, prelude::async_trait::async_trait,
};

use super::writer::Engine;

/// A connection for reads, with the limits of its engine.
pub(super) struct LimitedReads<'a> {
    pub(super) engine: &'a Engine,
    pub(super) connections: &'a DatabaseConnection,
}

#[async_trait]
impl ConnectionTrait for LimitedReads<'_> {
    fn get_database_backend(&self) -> DatabaseBackend {
        self.connections.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.connections.execute_raw(statement).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.connections.execute_unprepared(sql).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        Ok(self.query_all_raw(statement).await?.into_iter().next())
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        match self.engine {
            Engine::Sqlite { .. } => self.connections.query_all_raw(statement).await,
            Engine::Postgres(postgres) => postgres.rows(self.connections, statement).await,
        }
    }
}
