//! Everything that operations are made of, opened from a configuration. Nothing listens yet.
//!
//! Invariants: a fault of the configuration ends the start with its fix; a database that does not answer is
//! awaited, since it comes back without anybody's doing; a KMS key file is made only for a database that has no data
//! keys yet.
//!
//! Not here: the ports.

use std::{
    fs,
    num::NonZeroU32,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::time::sleep;
use url::Url;

use super::{Readiness, StartError};
use crate::{
    app_state::AppState,
    audit::{Audit, AuditSettings, ChainKey},
    change::Changes,
    config::{self, AuditMode, Config, Migrate},
    domain::{
        catalog::Catalog, clock::Clock, error::Error, kms_key::KmsKeyName, protocol::Protocol,
        resolution::Policy, verdict::Condemnation,
    },
    egress::Egress,
    key_check::{CheckLimiter, CheckLimits, KeyChecker},
    keyring::Keyring,
    kms::{AwsKms, AwsSettings, KeyFiles, Kms, LocalKms},
    provider::Providers,
    store::{OpenMode, PoolerMode, Store, StoreSettings},
    workspace_cache::WorkspaceCache,
};

/// How soon a database that does not answer is tried again.
const REACH_AGAIN: Duration = Duration::from_secs(1);

/// Opens the store, the keyring and the way out, and reads the catalog.
pub(super) async fn open(
    config: &Config,
    clock: Clock,
    readiness: &Readiness,
) -> Result<Arc<AppState>, StartError> {
    make_folder(&config.server.data_dir)?;
    let catalog = Arc::new(catalog(config)?);
    let egress = egress(config);
    check_hosts(&catalog, &egress)?;
    let store = Arc::new(reached(&store_settings(config)).await?);
    readiness.reached_database().await;
    let keyring = Arc::new(open_keyring(config, &store, &clock).await?);
    let lease = Duration::from_secs(config.resolution.lease_seconds);
    let audit = Arc::new(audit(config, &store, &clock).await?);
    let workspaces = usize::try_from(config.limits.workspaces).map_err(Error::internal)?;
    let cache = WorkspaceCache::new(Arc::clone(&store), clock.clone(), lease, workspaces);
    let cache = Arc::new(cache);
    let changes = Changes::new(
        Arc::clone(&store),
        Arc::clone(&cache),
        Arc::clone(&keyring),
        Arc::clone(&audit),
        clock.clone(),
    );
    let deadline = Duration::from_millis(config.checks.deadline_ms);
    let providers = Providers::new(egress, deadline).map_err(Error::internal)?;
    let limiter = CheckLimiter::new(limits(config)?);
    let key_checker = KeyChecker::new(providers, Arc::clone(&catalog), limiter, clock.clone());
    Ok(Arc::new(AppState {
        store,
        cache,
        keyring,
        key_checker,
        catalog,
        policy: policy(config),
        lease,
        audit,
        changes: Arc::new(changes),
        clock,
    }))
}

/// The database, as soon as there is one that answers. One that refuses us, or is not what it should be, is an error.
async fn reached(settings: &StoreSettings) -> Result<Store, StartError> {
    let (mut logged, mut answered) = (false, Store::is_embedded(settings));
    loop {
        let error = match Store::open(settings, OpenMode::Serve).await {
            Ok(store) => return Ok(store),
            Err(error) => error,
        };
        // An error from before it answered may be of the outage that has just ended.
        if std::mem::replace(&mut answered, Store::is_up(settings).await) && answered {
            return Err(error.into());
        }
        if answered {
            continue;
        }
        if !std::mem::replace(&mut logged, true) {
            tracing::warn!(%error, "byokd waits for the database");
        }
        sleep(REACH_AGAIN).await;
    }
}

/// The record of what happens, and its key. A key file is made only where none is named and no chain was written yet.
async fn audit(config: &Config, store: &Arc<Store>, clock: &Clock) -> Result<Audit, StartError> {
    let file = config.audit_key_file();
    if !file.exists() {
        if !config.audit.key_file.as_os_str().is_empty() {
            return Err(StartError(format!(
                "the audit key file {} is not there; `openssl rand -hex 32` makes its content",
                file.display()
            )));
        }
        if !store.audit_chains().await?.is_empty() {
            return Err(StartError(format!(
                "the audit key file {} is not there, but the database knows chains of it; restore the file. If it is \
                 lost, their lines can no longer be verified: make a new one with `openssl rand -hex 32`",
                file.display()
            )));
        }
        ChainKey::create(&file)?;
    }
    let settings = AuditSettings {
        file: config.audit_file(),
        durable: config.audit.mode == AuditMode::Durable,
        retention: time::Duration::days(i64::from(config.audit.retention_days)),
    };
    Ok(Audit::start(
        settings,
        ChainKey::open(&file)?,
        Arc::clone(store),
        clock.clone(),
    )?)
}

/// The keyring over a store.
pub(super) async fn open_keyring(
    config: &Config,
    store: &Arc<Store>,
    clock: &Clock,
) -> Result<Keyring, StartError> {
    let kms = kms(config, store, clock).await?;
    Ok(Keyring::open(Arc::clone(store), kms, clock.clone()).await?)
}

/// Which database, and how to use it.
pub fn store_settings(config: &Config) -> StoreSettings {
    let database = &config.database;
    StoreSettings {
        url: config.database_url(),
        listen_url: database.listen_url.clone(),
        pooler: match database.pooler {
            config::Pooler::None => PoolerMode::None,
            config::Pooler::Transaction => PoolerMode::Transaction,
        },
        migrate: database.migrate == Migrate::Startup,
        read_connections: database.read_connections,
        write_connections: database.write_connections,
    }
}

fn make_folder(folder: &Path) -> Result<(), StartError> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|error| {
            StartError(format!(
                "cannot make the data folder {}: {error}; name another with --data-dir",
                folder.display()
            ))
        })
}

