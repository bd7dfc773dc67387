//! ListAuditEvents: pages, time ranges, and retention.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use byokd::contract::v1;
use prost_types::Timestamp;
use time::{OffsetDateTime, macros::datetime};

use crate::support::{Byokd, new_key, openai_key, refused, rows::number, until};

const NOON: OffsetDateTime = datetime!(2030-06-15 12:00 UTC);

fn stamp(at: OffsetDateTime) -> Option<Timestamp> {
    Some(Timestamp {
        seconds: at.unix_timestamp(),
        nanos: i32::try_from(at.nanosecond()).unwrap(),
    })
}

fn events_of(workspace: &str, page_size: u32, page_token: &str) -> v1::ListAuditEventsRequest {
    v1::ListAuditEventsRequest {
        workspace_id: workspace.to_owned(),
        page_size,
        page_token: page_token.to_owned(),
        ..Default::default()
    }
}

/// The revisions within a range.
async fn revisions(byokd: &Byokd, start: Option<Timestamp>, end: Option<Timestamp>) -> Vec<u64> {
    let request = v1::ListAuditEventsRequest {
        start_time: start,
        end_time: end,
        ..events_of("acme", 0, "")
    };
    let page = byokd
        .admin()
        .list_audit_events(request)
        .await
        .unwrap()
        .into_inner();
    page.events.iter().map(|event| event.revision).collect()
}

