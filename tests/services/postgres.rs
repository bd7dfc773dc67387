//! PostgreSQL, shared and private to a test, and PgBouncer before it.

use sqlx::{Connection as _, PgConnection, Row as _, postgres::PgQueryResult};

use crate::support::{
    OwnPostgres,
    postgres::{self, service},
    until,
};

/// One connection without a pool, which would hide its end.
async fn connect(url: &str) -> Result<PgConnection, sqlx::Error> {
    PgConnection::connect(url).await
}

async fn run(database: &mut PgConnection, sql: &'static str) -> Result<PgQueryResult, sqlx::Error> {
    sqlx::query(sql).execute(database).await
}

/// The number that a query returns on its own connection.
async fn number(url: &str, sql: &'static str) -> i64 {
    let mut database = connect(url).await.unwrap();
    sqlx::query_scalar(sql)
        .fetch_one(&mut database)
        .await
        .unwrap()
}

const IDENTITY: &str = "SELECT system_identifier FROM pg_control_system()";
// The current timeline; `pg_control_checkpoint` has that of the last checkpoint.
const TIMELINE: &str =
    "SELECT ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint";

#[tokio::test]
#[ignore = "needs services: ./tests/run services"]
async fn each_test_has_a_database_of_its_own_by_tls_alone() {
    let (one, other) = (postgres::shared().await, postgres::shared().await);
    let verified = format!(
        "{one}?sslmode=verify-full&sslrootcert={}",
        service("BYOKD_TEST_POSTGRES_CA")
    );
    run(
        &mut connect(&verified).await.unwrap(),
        "CREATE TABLE t (n int)",
    )
    .await
    .unwrap();
    let tls = "SELECT count(*) FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl";
    assert_eq!(number(&verified, tls).await, 1);
    let tables = "SELECT count(*) FROM pg_tables WHERE tablename = 't'";
    assert_eq!(
        (number(&one, tables).await, number(&other, tables).await),
        (1, 0)
    );
    connect(&format!("{one}?sslmode=verify-full"))
        .await
        .unwrap_err();
    connect(&format!("{one}?sslmode=disable"))
        .await
        .unwrap_err();
    connect(&one.replace("byokd:", "byokd:x"))
        .await
        .unwrap_err();
    postgres::drop_shared(std::slice::from_ref(&one)).await;
    connect(&one).await.unwrap_err();
    let by_language = "SELECT count(*) WHERE 'a' < 'B' AND NOT 'a' < 'B' COLLATE \"C\"";
    assert_eq!(number(&other, by_language).await, 1);
}

#[tokio::test]
#[ignore = "needs services: ./tests/run services"]
async fn a_server_stops_crashes_and_is_restored() {
    let mut own = OwnPostgres::start().await;
    let count = "SELECT count(*) FROM t";
    let mut database = connect(&own.url()).await.unwrap();
    run(&mut database, "CREATE TABLE t (n int)").await.unwrap();
    own.stop_fast().await;
    run(&mut database, "SELECT 1").await.unwrap_err();
    connect(&own.url()).await.unwrap_err();
    own.start_again().await;
    let earlier = own.copy().await;

    let mut database = connect(&own.url()).await.unwrap();
    run(&mut database, "INSERT INTO t VALUES (1)")
        .await
        .unwrap();
    own.stop_immediate().await;
    own.start_again().await;
    assert_eq!(
        number(&own.url(), count).await,
        1,
        "acknowledged, so it outlives a crash"
    );

    let identity = number(&own.admin_url(), IDENTITY).await;
    own.restore(&earlier).await;
    assert_eq!(number(&own.url(), count).await, 0);
    assert_eq!(number(&own.admin_url(), IDENTITY).await, identity);

    let timeline = number(&own.admin_url(), TIMELINE).await;
    own.fail_over().await;
    assert_eq!(number(&own.url(), count).await, 0);
    assert_eq!(number(&own.admin_url(), TIMELINE).await, timeline + 1);
}

#[tokio::test]
#[ignore = "needs services: ./tests/run services"]
async fn another_server_has_another_identity() {
    let (one, other) = (
        OwnPostgres::start().await,
        OwnPostgres::start_as_another().await,
    );
    assert_ne!(
        number(&one.admin_url(), IDENTITY).await,
        number(&other.admin_url(), IDENTITY).await
    );
    assert_eq!(number(&other.url(), "SELECT 1::bigint").await, 1);
}

#[tokio::test]
#[ignore = "needs services: ./tests/run services"]
async fn a_server_freezes_turns_read_only_and_closes_connections() {
    let mut own = OwnPostgres::start().await;
    let mut database = connect(&own.url()).await.unwrap();
    run(&mut database, "CREATE TABLE t (n int)").await.unwrap();

    own.pause();
    // Only time separates a frozen server from a slow one.
    let silence = std::time::Duration::from_millis(200);
    let mut asked = Box::pin(run(&mut database, "INSERT INTO t VALUES (1)"));
    tokio::time::timeout(silence, &mut asked).await.unwrap_err();
    own.resume();
    asked.await.unwrap();

    own.set_read_only(true).await;
    let refused = until("an open connection is read-only", async || {
        run(&mut database, "INSERT INTO t VALUES (2)").await.err()
    });
    assert!(refused.await.to_string().contains("read-only"));
    own.set_read_only(false).await;
    until("an open connection writes", async || {
        run(&mut database, "INSERT INTO t VALUES (2)").await.ok()
    })
    .await;

    assert_eq!(own.terminate_backends().await, 1);
    run(&mut database, "SELECT 1").await.unwrap_err();
}

#[tokio::test]
#[ignore = "needs services: ./tests/run services"]
async fn the_pooler_pools_by_transaction_without_prepared_statements() {
    let url = postgres::pooled(&postgres::shared().await);
    let mut one = connect(&url).await.unwrap();
    let mut other = connect(&url).await.unwrap();
    // The simple protocol, which prepares nothing.
    async fn backend(client: &mut PgConnection) -> i32 {
        sqlx::raw_sql("SELECT pg_backend_pid()")
            .fetch_one(client)
            .await
            .unwrap()
            .get(0)
    }
    // Both clients stay connected and take turns on one connection to the server.
    assert_eq!(backend(&mut one).await, backend(&mut other).await);
    // Within a transaction the connection belongs to one client.
    let mut held = one.begin().await.unwrap();
    assert_ne!(backend(&mut held).await, backend(&mut other).await);
    held.rollback().await.unwrap();
    // A statement that one client prepared collides with the other's, or is missing, when the connection
    // changes hands.
    let prepared = "SELECT 1";
    sqlx::query(prepared).execute(&mut one).await.unwrap();
    let error = sqlx::query(prepared).execute(&mut other).await.unwrap_err();
    assert!(error.to_string().contains("prepared statement"), "{error}");
}