fn catalog(config: &Config) -> Result<Catalog, StartError> {
    let file = &config.catalog.file;
    if file.as_os_str().is_empty() {
        return Catalog::embedded()
            .map_err(|faults| StartError(format!("the shipped catalog is wrong:\n{faults}")));
    }
    let text = fs::read_to_string(file).map_err(|error| {
        StartError(format!(
            "the catalog {} cannot be read: {error}",
            file.display()
        ))
    })?;
    Catalog::parse(&text).map_err(|faults| {
        StartError(format!(
            "the catalog {} is wrong:\n{faults}",
            file.display()
        ))
    })
}

pub(super) fn egress(config: &Config) -> Egress {
    Egress {
        loopback_http: config.egress.loopback_http,
        private_hosts: config.egress.private_hosts.clone(),
    }
}

/// Refuses a catalog host that the guard would block in every key check.
fn check_hosts(catalog: &Catalog, egress: &Egress) -> Result<(), StartError> {
    for provider in catalog
        .providers
        .values()
        .filter(|provider| provider.protocol != Protocol::Local)
    {
        for host in &provider.hosts {
            let admitted = Url::parse(host)
                .map_err(Error::internal)
                .map(|url| egress.admits(&url))?;
            if let Err(barred) = admitted {
                return Err(StartError(format!(
                    "the catalog's host {host} of {} may not be called: {barred}",
                    provider.name
                )));
            }
        }
    }
    Ok(())
}

/// The KMS that `kms.key` names, or the local key file; and those before it.
async fn kms(config: &Config, store: &Store, clock: &Clock) -> Result<Kms, StartError> {
    let (mut previous, mut files) = (Vec::new(), Vec::new());
    for name in &config.kms.previous_keys {
        match KmsKeyName::parse(name) {
            Some(key) => previous.push(key),
            None => files.push(PathBuf::from(name)),
        }
    }
    let Some(key) = KmsKeyName::parse(&config.kms.key) else {
        return Ok(Kms::Local(local_kms(config, store, &files).await?));
    };
    let set = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let settings = AwsSettings {
        key,
        previous,
        region: set(&config.kms.region),
        endpoint_url: set(&config.kms.endpoint_url),
        calls_per_second: positive(config.kms.calls_per_second)?,
        access_key: None,
    };
    let files = KeyFiles::open(&files)?;
    let aws = AwsKms::open(settings, clock.clone())
        .await
        .map_err(|error| StartError(error.to_string()))?;
    Ok(Kms::Aws(Box::new(aws), files))
}

/// The local KMS. Its key file is made only for a database that has no data keys yet.
async fn local_kms(
    config: &Config,
    store: &Store,
    previous: &[PathBuf],
) -> Result<LocalKms, StartError> {
    let file = config.kms_key_file();
    if !file.exists() {
        if let Some(row) = store.data_keys().await?.first() {
            return Err(StartError(format!(
                "the KMS key file {} is not there, but the database has data keys under {}; restore the file, \
                     byokd never makes a new one for them",
                file.display(),
                row.kms_key_arn
            )));
        }
        LocalKms::create(&file)?;
    }
    Ok(LocalKms::open(&file, previous)?)
}

fn policy(config: &Config) -> Policy {
    Policy {
        unknown_workspace: config.resolution.unknown_workspace,
        condemnation: Condemnation {
            verdicts: config.checks.condemn_after,
            over: time::Duration::minutes(i64::from(config.checks.condemn_over_minutes)),
        },
    }
}

fn limits(config: &Config) -> Result<CheckLimits, Error> {
    Ok(CheckLimits {
        per_workspace: positive(config.checks.per_workspace_per_minute)?,
        per_principal: positive(config.checks.per_principal_per_minute)?,
        per_provider: positive(config.checks.per_provider_per_second)?,
    })
}

fn positive(limit: u32) -> Result<NonZeroU32, Error> {
    NonZeroU32::new(limit).ok_or_else(|| Error::internal("a limit of 0 passed the check"))
}
