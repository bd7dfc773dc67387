//! PostgreSQL as operators run it: wrong URLs, TLS, many replicas that start at once, poolers.

use byokd::{
    domain::caller::Role,
    kms::LocalKms,
    store::{OpenMode, Store, StoreSettings},
};
use tokio::task::JoinSet;

use crate::support::{Site, answered, ask, new_key, openai_key, postgres, rows::number, until};

/// The same URL with one part replaced; panics if there was nothing to replace.
fn edited(url: &str, from: &str, to: &str) -> String {
    assert!(url.contains(from), "{from} is not in the URL");
    url.replacen(from, to, 1)
}

#[tokio::test]
#[ignore = "needs services: ./tests/run services"]
async fn a_bad_url_is_reported_in_one_line_without_its_password() {
    let good = postgres::shared().await;
    let parsed: url::Url = good.parse().unwrap();
    let (password, port) = (
        parsed.password().unwrap().to_owned(),
        parsed.port().unwrap(),
    );
    let with = |end: &str| format!("{good}?{end}");
    let rows = [
        (
            edited(&good, "127.0.0.1", "missing.invalid"),
            "cannot reach PostgreSQL at missing.invalid",
        ),
        (
            edited(&good, &port.to_string(), "1"),
            "cannot reach PostgreSQL at 127.0.0.1:1",
        ),
        (
            edited(&good, &password, "wrong-SECRET"),
            "check the password",
        ),
        (
            edited(&good, parsed.path(), "/not_there"),
            "has no database not_there",
        ),
        (with("sslmode=verify-full"), "no TLS with PostgreSQL"),
        (
            with("sslmode=verify-full&sslrootcert=/not/there.pem"),
            "check sslrootcert",
        ),
        (with("sslmode=sometimes"), "is not a PostgreSQL URL"),
        (
            edited(&good, &format!(":{port}"), ":port"),
            "is not a PostgreSQL URL",
        ),
    ];
    let site = Site::new().await;
    for (url, text) in rows {
        for command in ["serve", "migrate"] {
            let mut run = site.serve();
            if command == "migrate" {
                run = site.command(&["migrate", "status"]);
            }
            run.env("BYOKD__DATABASE__URL", &url);
            let said = match (command, text.starts_with("cannot reach")) {
                // It may recover: a replica waits for it.
                ("serve", true) => {
                    let process = site.spawn(run);
                    until("the failure is logged", async || {
                        Some(process.said()).filter(|said| said.contains(text))
                    })
                    .await
                }
                _ => site.refused(run).await,
            };
            assert!(said.contains(text), "{command} {text}: {said}");
            assert!(
                !said.contains(&password) && !said.contains("SECRET"),
                "{command} {text}: {said}"
            );
            assert_eq!(said.trim().lines().count(), 1, "{command} {text}: {said}");
        }
    }
}

#[tokio::test]
#[ignore = "needs services: ./tests/run services"]
async fn the_tls_modes_of_libpq_mean_what_they_say() {
    let url = postgres::shared().await;
    Store::migrate(&StoreSettings::at(&url)).await.unwrap();
    let ca = postgres::service("BYOKD_TEST_POSTGRES_CA");
    let encrypted = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                     WHERE ssl AND application_name = 'byokd' AND datname = current_database()";
    let database = crate::support::store::connect(&url).await;
    for (mode, encrypts) in [
        ("sslmode=require".to_owned(), true),
        (format!("sslmode=verify-ca&sslrootcert={ca}"), true),
        (format!("sslmode=verify-full&sslrootcert={ca}"), true),
    ] {
        let store = Store::open(
            &StoreSettings::at(&format!("{url}?{mode}")),
            OpenMode::Maintain,
        )
        .await
        .unwrap();
        store.platform().await.unwrap();
        assert_eq!(number(&database, encrypted).await > 0, encrypts, "{mode}");
        store.close().await;
    }
}