#[tokio::test]
async fn an_event_has_actor_action_and_time() {
    let byokd = Byokd::start().await;
    let set = v1::SetKeyRequest {
        request_id: "request-7".into(),
        on_behalf_of: "jane@acme.example".into(),
        ..new_key("acme", "openai", &openai_key(1))
    };
    byokd.admin().set_key(set).await.unwrap();
    let page = byokd
        .admin()
        .list_audit_events(events_of("acme", 0, ""))
        .await
        .unwrap()
        .into_inner();
    assert_eq!((page.events.len(), page.next_page_token.as_str()), (1, ""));
    let event = &page.events[0];
    assert_eq!(
        [
            &event.actor,
            &event.on_behalf_of,
            &event.action,
            &event.provider,
            &event.request_id
        ],
        [
            "tests",
            "jane@acme.example",
            "SetKey",
            "openai",
            "request-7"
        ]
    );
    assert_eq!(
        (event.at, event.revision, event.verdict()),
        (stamp(NOON), 1, v1::Verdict::Valid)
    );
    assert!(uuid::Uuid::parse_str(&event.event_id).is_ok());
    let after: serde_json::Value = serde_json::from_str(&event.after).unwrap();
    assert!(
        after["key"]["masked"].as_str().unwrap().ends_with("efgh"),
        "{after}"
    );
    assert!(!event.after.contains("SYNTHETIC"));
    let others = byokd
        .admin()
        .list_audit_events(events_of("globex", 0, ""))
        .await
        .unwrap()
        .into_inner();
    assert!(others.events.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_over_a_thousand_events_miss_none_and_repeat_none_while_more_are_written() {
    let byokd = Arc::new(Byokd::start().await);
    for n in 0..1000 {
        byokd.toggle("acme", n % 2 == 0).await;
    }
    let stop = Arc::new(AtomicBool::new(false));
    let (writing, stopping) = (Arc::clone(&byokd), Arc::clone(&stop));
    let writer = tokio::spawn(async move {
        let mut written = 1000_u64;
        while !stopping.load(Ordering::SeqCst) {
            written = writing
                .toggle("acme", written.is_multiple_of(2))
                .await
                .workspace
                .unwrap()
                .revision;
        }
        written
    });
    let (mut seen, mut token) = (Vec::new(), String::new());
    loop {
        let page = byokd
            .admin()
            .list_audit_events(events_of("acme", 50, &token))
            .await
            .unwrap()
            .into_inner();
        assert!(page.events.len() <= 50);
        seen.extend(page.events);
        if seen.len() >= 1100 {
            stop.store(true, Ordering::SeqCst);
        }
        token = page.next_page_token;
        if token.is_empty() {
            if stop.load(Ordering::SeqCst) {
                break;
            }
            // More events follow the last one that was read.
            token = seen.last().unwrap().revision.to_string();
        }
    }
    let written = writer.await.unwrap();
    let last = seen.last().unwrap().revision.to_string();
    let rest = byokd
        .admin()
        .list_audit_events(events_of("acme", 1000, &last))
        .await
        .unwrap();
    seen.extend(rest.into_inner().events);
    let revisions: Vec<u64> = seen.iter().map(|event| event.revision).collect();
    assert_eq!(revisions, (1..=written).collect::<Vec<_>>());
    let ids: HashSet<&str> = seen.iter().map(|event| event.event_id.as_str()).collect();
    assert_eq!(ids.len(), seen.len());
}

#[tokio::test]
async fn a_range_begins_with_its_start_and_ends_before_its_end_to_the_fraction_of_a_second() {
    let byokd = Byokd::start().await;
    // 12:00:00, 12:00:00.5, 12:00:00.51, 12:00:01
    for (n, pass) in [0, 500, 10, 490].into_iter().enumerate() {
        byokd.pass(Duration::from_millis(pass));
        byokd.toggle("acme", n % 2 == 0).await;
    }
    let at = |ms: i64| stamp(NOON + time::Duration::milliseconds(ms));
    for (start, end, expected) in [
        (None, None, &[1, 2, 3, 4][..]),
        (at(0), None, &[1, 2, 3, 4]),
        (at(1), None, &[2, 3, 4]),
        (at(500), None, &[2, 3, 4]),
        (at(501), None, &[3, 4]),
        (None, at(0), &[]),
        (None, at(500), &[1]),
        (None, at(510), &[1, 2]),
        (at(500), at(510), &[2]),
        (at(510), at(1000), &[3]),
        (at(1000), at(1001), &[4]),
        (at(500), at(500), &[]),
    ] {
        assert_eq!(
            revisions(&byokd, start, end).await,
            expected,
            "{start:?} {end:?}"
        );
    }
}

#[tokio::test]
async fn a_reversed_range_a_foreign_token_and_a_wrong_size_are_refused() {
    let byokd = Byokd::start().await;
    byokd.toggle("acme", true).await;
    let (early, late) = (stamp(NOON), stamp(NOON + time::Duration::SECOND));
    let beyond = Some(Timestamp {
        seconds: i64::MAX,
        nanos: 0,
    });
    let nanos = Some(Timestamp {
        seconds: 0,
        nanos: -1,
    });
    let ancient = Some(Timestamp {
        seconds: -62_135_596_801,
        nanos: 0,
    });
    let mut rows = vec![(late, early, 0, ""), (None, None, 1001, "")];
    rows.extend([beyond, nanos, ancient].map(|bad| (bad, None, 0, "")));
    rows.extend(
        ["x", "-1", "+1", "1.0", "99999999999999999999"].map(|token| (None, None, 0, token)),
    );
    for (start_time, end_time, page_size, token) in rows {
        let (page_token, workspace_id) = (token.to_owned(), "acme".to_owned());
        let request = v1::ListAuditEventsRequest {
            workspace_id: workspace_id.clone(),
            start_time,
            end_time,
            page_size,
            page_token: page_token.clone(),
        };
        let context = format!("{request:?}");
        assert_eq!(
            refused(byokd.admin().list_audit_events(request).await),
            "FIELD_INVALID",
            "{context}"
        );
        let request = v1::ListPlatformAuditEventsRequest {
            start_time,
            end_time,
            page_size,
            page_token: page_token.clone(),
        };
        assert_eq!(
            refused(byokd.operator().list_platform_audit_events(request).await),
            "FIELD_INVALID",
            "{context}"
        );
        let request = v1::ListKeyUsageRequest {
            workspace_id,
            start_time,
            end_time,
            page_size,
            page_token,
        };
        assert_eq!(
            refused(byokd.admin().list_key_usage(request).await),
            "FIELD_INVALID",
            "{context}"
        );
    }
    // After the last page there is nothing, which is no error.
    let page = byokd
        .admin()
        .list_audit_events(events_of("acme", 0, "18446744073709551615"))
        .await
        .unwrap();
    assert!(page.into_inner().events.is_empty());
}

#[tokio::test]
async fn events_beyond_the_retention_are_deleted() {
    let byokd = Byokd::start_with(|config| config.audit.retention_days = 30).await;
    byokd.set_key("acme", "openai", &openai_key(1)).await;
    byokd.toggle("acme", true).await;
    byokd.resolve("acme", "", "openai").await.unwrap();
    byokd.pass(Duration::from_secs(31 * 24 * 3600));
    let byokd = byokd.restart().await;
    byokd.toggle("acme", false).await;
    let database = byokd.database().await;
    let old = "SELECT (SELECT count(*) FROM audit_events WHERE revision < 3) + (SELECT count(*) FROM key_usage)";
    until("the old rows are gone", async || {
        (number(&database, old).await == 0).then_some(())
    })
    .await;
    assert_eq!(revisions(&byokd, None, None).await, [3]);
}
