//! The cost of each part of a resolve: `cargo bench --bench parts`.
//!
//! The decision, the sealed record (sealed, opened for the first time and again), the caller behind a token that was
//! verified before, and a workspace in the cache. Nothing here waits: what is not ready at the first look
//! is not what is measured.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    missing_docs,
    reason = "a program that measures and prints; it fails by panicking"
)]

#[path = "support/catalog.rs"]
mod catalog;

use std::{
    collections::BTreeMap,
    hint::black_box,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use byokd::{
    domain::{
        caller::Role,
        catalog::Catalog,
        clock::Clock,
        envelope::{DataKey, DataKeyId, RecordContext, open, seal},
        models::ModelList,
        names::{ModelName, OnBehalfOf, ProviderName, PurposeName, Scope, WorkspaceId},
        resolution::{Ask, Facts, Policy, UnknownWorkspace, decide},
        secret::ApiKey,
        verdict::{Condemnation, Health, Verdict},
        workspace::{Binding, Listing, Platform, StoredKey, Workspace},
    },
    identity::{Identity, MintRequest, Signer, mint},
    store::{OpenMode, Store, StoreSettings},
    workspace_cache::WorkspaceCache,
};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use time::OffsetDateTime;
use uuid::Uuid;

const LEASE: Duration = Duration::from_secs(60);

criterion_group!(parts, decision, envelope, token, cache);
criterion_main!(parts);

fn decision(criterion: &mut Criterion) {
    let catalog = Catalog::parse(catalog::CATALOG).unwrap();
    let policy = Policy {
        unknown_workspace: UnknownWorkspace::Platform,
        condemnation: Condemnation::default(),
    };
    let (platform, now) = (Platform::default(), OffsetDateTime::now_utc());
    let ids = (1..120).map(|number| format!("model-of-the-provider-{number:03}-2030-01-01"));
    let list = ModelList::new(ids.chain(["small-2030-01-01".to_owned()]));
    let key = StoredKey {
        key_id: Uuid::now_v7(),
        generation: 1,
        masked: "…TIC-".to_owned(),
        binding: binding(),
        health: Health::new_saved(Some(Verdict::Valid), now),
        models: Some(Listing {
            models: Arc::new(list),
            as_of: now,
        }),
        set_by: "service:settings".to_owned(),
        on_behalf_of: OnBehalfOf::default(),
        set_at: now,
        sealed: Arc::from([]),
    };
    let mut workspace = Workspace::unseen(WorkspaceId::parse("acme").unwrap());
    workspace.exists = true;
    workspace.byo_enabled = true;
    workspace.keys.insert(openai(), key);
    let facts = Facts {
        workspace: &workspace,
        platform: &platform,
        catalog: &catalog,
        policy: &policy,
        now,
    };
    let model = Some(ModelName::parse("small").unwrap());
    let ask = Ask {
        model,
        provider: None,
        purpose: PurposeName::reply(),
    };
    criterion.bench_function("decision", |bencher| {
        bencher.iter(|| {
            black_box(decide(black_box(facts), &ask).unwrap())
                .model
                .len()
        });
    });
}

fn envelope(criterion: &mut Criterion) {
    let (scope, provider, binding) = (
        Scope::Workspace(WorkspaceId::parse("acme").unwrap()),
        openai(),
        binding(),
    );
    let context = RecordContext {
        deployment: Uuid::now_v7(),
        scope: &scope,
        provider: &provider,
        key_id: Uuid::now_v7(),
        generation: 1,
        binding: &binding,
    };
    let data_key = || {
        DataKey::new(
            DataKeyId {
                bucket: 1,
                version: 1,
            },
            &[7; 32],
        )
        .unwrap()
    };
    let key = ApiKey::parse(format!("sk-proj-{}", "SYNTHETIC-".repeat(15))).unwrap();
    let (known, mut group) = (data_key(), criterion.benchmark_group("envelope"));
    group.bench_function("seal", |bencher| {
        bencher.iter(|| seal(&known, &context, &key).unwrap())
    });
    let sealed = seal(&known, &context, &key).unwrap();
    group.bench_function("open, first", |bencher| {
        let first = |data_key: DataKey| (open(&data_key, &context, &sealed).unwrap(), data_key);
        bencher.iter_batched(data_key, first, BatchSize::SmallInput);
    });
    group.bench_function("open, again", |bencher| {
        bencher.iter(|| open(&known, &context, &sealed).unwrap())
    });
    group.finish();
}

fn token(criterion: &mut Criterion) {
    let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::system());
    let signer = Signer::in_folder_or_new(folder.path()).unwrap();
    let wish = MintRequest {
        subject: "service:chat".to_owned(),
        roles: vec![Role::Resolver],
        workspace: "*".to_owned(),
        purposes: Vec::new(),
    };
    let header = format!("Bearer {}", mint(&signer, &wish, &clock).unwrap());
    let identity = Identity::new(Some(signer), Vec::new(), Vec::new(), clock);
    let caller = || at_once(identity.authenticate(Some(black_box(&header)), None)).unwrap();
    caller();
    criterion.bench_function("token, verified before", |bencher| bencher.iter(caller));
}

fn cache(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let settings = StoreSettings::at(&format!(
        "sqlite:{}",
        folder.path().join("byokd.db").display()
    ));
    let store = Arc::new(
        runtime
            .block_on(Store::open(&settings, OpenMode::Serve))
            .unwrap(),
    );
    let mut group = criterion.benchmark_group("workspace_cache");
    for count in [1_000_usize, 100_000] {
        // It stands still, so that no entry grows old.
        let clock = Clock::manual(OffsetDateTime::now_utc());
        let cache = WorkspaceCache::new(Arc::clone(&store), clock, LEASE, 2 * count);
        let ids: Vec<WorkspaceId> = (0..count)
            .map(|number| WorkspaceId::parse(&format!("workspace-{number:07}")).unwrap())
            .collect();
        runtime.block_on(async {
            cache.poll().await.unwrap();
            for id in &ids {
                cache.workspace(id).await.unwrap();
            }
        });
        // Scattered: 100,003 is a prime.
        let mut scattered = (0..count).cycle().map(|number| number * 100_003 % count);
        group.bench_function(format!("{count} workspaces"), |bencher| {
            bencher.iter(|| {
                let id = ids.get(scattered.next().unwrap()).unwrap();
                at_once(cache.workspace(id)).unwrap().entry.revision
            });
        });
    }
    group.finish();
    runtime.block_on(store.close());
}

/// What is there without waiting.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits"),
    }
}

fn openai() -> ProviderName {
    ProviderName::parse("openai").unwrap()
}

fn binding() -> Binding {
    Binding {
        base_url: catalog::HOST.to_owned(),
        headers: BTreeMap::new(),
    }
}
