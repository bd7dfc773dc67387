//! `byokd rewrap --data-keys` that is killed, or left unfinished.

use super::records::{
    RECORDS, data_keys, left_behind, let_the_claim_die, live_keys, started_with_keys,
};
use crate::support::{
    fleet::{Fleet, assert_keys},
    until,
};

/// Rewraps that are killed before one may finish.
const KILLS: u32 = 5;

/// Killed at one moment and another, it finishes, and no record was moved twice or lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs services: ./tests/run services"]
async fn a_rewrap_of_records_killed_again_and_again_finishes() {
    let fleet = Fleet::on_postgres().await;
    let (process, database) = started_with_keys(&fleet).await;
    let before = live_keys(&database).await;
    let mut at = 0;
    for kill in 0..KILLS {
        let mut killed = fleet.site.spawn(fleet.command(&["rewrap", "--data-keys"]));
        let goal = at + 256 / i64::from(KILLS + 1);
        at = until("it goes on", async || {
            let at = data_keys(&database, "retired").await;
            (at >= goal).then_some(at)
        })
        .await;
        killed.kill();
        assert!(at < 256, "it was done after {kill} kills");
        assert_keys(&process, RECORDS).await;
        let_the_claim_die(&database).await;
    }
    let ended = fleet.run(&["rewrap", "--data-keys", "-o", "json"]).await;
    assert_eq!(ended.json()["resumed"], true, "{ended:?}");
    fleet
        .run(&["rewrap", "--data-keys", "--dry-run"])
        .await
        .says(0, &["would move 16 records"]);
    assert_eq!(
        (
            left_behind(&database).await,
            data_keys(&database, "active").await
        ),
        (0, 256)
    );
    let after = live_keys(&database).await;
    assert!(
        before
            .iter()
            .zip(&after)
            .all(|(before, after)| before.1 == after.1 && before.2 != after.2)
    );
    assert_eq!(before.len(), after.len());
    assert_keys(&process, RECORDS).await;
    drop(process);
    assert_keys(&fleet.start().await, RECORDS).await;
}

/// An earlier run worked for another KMS key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs services: ./tests/run services"]
async fn an_unfinished_run_for_another_kms_key_is_not_continued() {
    let mut fleet = Fleet::on_postgres().await;
    let (process, database) = started_with_keys(&fleet).await;
    drop(process);
    let mut killed = fleet.site.spawn(fleet.command(&["rewrap", "--data-keys"]));
    until("half of it is done", async || {
        (data_keys(&database, "retired").await >= 128).then_some(())
    })
    .await;
    killed.kill();
    let_the_claim_die(&database).await;

    let (first, second) = (fleet.site.path("first.key"), fleet.key_file("second.key"));
    fleet.set("BYOKD__KMS__KEY_FILE", &second.display().to_string());
    fleet.set_previous(&[&first.display().to_string()]);
    fleet
        .run(&["rewrap", "--data-keys"])
        .await
        .says(0, &["records"]);
    std::fs::remove_file(&first).unwrap();
    fleet.set_previous(&[]);
    assert_keys(&fleet.start().await, RECORDS).await;
}
