//! Whether calls should come here, and what is awaited if not.
//!
//! A process becomes ready once the database answers, the audit stream was written and the keyring is warm. From then on:
//!
//! - the database costs it its readiness only when the grace is over, for until then it serves what it knows;
//! - the audit stream does only where calls are refused without it (`durable`);
//! - the KMS never does: a warm replica outlives a KMS outage, and another cold replica would not help.
//!
//! Invariants: `/readyz`, `grpc.health.v1` and the metrics report one judgment, made four times a second, so they agree.
//! A stopping replica never becomes ready again. The texts contain no address and no secret.
//!
//! Not here: whether the process lives. It does as long as it answers.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use tokio::{sync::Mutex, time::interval};
use tonic::server::NamedService as _;
use tonic_health::{
    ServingStatus,
    pb::health_server::{Health, HealthServer},
    server::{HealthReporter, HealthService},
};

use crate::{
    app_state::AppState,
    contract::v1::{
        key_service_server::KeyServiceServer, platform_service_server::PlatformServiceServer,
    },
    grpc::Services,
    keyring::BUCKETS,
};

/// How often it is judged.
const JUDGED: Duration = Duration::from_millis(250);
/// The database answers if the last good look at its change log is no older; there are two a second.
const ANSWERS: Duration = Duration::from_secs(3);
/// So long all data keys are waited for; after it, nearly all do.
const ALL_KEYS: Duration = Duration::from_secs(30);
/// Percentage of data keys that suffice: a damaged one does not prevent a start.
const NEARLY_ALL: usize = 99;

/// What is watched by name beside the services of the contract.
const READINESS: &str = "readiness";
const LIVENESS: &str = "liveness";

/// Whether the replica accepts calls.
pub struct Readiness {
    /// On the admin port, and on the contract's, which ends first.
    admin: HealthReporter,
    contract: HealthReporter,
    awaited: RwLock<Arc<[String]>>,
    judge: Mutex<Judge>,
}

impl Readiness {
    /// Not ready.
    pub(super) async fn new() -> Arc<Self> {
        let readiness = Self {
            admin: HealthReporter::new(),
            contract: HealthReporter::new(),
            awaited: RwLock::default(),
            judge: Mutex::default(),
        };
        for health in [&readiness.admin, &readiness.contract] {
            health
                .set_service_status(LIVENESS, ServingStatus::Serving)
                .await;
        }
        readiness
            .publish(vec!["database: not reached yet".to_owned()])
            .await;
        Arc::new(readiness)
    }

    /// `grpc.health.v1` for the admin port.
    pub(super) fn admin_service(&self) -> HealthServer<impl Health> {
        HealthServer::new(HealthService::from_health_reporter(self.admin.clone()))
    }

    /// The same for the contract's.
    pub(super) fn contract_service(&self) -> HealthServer<impl Health> {
        HealthServer::new(HealthService::from_health_reporter(self.contract.clone()))
    }

    /// Whether calls should come here.
    pub fn is_ready(&self) -> bool {
        self.awaited().is_empty()
    }

