//! PostgreSQL keeps no provider key in clear text: not in its tables' files, not in its write-ahead log, and
//! not in its server log with every statement and its parameters.
//!
//! Not here: the sealed bytes of a record that ended. They stay in files until a vacuum, and in the log until
//! it is recycled.

use byokd::contract::v1;
use sea_orm::ConnectionTrait as _;

use crate::{
    store::plaintext::{contains, files},
    support::{Byokd, OwnPostgres, new_key, reason, sql::hex},
};

#[tokio::test]
#[ignore = "needs services: ./tests/run services"]
async fn a_keys_bytes_are_in_no_file_of_the_database_server() {
    let mut own = OwnPostgres::start().await;
    let admin = own.admin().await;
    admin
        .execute_unprepared("ALTER SYSTEM SET log_statement = 'all'")
        .await
        .unwrap();
    admin
        .execute_unprepared("SELECT pg_reload_conf()")
        .await
        .unwrap();
    admin.close().await.unwrap();
    // A start reads the settings again at the latest.
    own.stop_fast().await;
    own.start_again().await;

    let url = own.url();
    let byokd = Byokd::start_with(|config| config.database.url = url).await;
    let planted: Vec<String> = (1..=4)
        .map(|n| format!("sk-proj-PLANTED-{n}-0123456789abcdefWXYZ"))
        .collect();
    let named = v1::SetKeyRequest {
        request_id: "request-1".into(),
        enable_byo: true,
        ..new_key("acme", "openai", &planted[0])
    };
    byokd.admin().set_key(named.clone()).await.unwrap();
    byokd.admin().set_key(named.clone()).await.unwrap();
    // The result of another request: byokd finds its key by a fingerprint.
    let reused = v1::SetKeyRequest {
        api_key: planted[1].clone(),
        ..named
    };
    assert_eq!(
        reason(&byokd.admin().set_key(reused).await.unwrap_err()),
        "REQUEST_ID_REUSED"
    );
    byokd.set_key("acme", "openai", &planted[2]).await;
    byokd.set_platform_key("openai", &planted[3]).await;
    assert_eq!(byokd.secret("acme", "openai").await.unwrap(), planted[2]);

    own.stop_fast().await;
    let files = files(own.folder());
    for part in ["pg_wal", "base", "said"] {
        let there =
            |(name, bytes): &(String, Vec<u8>)| name.contains(part) && contains(bytes, b"WXYZ");
        assert!(
            files.iter().any(there),
            "{part}: the search finds what is there"
        );
    }
    for (name, bytes) in &files {
        assert!(!contains(bytes, b"PLANTED"), "{name}");
        assert!(!contains(bytes, hex(b"PLANTED").as_bytes()), "{name}");
    }
}
