//! The store of this run. The whole suite runs on one backend; `BYOKD_TEST_STORE` names it.

use std::path::Path;

use sea_orm::{ConnectionTrait as _, Database, DatabaseConnection};

/// The URL of a database of a test's own.
pub(crate) fn url(folder: &Path) -> String {
    match std::env::var("BYOKD_TEST_STORE").as_deref() {
        Err(_) | Ok("sqlite") => format!("sqlite:{}", folder.join("byokd.db").display()),
        Ok(other) => panic!("BYOKD_TEST_STORE={other}: this byokd has no such store"),
    }
}

/// A connection beside byokd's own, as a database administrator has one.
pub(crate) async fn connect(url: &str) -> DatabaseConnection {
    let connection = Database::connect(url).await.unwrap();
    connection.execute_unprepared("PRAGMA busy_timeout = 5000").await.unwrap();
    connection
}
