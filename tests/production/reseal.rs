//! `byokd rewrap --data-keys`, by the real binary: every record is sealed again in its place while replicas
//! serve, and no change is lost. It is also the way from a key file to a cloud KMS.

mod interrupted;
mod records;

use std::sync::Arc;

use byokd::domain::caller::Role;
use sea_orm::{ConnectionTrait as _, Statement};
use tokio::{sync::Semaphore, task::JoinSet};

use self::records::{RECORDS, data_keys, left_behind, live_keys, started_with_keys};
use crate::support::fleet::{Fleet, Load, assert_keys, workspace};
use crate::support::{
    KmsProxy, Reply, Rows, ask, new_key, openai_key, refused, rows::number, until,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs services: ./tests/run services"]
async fn every_record_is_sealed_again_in_place_while_a_replica_serves() {
    for fleet in [Fleet::on_postgres().await, Fleet::on_sqlite().await] {
        let (process, database) = started_with_keys(&fleet).await;
        let before = live_keys(&database).await;
        fleet
            .run(&["rewrap", "--data-keys", "--dry-run"])
            .await
            .says(0, &[&format!("would move {RECORDS} records")]);
        assert_eq!(
            (
                live_keys(&database).await,
                data_keys(&database, "retired").await
            ),
            (before.clone(), 0)
        );

        let load = Load::start(&process, RECORDS).await;
        load.goes_on().await;
        let ended = fleet.run(&["rewrap", "--data-keys", "-o", "json"]).await;
        let json = ended.json();
        assert!(
            json["moved"].as_u64().unwrap() >= u64::from(RECORDS),
            "{ended:?}"
        );
        assert_eq!(
            (json["refused"].as_u64(), json["resumed"].as_bool()),
            (Some(0), Some(false)),
            "{ended:?}"
        );
        assert!(ended.said.contains("256 of 256 looked at"), "{ended:?}");
        load.goes_on().await;
        load.end().await;

        let after = live_keys(&database).await;
        assert_eq!(after.len(), before.len());
        for (before, after) in before.iter().zip(&after) {
            assert_eq!((&before.0, &before.1), (&after.0, &after.1));
            assert_ne!(before.2, after.2, "{} was not sealed again", after.1);
        }
        assert_eq!(left_behind(&database).await, 0);
        // A replica may still hold a record in memory that the old data keys sealed.
        assert_eq!(
            (
                data_keys(&database, "active").await,
                data_keys(&database, "retired").await
            ),
            (256, 256)
        );
        assert_keys(&process, RECORDS).await;
        drop(process);
        assert_keys(&fleet.start().await, RECORDS).await;
        database.close().await.unwrap();
    }
}

/// The test of a key takes as long as its provider; the data key at its start is not the one that seals it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs services: ./tests/run services"]
async fn a_set_key_in_flight_is_sealed_under_the_successor() {
    let mut fleet = Fleet::on_postgres().await;
    fleet.set("BYOKD__CHECKS__DEADLINE_MS", "10000");
    let (process, database) = started_with_keys(&fleet).await;
    let early = "SELECT workspace_id FROM provider_keys WHERE bucket < 64 ORDER BY 1";
    let early = database
        .query_all_raw(Statement::from_string(
            database.get_database_backend(),
            early,
        ))
        .await;
    let early: Vec<String> = early
        .unwrap()
        .iter()
        .map(|row| row.try_get_by_index(0).unwrap())
        .collect();
    assert!(!early.is_empty());
    let gate = Arc::new(Semaphore::new(0));
    fleet.site.provider.forget_requests();
    fleet
        .site
        .provider
        .on_list(Reply::models(&["small-2030"]).behind(&gate));
    let mut setting = JoinSet::new();
    for (n, workspace) in (100..).zip(&early) {
        let mut admin = process.keys(Role::Admin).await;
        let request = new_key(workspace, "openai", &openai_key(n));
        setting.spawn(async move { admin.set_key(request).await });
    }
    until("all are being tested", async || {
        (fleet.site.provider.requests().len() >= early.len()).then_some(())
    })
    .await;
    let mut rewrap = fleet.site.spawn(fleet.command(&["rewrap", "--data-keys"]));
    until("their data keys are retired", async || {
        (data_keys(&database, "retired").await >= 64).then_some(())
    })
    .await;
    gate.add_permits(1_000);
    for set in setting.join_all().await {
        set.unwrap();
    }
    assert!(rewrap.ended().await.success(), "{}", rewrap.said());
    assert_eq!(left_behind(&database).await, 0);
    let mut resolver = process.keys(Role::Resolver).await;
    for (n, workspace) in (100..).zip(&early) {
        let resolved = resolver
            .resolve_credentials(ask(workspace, "", "openai", ""))
            .await
            .unwrap();
        assert_eq!(
            resolved.into_inner().credential.unwrap().api_key,
            openai_key(n)
        );
        Rows::of(&database, workspace).await.assert_whole(workspace);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs services: ./tests/run services"]
async fn a_damaged_record_is_counted_and_named_and_the_others_are_sealed_again() {
    let fleet = Fleet::on_postgres().await;
    let (process, database) = started_with_keys(&fleet).await;
    drop(process);
    for (workspace, damage) in [
        ("w3", "sealed = 'damaged'"),
        ("w5", "base_url = 'http://elsewhere'"),
    ] {
        let sql = format!(
            "UPDATE provider_keys SET {damage} WHERE state = 'active' AND workspace_id = '{workspace}'"
        );
        database.execute_unprepared(&sql).await.unwrap();
    }
    let before = live_keys(&database).await;
    let ended = fleet.run(&["rewrap", "--data-keys"]).await;
    let moved = format!("moved {} records", RECORDS - 2);
    ended.says(
        2,
        &[
            &moved,
            "2 refused",
            "2 records could not be moved",
            "set those keys again",
        ],
    );
    for (key_id, fixed, sealed) in live_keys(&database).await {
        let damaged = fixed.contains(" w3 ") || fixed.contains(" w5 ");
        assert_eq!(ended.said.contains(&key_id), damaged, "{fixed}: {ended:?}");
        assert_eq!(before.iter().any(|row| row.2 == sealed), damaged, "{fixed}");
    }
    let process = fleet.start().await;
    let mut resolver = process.keys(Role::Resolver).await;
    let resolved = resolver
        .resolve_credentials(ask("w3", "", "openai", ""))
        .await;
    assert_eq!(refused(resolved), "RECORD_CORRUPT");
    // The proposal in the message works.
    let mut admin = process.keys(Role::Admin).await;
    for n in [3, 5] {
        admin
            .set_key(new_key(&workspace(n), "openai", &openai_key(n)))
            .await
            .unwrap();
    }
    assert_keys(&process, RECORDS).await;
}

/// From one machine's key file to a cloud KMS: wrappings cannot move, so the records do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs services: ./tests/run services"]
async fn records_move_from_a_key_file_to_a_cloud_kms() {
    for mut fleet in [Fleet::on_postgres().await, Fleet::on_sqlite().await] {
        let (process, database) = started_with_keys(&fleet).await;
        drop(process);
        let kms = KmsProxy::start().await;
        let (arn, file) = (kms.create_key().await, fleet.site.path("first.key"));
        fleet.unset("BYOKD__KMS__KEY_FILE");
        fleet.set_kms(&kms, &arn, &[&file.display().to_string()]);
        let process = fleet.start().await;
        let load = Load::start(&process, RECORDS).await;
        load.goes_on().await;
        fleet
            .run(&["rewrap"])
            .await
            .says(1, &["local:", &arn, "byokd rewrap --data-keys"]);
        assert_eq!(data_keys(&database, "retired").await, 0);
        let ended = fleet.run(&["rewrap", "--data-keys", "-o", "json"]).await;
        assert_eq!(ended.json()["kms_key"], arn.as_str());
        load.goes_on().await;
        load.end().await;
        drop(process);
        let under = format!(
            "SELECT count(*) FROM data_keys WHERE state = 'active' AND kms_key_arn = '{arn}'"
        );
        assert_eq!(
            (
                number(&database, &under).await,
                left_behind(&database).await
            ),
            (256, 0)
        );
        std::fs::remove_file(&file).unwrap();
        fleet.set_kms(&kms, &arn, &[]);
        let process = fleet.start().await;
        assert_keys(&process, RECORDS).await;
        process
            .keys(Role::Admin)
            .await
            .set_key(new_key("new", "openai", &openai_key(1)))
            .await
            .unwrap();
        kms.assert_clean();
        database.close().await.unwrap();
    }
}
