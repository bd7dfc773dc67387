//! The caller is gone at each await point of a change: the change is whole or absent, and the next call
//! works.

mod wire;

use std::{
    future::poll_fn,
    path::PathBuf,
    sync::Arc,
    task::Poll,
    time::{Duration, Instant},
};

use crate::support::{FakeProvider, Rows, byokd::config, catalog::catalog, lines, openai_key};
use byokd::{
    app_state::AppState,
    change::ChangeMeta,
    domain::{
        admitted::Admitted,
        caller::{Caller, Rights, Role, RpcSet, WorkspaceScope},
        clock::Clock,
        error::{Error, Reason},
        names::{ModelName, ProviderName, PurposeName, RequestId, WorkspaceId},
        resolution::Ask,
        secret::ApiKey,
    },
    key_check::NewKey,
    ops::{self, SetKey},
};

/// The number of consecutive complete runs after which no further await point is expected: their number
/// varies with the arrival of the provider's answers.
const COMPLETE: usize = 6;
const LIMIT: Duration = Duration::from_secs(60);

/// The operations without a server: cold caches.
struct World {
    _provider: FakeProvider,
    _folder: tempfile::TempDir,
    database: sea_orm::DatabaseConnection,
    parts: Arc<AppState>,
    caller: Arc<Caller>,
    stream: PathBuf,
}

impl World {
    async fn open() -> Self {
        let provider = FakeProvider::start().await;
        provider.models_ok(&["small-2030"]);
        let folder = tempfile::tempdir().unwrap();
        let catalog_file = folder.path().join("catalog.toml");
        std::fs::write(&catalog_file, catalog(&provider)).unwrap();
        let config = config(folder.path(), catalog_file).await;
        let clock = Clock::manual(time::macros::datetime!(2030-06-15 12:00 UTC));
        let parts = byokd::server::open(&config, clock).await.unwrap();
        Self {
            _provider: provider,
            database: crate::support::store::connect(&config.database.url).await,
            _folder: folder,
            parts,
            stream: config.audit_file().unwrap(),
            caller: Arc::new(Caller {
                subject: "tests".to_owned(),
                rights: Rights {
                    rpcs: RpcSet::of_roles(&Role::ALL),
                    purposes: [PurposeName::reply()].into(),
                    scope: WorkspaceScope::All,
                },
            }),
        }
    }

    fn admitted(&self, workspace: &str) -> Admitted<WorkspaceId> {
        let workspace = WorkspaceId::parse(workspace).unwrap();
        Arc::clone(&self.caller).admit(workspace).unwrap()
    }

    async fn set_key(&self, workspace: &str) -> Result<(), Error> {
        let request = SetKey {
            key: NewKey {
                provider: openai(),
                api_key: ApiKey::parse(openai_key(1)).unwrap(),
                base_url: String::new(),
                headers: Default::default(),
                validate_only: false,
                allow_unverified: false,
                meta: named("set"),
            },
            model: Some(ModelName::parse("small").unwrap()),
            enable_byo: true,
        };
        let workspace = self.admitted(workspace);
        let set = ops::set_key(&self.parts, &workspace, request);
        set.await.map(|_| ())
    }

    async fn toggle_off(&self, workspace: &str) -> Result<(), Error> {
        let workspace = self.admitted(workspace);
        let toggled = ops::toggle_byo(&self.parts, &workspace, false, named("toggle"));
        toggled.await.map(|_| ())
    }

    async fn delete_key(&self, workspace: &str) -> Result<(), Error> {
        let workspace = self.admitted(workspace);
        let deleted = ops::delete_key(&self.parts, &workspace, openai(), named("delete"));
        deleted.await.map(|_| ())
    }

    /// Waits until every started change is whole or absent.
    async fn settled(&self) {
        self.parts.changes.settled().await;
    }

    /// The answer of the hot path: a key, or the reason.
    async fn served(&self, workspace: &str) -> Result<String, Reason> {
        let ask = Ask {
            model: None,
            provider: Some(openai()),
            purpose: PurposeName::reply(),
        };
        let resolved = ops::resolve_credentials(&self.parts, &self.admitted(workspace), &ask).await;
        resolved
            .map(|resolved| resolved.api_key.unwrap().expose().to_owned())
            .map_err(|error| error.reason())
    }

