//! An answer from memory sends no request to database, KMS or provider, and logs nothing.

use byokd::{contract::v1, domain::caller::Role};

use crate::support::admin::{Admin, serve};
use crate::support::{Site, ask, new_key, openai_key};

const CALLS: usize = 200;

/// The metrics that count requests to the database and the KMS.
const ASKED: [&str; 3] = [
    "db_client_operation_duration_seconds_count{db_operation_name=\"load_holder\"",
    "db_client_operation_duration_seconds_count{db_operation_name=\"load_data_key\"",
    "byokd_kms_call_duration_seconds_count{operation=\"decrypt\"",
];

fn count(metrics: &str, name: &str) -> u64 {
    metrics
        .lines()
        .filter(|line| line.starts_with(name))
        .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
        .sum()
}

#[tokio::test]
async fn a_warm_resolve_sends_no_request_and_logs_nothing() {
    let site = Site::new().await;
    let mut process = site.start_as(serve(&site)).await;
    let admin = Admin::of(&mut process).await;
    admin.ready().await;
    let key = v1::SetKeyRequest {
        enable_byo: true,
        ..new_key("acme", "openai", &openai_key(1))
    };
    process.keys(Role::Admin).await.set_key(key).await.unwrap();
    let mut resolver = process.keys(Role::Resolver).await;
    resolver
        .resolve_credentials(ask("acme", "small", "", ""))
        .await
        .unwrap();
    // This call reads the platform as well, which is read once for all.
    resolver
        .resolve_credentials(ask("initech", "llama", "", ""))
        .await
        .unwrap();

    let ((_, before), said) = (admin.get("/metrics").await, process.said());
    // The names that byokd counts under.
    assert!(
        count(&before, ASKED[0]) > 0
            && before.contains("byokd_kms_call_duration_seconds_count{operation=")
    );
    for _ in 0..CALLS {
        resolver
            .resolve_credentials(ask("acme", "small", "", ""))
            .await
            .unwrap();
    }
    let ((_, after), said_since) = (admin.get("/metrics").await, process.said());
    let hits = "byokd_directory_lookups_total{result=\"hit\"}";
    assert_eq!(count(&after, hits) - count(&before, hits), CALLS as u64);
    for asked in ASKED {
        assert_eq!(count(&after, asked), count(&before, asked), "{asked}");
    }
    assert_eq!(said, said_since);
    // A workspace that is not in memory costs one load, and no call to the KMS.
    resolver
        .resolve_credentials(ask("globex", "llama", "", ""))
        .await
        .unwrap();
    let (_, last) = admin.get("/metrics").await;
    assert_eq!(
        ASKED.map(|asked| count(&last, asked) - count(&after, asked)),
        [1, 0, 0]
    );
}
