//! The store of this run. The whole suite runs on one backend; `BYOKD_TEST_STORE` names it.

use std::{
    path::{Path, PathBuf},
    sync::Mutex,
};

use sea_orm::{ConnectionTrait as _, Database, DatabaseConnection, DbBackend};

use super::{postgres, rows::number};

/// The number of unused databases that are removed at once.
const MANY: usize = 12;

/// Databases of tests, with the folders of these tests.
static MADE: Mutex<Vec<(PathBuf, String)>> = Mutex::new(Vec::new());

/// Whether this run is one on PostgreSQL.
pub(crate) fn is_postgres() -> bool {
    match std::env::var("BYOKD_TEST_STORE").as_deref() {
        Err(_) | Ok("sqlite") => false,
        Ok("postgres") => true,
        Ok(other) => panic!("BYOKD_TEST_STORE={other}: this byokd has no such store"),
    }
}

/// The URL of a SQLite file in this folder.
pub(crate) fn sqlite(folder: &Path) -> String {
    format!("sqlite:{}", folder.join("byokd.db").display())
}

/// The URL of a database of a test's own, ready to be served. It lasts as long as the test's folder.
pub(crate) async fn url(folder: &Path) -> String {
    if is_postgres() {
        last_as_long_as(folder, postgres::migrated().await).await
    } else {
        sqlite(folder)
    }
}

/// The URL of an empty PostgreSQL database of a test's own.
pub(crate) async fn empty(folder: &Path) -> String {
    last_as_long_as(folder, postgres::shared().await).await
}

async fn last_as_long_as(folder: &Path, url: String) -> String {
    // Hundreds of databases would fill a small disk: those of finished tests are removed, many at once.
    let over: Vec<String> = {
        let mut made = MADE.lock().unwrap();
        made.push((folder.to_owned(), url.clone()));
        if made.iter().filter(|(folder, _)| !folder.exists()).count() >= MANY {
            made.extract_if(.., |(folder, _)| !folder.exists())
                .map(|(_, url)| url)
                .collect()
        } else {
            Vec::new()
        }
    };
    if !over.is_empty() {
        postgres::drop_shared(&over).await;
    }
    url
}

/// A connection beside byokd's own, as a database administrator has one.
pub(crate) async fn connect(url: &str) -> DatabaseConnection {
    let connection = Database::connect(url).await.unwrap();
    if connection.get_database_backend() == DbBackend::Sqlite {
        connection
            .execute_unprepared("PRAGMA busy_timeout = 5000")
            .await
            .unwrap();
    }
    connection
}

/// The database finds no damage in its own files. A killed client cannot damage PostgreSQL, which has no such
/// query.
pub(crate) async fn assert_intact(connection: &DatabaseConnection, context: &str) {
    if connection.get_database_backend() == DbBackend::Sqlite {
        let damage = "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'";
        assert_eq!(number(connection, damage).await, 0, "{context}");
    }
}
