//! PostgreSQL: databases of a test's own on the server that tests/services.sh started.
//!
//! Not here: servers of a test's own (`own_postgres`), and faults of the network (`proxy`).

use byokd::store::{Store, StoreSettings};
use sea_orm::{ConnectionTrait as _, Database};
use tokio::sync::OnceCell;
use url::Url;

/// A variable that tests/services.sh exports.
pub(crate) fn service(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| {
        panic!(
            "{variable} is not set: start the services with `tests/services.sh cargo test NAME -- --include-ignored`"
        )
    })
}

/// The same server's or pooler's URL, for this database.
pub(crate) fn with_database(url: &str, database: &str) -> String {
    let mut url: Url = url.parse().unwrap();
    url.set_path(database);
    url.into()
}

/// The URL of a new, empty database on the shared server, owned by the user in it. It lasts as long as the
/// server.
pub(crate) async fn shared() -> String {
    create("").await
}

/// The same with byokd's schema, as `byokd migrate up` leaves it: a copy of one that is created once a run.
pub(crate) async fn migrated() -> String {
    static TEMPLATE: OnceCell<String> = OnceCell::const_new();
    let template = TEMPLATE.get_or_init(async || {
        let url = shared().await;
        Store::migrate(&StoreSettings::at(&url)).await.unwrap();
        let url: Url = url.parse().unwrap();
        let name = url.path().trim_start_matches('/').to_owned();
        // A database with open connections cannot be copied.
        execute(
            &service("BYOKD_TEST_POSTGRES_ADMIN"),
            &format!(
                "ALTER DATABASE {name} ALLOW_CONNECTIONS false; SELECT pg_terminate_backend(pid, 10000) \
                 FROM pg_stat_activity WHERE datname = '{name}'"
            ),
        )
        .await;
        name
    });
    let url = create(&format!(" TEMPLATE {}", template.await)).await;
    // A copy would be the same deployment, and one test's records would open in another.
    let connection = Database::connect(&url).await.unwrap();
    let own = "UPDATE deployment SET deployment_id = gen_random_uuid()";
    connection.execute_unprepared(own).await.unwrap();
    connection.close().await.unwrap();
    url
}

async fn create(how: &str) -> String {
    let name = format!("test_{}", uuid::Uuid::new_v4().simple());
    execute(
        &service("BYOKD_TEST_POSTGRES"),
        &format!("CREATE DATABASE {name}{how}"),
    )
    .await;
    with_database(&service("BYOKD_TEST_POSTGRES"), &name)
}

/// Removes databases that [`shared`] created, and disconnects their clients.
pub(crate) async fn drop_shared(urls: &[String]) {
    let connection = Database::connect(with_database(&service("BYOKD_TEST_POSTGRES"), "postgres"))
        .await
        .unwrap();
    for url in urls {
        let url: Url = url.parse().unwrap();
        let name = url.path().trim_start_matches('/');
        let sql = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
        connection.execute_unprepared(&sql).await.unwrap();
    }
    connection.close().await.unwrap();
}

/// The URL of the shared database `url` through PgBouncer.
pub(crate) fn pooled(url: &str) -> String {
    let url: Url = url.parse().unwrap();
    with_database(&service("BYOKD_TEST_PGBOUNCER"), url.path())
}

/// One statement in the database `postgres` of a server.
async fn execute(server: &str, sql: &str) {
    let connection = Database::connect(with_database(server, "postgres"))
        .await
        .unwrap();
    connection.execute_unprepared(sql).await.unwrap();
    connection.close().await.unwrap();
}
