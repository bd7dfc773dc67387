//! The caller is gone over the wire: clients that cancel, and deadlines from 1 ms on.

use std::time::{Duration, Instant};

use byokd::contract::v1;
use tonic::Request;

use crate::support::{Byokd, Rows, new_key, openai_key, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn set_key_is_whole_or_absent_when_a_client_cancels_or_its_deadline_passes() {
    let byokd = Byokd::start().await;
    let database = byokd.database().await;
    let usual = Instant::now();
    byokd.set_key("usual", "openai", &openai_key(0)).await;
    let longest = u32::try_from(usual.elapsed().as_micros()).unwrap() * 2;
    let (mut workspaces, mut left) = (Vec::new(), 0);
    for n in 1..=60 {
        let patience =
            Duration::from_micros(u64::from(longest * n / 60)).max(Duration::from_millis(1));
        let workspace = format!("wire-{n}");
        let mut admin = byokd.admin();
        // The hot path holds an entry that the change must make stale.
        assert!(byokd.secret(&workspace, "openai").await.is_err());
        let mut request = Request::new(v1::SetKeyRequest {
            enable_byo: true,
            ..new_key(&workspace, "openai", &openai_key(n))
        });
        let outcome = if n % 2 == 0 {
            request.set_timeout(patience);
            admin.set_key(request).await.ok()
        } else {
            let cancelled = tokio::time::timeout(patience, admin.set_key(request)).await;
            cancelled.ok().map(|answer| answer.unwrap())
        };
        left += usize::from(outcome.is_none());
        workspaces.push((workspace, n, outcome.map(|answer| answer.into_inner())));
    }
    assert!(left > 0, "every client waited long enough");
    // A change elsewhere waits for the ones that began before.
    byokd.toggle("following", true).await;
    for (workspace, n, answer) in &workspaces {
        until("directory and database agree", async || {
            let rows = Rows::of(&database, workspace).await;
            rows.assert_whole(workspace);
            let served = byokd.secret(workspace, "openai").await;
            let agree =
                served.as_ref().ok() == rows.active("openai").map(|_| openai_key(*n)).as_ref();
            (agree && Rows::of(&database, workspace).await == rows).then_some(())
        })
        .await;
        if let Some(v1::SetKeyResponse { key, .. }) = answer {
            assert_eq!(key.as_ref().unwrap().generation, 1);
            assert!(
                byokd.secret(workspace, "openai").await.is_ok(),
                "acknowledged: {workspace}"
            );
        }
    }
}
