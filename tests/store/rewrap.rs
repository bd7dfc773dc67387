//! `byokd rewrap` over SQLite: data keys move from one key file to another while byokd serves.

use byokd::domain::caller::Role;

use crate::support::{
    fleet::{Fleet, Load, assert_keys, set_keys},
    new_key, openai_key,
    rows::number,
    until,
};

const BUCKETS: i64 = 256;
const RECORDS: u32 = 12;

/// One machine: from a key file to another one, while byokd serves from the same SQLite file.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_keys_move_from_a_key_file_to_another_on_sqlite() {
    let mut fleet = Fleet::on_sqlite().await;
    let process = fleet.start().await;
    set_keys(&process, RECORDS).await;
    let database = fleet.database().await;
    until("all data keys exist", async || {
        (number(&database, "SELECT count(*) FROM data_keys").await == BUCKETS).then_some(())
    })
    .await;
    let (first, second) = (fleet.site.path("first.key"), fleet.key_file("second.key"));
    fleet.set("BYOKD__KMS__KEY_FILE", &second.display().to_string());
    // Not without the file that opens the existing data keys.
    fleet
        .run(&["rewrap"])
        .await
        .says(1, &["local:", "kms.previous_keys"]);
    fleet.set_previous(&[&first.display().to_string()]);
    let load = Load::start(&process, RECORDS).await;
    fleet
        .run(&["rewrap"])
        .await
        .says(0, &["moved 256 data keys", "256 of 256 looked at"]);
    fleet.run(&["rewrap"]).await.says(0, &["nothing to move"]);
    load.goes_on().await;
    load.end().await;
    drop(process);
    std::fs::remove_file(&first).unwrap();
    fleet.set_previous(&[]);
    let process = fleet.start().await;
    assert_keys(&process, RECORDS).await;
    process
        .keys(Role::Admin)
        .await
        .set_key(new_key("new", "openai", &openai_key(1)))
        .await
        .unwrap();
}