    /// What is awaited, a line each; nothing: it is ready.
    pub fn awaited(&self) -> Arc<[String]> {
        // No code panics while it holds the lock.
        Arc::clone(&self.awaited.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The database is open; what comes next is the rest.
    pub(super) async fn reached_database(&self) {
        self.publish(vec![
            "keyring: not open yet".to_owned(),
            "audit: not open yet".to_owned(),
        ])
        .await;
    }

    /// Judges for ever.
    pub(super) async fn follow(&self, state: &AppState) {
        let opened = state.clock.elapsed();
        let mut round = interval(JUDGED);
        loop {
            round.tick().await;
            let mut judge = self.judge.lock().await;
            if judge.stopping {
                continue;
            }
            let awaited = judge.awaited(&Seen::now(state, opened));
            let (was, is) = (self.is_ready(), awaited.is_empty());
            match (was, is) {
                (false, true) => tracing::info!("ready"),
                (true, false) => tracing::warn!(awaited = awaited.join("; "), "not ready any more"),
                (false, false) if parts_of(&awaited) != parts_of(&self.awaited()) => {
                    tracing::info!(awaited = awaited.join("; "), "not ready yet");
                }
                (false, false) | (true, true) => {}
            }
            self.publish(awaited).await;
        }
    }

    /// No call should come here any more.
    pub(super) async fn stop(&self) {
        let mut judge = self.judge.lock().await;
        judge.stopping = true;
        self.publish(vec!["stopping".to_owned()]).await;
    }

    /// Ends the streams of those who watch on the contract's port: they would hold up its end.
    pub(super) async fn dismiss_watchers(&self) {
        let mut contract = self.contract.clone();
        for service in watched().chain([LIVENESS]) {
            contract.clear_service_status(service).await;
        }
    }

    async fn publish(&self, awaited: Vec<String>) {
        let status = if awaited.is_empty() {
            ServingStatus::Serving
        } else {
            ServingStatus::NotServing
        };
        if *self.awaited() == *awaited {
            return;
        }
        *self.awaited.write().unwrap_or_else(PoisonError::into_inner) = awaited.into();
        for service in watched() {
            self.admin.set_service_status(service, status).await;
            self.contract.set_service_status(service, status).await;
        }
    }
}

/// What is as ready as the whole.
fn watched() -> impl Iterator<Item = &'static str> {
    let services = [
        KeyServiceServer::<Services>::NAME,
        PlatformServiceServer::<Services>::NAME,
    ];
    ["", READINESS].into_iter().chain(services)
}

/// What is awaited, without how far it has come.
fn parts_of(awaited: &[String]) -> Vec<&str> {
    awaited
        .iter()
        .filter_map(|line| line.split(':').next())
        .collect()
}

/// What a judgement rests on.
#[derive(Clone, Copy, Debug)]
struct Seen {
    /// Since everything was opened.
    open_for: Duration,
    /// Since the last good look at the change log; `None`: there was none.
    lag: Option<Duration>,
    /// For how long what is known is served without the database.
    grace: Duration,
    keys_held: usize,
    audit_writable: bool,
    /// Calls are refused, because they cannot be put on record.
    audit_refuses: bool,
}

impl Seen {
    fn now(state: &AppState, opened: Duration) -> Self {
        let (keys_held, _) = state.keyring.held();
        Self {
            open_for: state.clock.elapsed().saturating_sub(opened),
            lag: state.cache.freshness_lag(),
            grace: state.cache.grace(),
            keys_held,
            audit_writable: state.audit.is_writable(),
            audit_refuses: state.audit.refuses(),
        }
    }
}

/// What was good once. Each is judged by itself, so that the trouble of one costs no other its grace.
#[derive(Debug, Default)]
struct Judge {
    database: bool,
    audit: bool,
    warm: bool,
    stopping: bool,
}

impl Judge {
    fn awaited(&mut self, seen: &Seen) -> Vec<String> {
        let mut awaited = Vec::new();
        let limit = if self.database {
            seen.grace
        } else {
            ANSWERS.min(seen.grace)
        };
        self.database = seen.lag.is_some_and(|lag| lag <= limit);
        if !self.database {
            awaited.push("database: does not answer".to_owned());
        }
        self.audit |= seen.audit_writable;
        if !self.audit || seen.audit_refuses {
            awaited.push("audit: the stream cannot be written".to_owned());
        }
        let (held, all) = (seen.keys_held, usize::from(BUCKETS));
        let nearly =
            seen.open_for >= ALL_KEYS && held.saturating_mul(100) >= all.saturating_mul(NEARLY_ALL);
        self.warm |= held >= all || nearly;
        if !self.warm {
            awaited.push(format!("keyring: {held} of {all} data keys are held"));
        }
        awaited
    }
}

#[cfg(test)]
mod tests;