    /// Drops the change at its first, second, … await point, each time in a workspace of its own, and again
    /// from the first, until drops left whole changes as well as none.
    async fn walk(
        &self,
        prepare: impl AsyncFn(&str),
        change: impl AsyncFn(&str) -> Result<(), Error>,
        whole: impl Fn(&Rows) -> bool,
    ) {
        let (began, mut seen) = (Instant::now(), Vec::new());
        for pass in 0.. {
            let mut complete = 0;
            for point in 1.. {
                let workspace = format!("pass-{pass}-point-{point}");
                prepare(&workspace).await;
                // The hot path holds an entry that the change must make stale.
                let _ = self.served(&workspace).await;
                let completed = dropped_at(point, change(&workspace)).await;
                self.settled().await;
                let rows = Rows::of(&self.database, &workspace).await;
                rows.assert_whole(&workspace);
                let expected = match (rows.byo_enabled, rows.active("openai")) {
                    (true, Some(_)) => Ok(openai_key(1)),
                    (true, None) => Err(Reason::ByoKeyMissing),
                    (false, _) => Err(Reason::PlatformKeyMissing),
                };
                assert_eq!(self.served(&workspace).await, expected, "{workspace}");
                let done = completed.is_some();
                if let Some(result) = completed {
                    result.unwrap();
                    assert!(whole(&rows), "{workspace}: {rows:#?}");
                }
                seen.push((workspace, done, rows));
                complete = if done { complete + 1 } else { 0 };
                if complete == COMPLETE {
                    break;
                }
            }
            let dropped = |is: bool| {
                seen.iter()
                    .any(|(_, done, rows)| !done && whole(rows) == is)
            };
            if dropped(true) && dropped(false) {
                break;
            }
            assert!(
                began.elapsed() < LIMIT,
                "drops left always whole changes, or never"
            );
        }
        // No change came later, and each has its line, also without a waiting caller.
        self.parts.audit.close().await;
        let stream = lines(&self.stream);
        for (workspace, _, rows) in seen {
            assert_eq!(
                Rows::of(&self.database, &workspace).await,
                rows,
                "{workspace}"
            );
            let of = |line: &&serde_json::Value| {
                line["event"] == "changed" && line["workspace"] == *workspace
            };
            let logged: Vec<i64> = stream
                .iter()
                .filter(of)
                .map(|line| line["revision"].as_i64().unwrap())
                .collect();
            assert_eq!(logged, rows.audited, "{workspace}");
        }
    }
}

fn openai() -> ProviderName {
    ProviderName::parse("openai").unwrap()
}

fn named(request_id: &str) -> ChangeMeta {
    ChangeMeta {
        request_id: Some(RequestId::parse(request_id).unwrap()),
        ..ChangeMeta::default()
    }
}

/// Polls a future until it is pending for the `point`-th time, and drops it there.
async fn dropped_at<F: Future>(point: usize, future: F) -> Option<F::Output> {
    let (mut future, mut left) = (Box::pin(future), point);
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => {
            left -= 1;
            if left == 0 {
                Poll::Ready(None)
            } else {
                Poll::Pending
            }
        }
    })
    .await
}

/// Whether the change after `before` others is there; each of them has a request id.
fn is_there(rows: &Rows, before: i64, there: bool) -> bool {
    let changes = before + i64::from(there);
    assert_eq!(
        (rows.revision, rows.remembered),
        (changes, changes),
        "{rows:#?}"
    );
    there
}

#[tokio::test]
async fn set_key_is_whole_or_absent_wherever_its_caller_leaves() {
    let world = World::open().await;
    let prepare = async |_: &str| {};
    let whole =
        |rows: &Rows| is_there(rows, 0, rows.active("openai").is_some() && rows.byo_enabled);
    world
        .walk(
            prepare,
            async |workspace| world.set_key(workspace).await,
            whole,
        )
        .await;
}

#[tokio::test]
async fn toggle_byo_is_whole_or_absent_wherever_its_caller_leaves() {
    let world = World::open().await;
    let prepare = async |workspace: &str| world.set_key(workspace).await.unwrap();
    let whole = |rows: &Rows| is_there(rows, 1, !rows.byo_enabled);
    world
        .walk(
            prepare,
            async |workspace| world.toggle_off(workspace).await,
            whole,
        )
        .await;
}

#[tokio::test]
async fn delete_key_is_whole_or_absent_wherever_its_caller_leaves() {
    let world = World::open().await;
    let prepare = async |workspace: &str| world.set_key(workspace).await.unwrap();
    let whole = |rows: &Rows| is_there(rows, 1, rows.active("openai").is_none());
    world
        .walk(
            prepare,
            async |workspace| world.delete_key(workspace).await,
            whole,
        )
        .await;
}
