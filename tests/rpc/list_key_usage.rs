//! ListKeyUsage: the number of credentials issued by hour, key and caller.

use std::{collections::BTreeMap, time::Duration};

use byokd::{
    contract::v1,
    domain::{
        audit::{KeyUsage, TimeRange},
        caller::Role,
        names::WorkspaceId,
    },
    identity::{MintRequest, Signer, mint},
    store::{OpenMode, Store, StoreSettings},
};
use prost_types::Timestamp;

use crate::support::{Byokd, ask, openai_key};

/// A resolver of another name.
pub(crate) fn resolver(byokd: &Byokd, subject: &str) -> crate::support::byokd::Keys {
    let signer = Signer::in_folder(&byokd.config.server.data_dir).unwrap();
    let request = MintRequest {
        subject: subject.to_owned(),
        roles: vec![Role::Resolver],
        workspace: "*".to_owned(),
        purposes: vec![byokd::domain::names::PurposeName::reply()],
    };
    byokd.keys_with(&mint(&signer, &request, &byokd.clock).unwrap())
}

pub(crate) async fn resolve(byokd: &Byokd, subject: &str, times: u64) {
    let mut caller = resolver(byokd, subject);
    for _ in 0..times {
        caller
            .resolve_credentials(ask("acme", "", "openai", ""))
            .await
            .unwrap();
    }
}

/// Hour, generation and caller → count; page by page.
pub(crate) async fn usage(byokd: &Byokd, page_size: u32) -> BTreeMap<(i64, u64, String), u64> {
    let (mut rows, mut page_token) = (BTreeMap::new(), String::new());
    loop {
        let request = v1::ListKeyUsageRequest {
            workspace_id: "acme".into(),
            page_size,
            page_token: page_token.clone(),
            ..Default::default()
        };
        let page = byokd
            .keys(Role::Viewer, "acme")
            .list_key_usage(request)
            .await
            .unwrap()
            .into_inner();
        for row in page.usage {
            assert_eq!(row.provider, "openai");
            let key = (row.hour.unwrap().seconds, row.generation, row.caller);
            assert!(
                rows.insert(key, row.handed_out).is_none(),
                "a row came twice"
            );
        }
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return rows;
        }
    }
}

pub(crate) async fn acme_with_a_key(byokd: &Byokd) {
    byokd.set_platform_key("openai", &openai_key(9)).await;
    byokd.set_key("acme", "openai", &openai_key(1)).await;
    byokd.toggle("acme", true).await;
}

#[tokio::test]
async fn issued_credentials_are_counted_by_hour_generation_and_caller() {
    let byokd = Byokd::start().await;
    acme_with_a_key(&byokd).await;
    resolve(&byokd, "chat", 3).await;
    resolve(&byokd, "agents/ü.1", 2).await;
    byokd.set_key("acme", "openai", &openai_key(2)).await;
    resolve(&byokd, "chat", 4).await;
    // Refused, and on the platform's key: not counted.
    resolver(&byokd, "chat")
        .resolve_credentials(ask("acme", "", "anthropic", ""))
        .await
        .unwrap_err();
    resolver(&byokd, "chat")
        .resolve_credentials(ask("globex", "", "openai", ""))
        .await
        .unwrap();
    byokd.pass(Duration::from_secs(1800));
    resolve(&byokd, "chat", 1).await;
    byokd.pass(Duration::from_secs(1800));
    // A token is as old as the clock says.
    resolve(&byokd, "chat", 5).await;
    let byokd = byokd.restart().await;
    let noon = 1_907_755_200;
    let row =
        |hour, generation, caller: &str, count| ((hour, generation, caller.to_owned()), count);
    let expected = BTreeMap::from([
        row(noon, 1, "agents/ü.1", 2),
        row(noon, 1, "chat", 3),
        row(noon, 2, "chat", 5),
        row(noon + 3600, 2, "chat", 5),
    ]);
    for page_size in [0, 1, 2, 3, 4, 1000] {
        assert_eq!(
            usage(&byokd, page_size).await,
            expected,
            "pages of {page_size}"
        );
    }
    // Later calls are added.
    resolve(&byokd, "chat", 1).await;
    let byokd = byokd.restart().await;
    assert_eq!(
        usage(&byokd, 0).await[&(noon + 3600, 2, "chat".to_owned())],
        6
    );
    let second = v1::ListKeyUsageRequest {
        workspace_id: "acme".into(),
        start_time: Some(Timestamp {
            seconds: noon + 1,
            nanos: 0,
        }),
        end_time: Some(Timestamp {
            seconds: noon + 3601,
            nanos: 0,
        }),
        ..Default::default()
    };
    let page = byokd
        .admin()
        .list_key_usage(second)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        page.usage
            .iter()
            .map(|row| row.handed_out)
            .collect::<Vec<_>>(),
        [6]
    );
}

/// The answer of a commit was lost, and byokd sends the same counts again.
#[tokio::test]
async fn a_batch_is_added_once_however_often_it_is_sent() {
    let byokd = Byokd::start().await;
    let store = Store::open(
        &StoreSettings::at(&byokd.config.database.url),
        OpenMode::Maintain,
    )
    .await
    .unwrap();
    let workspace = WorkspaceId::parse("acme").unwrap();
    let (chain, now) = (uuid::Uuid::now_v7(), byokd.clock.now());
    let rows = [KeyUsage {
        workspace: workspace.clone(),
        provider: "openai".to_owned(),
        generation: 1,
        caller: "chat".to_owned(),
        hour: now,
        handed_out: 3,
    }];
    for (number, sum) in [(1, 3), (1, 3), (2, 6), (2, 6), (1, 6)] {
        store
            .add_key_usage(chain, now, number, &rows)
            .await
            .unwrap();
        let counted = store
            .key_usage(&workspace, TimeRange::default(), None, 10)
            .await
            .unwrap();
        assert_eq!(
            counted.iter().map(|row| row.handed_out).sum::<u64>(),
            sum,
            "batch {number}"
        );
    }
    // Another process has its own numbers.
    store
        .add_key_usage(uuid::Uuid::now_v7(), now, 1, &rows)
        .await
        .unwrap();
    let counted = store
        .key_usage(&workspace, TimeRange::default(), None, 10)
        .await
        .unwrap();
    assert_eq!(counted[0].handed_out, 9);
    store.close().await;
}