/// One migrates, the others wait for it, and all serve.
#[tokio::test]
#[ignore = "needs services: ./tests/run services"]
async fn ten_replicas_started_at_once_on_an_empty_database_all_serve() {
    let url = postgres::shared().await;
    let key_file = tempfile::tempdir().unwrap();
    let key_file = key_file.path().join("kms.key");
    LocalKms::create(&key_file).unwrap();
    let mut starting = Vec::new();
    for _ in 0..10 {
        let site = Site::new().await;
        let mut serve = site.serve();
        serve
            .env("BYOKD__DATABASE__URL", &url)
            .env("BYOKD__KMS__KEY_FILE", &key_file);
        let process = site.spawn(serve);
        starting.push((site, process));
    }
    let mut all = Vec::new();
    for (site, process) in starting {
        let process = site.listening(process).await;
        all.push((site, process));
    }
    let database = crate::support::store::connect(&url).await;
    assert_eq!(
        number(&database, "SELECT count(*) FROM deployment").await,
        1
    );
    assert_eq!(
        number(&database, "SELECT count(*) FROM seaql_migrations").await,
        3
    );
    for (n, (_, process)) in (1..).zip(&all) {
        let mut keys = process.keys(Role::Admin).await;
        keys.set_key(new_key(&format!("acme-{n}"), "openai", &openai_key(n)))
            .await
            .unwrap();
    }
    // Each created the missing data keys or took those of another: none exists twice.
    let twice = "SELECT count(*) FROM (SELECT bucket FROM data_keys WHERE state = 'active' GROUP BY bucket \
                 HAVING count(*) > 1) AS more";
    assert_eq!(number(&database, twice).await, 0);
}

#[tokio::test]
#[ignore = "needs services: ./tests/run services"]
async fn without_migration_an_outdated_schema_is_refused() {
    let site = Site::new().await;
    let url = postgres::shared().await;
    let serve = || {
        let mut serve = site.serve();
        serve
            .env("BYOKD__DATABASE__URL", &url)
            .env("BYOKD__DATABASE__MIGRATE", "none");
        serve
    };
    let said = site.refused(serve()).await;
    assert!(said.contains("byokd migrate up"), "{said}");
    let mut up = site.command(&["migrate", "up"]);
    up.env("BYOKD__DATABASE__URL", &url);
    assert!(site.spawn(up).ended().await.success());
    site.start_as(serve()).await;
}

/// Sessions change between transactions, and PgBouncer does not support prepared statements.
#[tokio::test]
#[ignore = "needs services: ./tests/run services"]
async fn works_behind_a_transaction_pooler() {
    let direct = postgres::shared().await;
    let site = Site::new().await;
    for listen_url in ["", &direct] {
        let mut serve = site.serve();
        serve
            .env("BYOKD__DATABASE__URL", postgres::pooled(&direct))
            .env("BYOKD__DATABASE__POOLER", "transaction")
            .env("BYOKD__DATABASE__LISTEN_URL", listen_url);
        let mut process = site.start_as(serve).await;
        let (admin, resolver) = (
            process.keys(Role::Admin).await,
            process.keys(Role::Resolver).await,
        );
        let mut changing = JoinSet::new();
        for n in 0..12 {
            let (mut admin, mut resolver) = (admin.clone(), resolver.clone());
            changing.spawn(async move {
                let workspace = format!("w{n}");
                let mut set = new_key(&workspace, "openai", &openai_key(n));
                set.enable_byo = true;
                while answered(admin.set_key(set.clone()).await).await.is_none() {}
                let resolved = loop {
                    let answer = resolver
                        .resolve_credentials(ask(&workspace, "", "openai", ""))
                        .await;
                    if let Some(resolved) = answered(answer).await {
                        break resolved;
                    }
                };
                assert_eq!(
                    resolved.into_inner().credential.unwrap().api_key,
                    openai_key(n)
                );
            });
        }
        changing.join_all().await;
        process.terminate();
        assert!(process.ended().await.success(), "{}", process.said());
        // byokd does not listen through the pooler, which would give the session to others.
        assert_eq!(
            process.said().contains("polling only"),
            listen_url.is_empty(),
            "{}",
            process.said()
        );
        assert!(
            !process.said().contains("prepared statement"),
            "{}",
            process.said()
        );
    }
}
