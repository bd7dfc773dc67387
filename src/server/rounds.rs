//! Background tasks: data keys, purges, other replicas' changes, audit checkpoints, issuers' keys, TLS files, readiness.
//!
//! Invariant: each goes on until the server stops; one that ends before that ends the server.
//!
//! Not here: what each of them does.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

use super::{Readiness, gauges::KeyCounts, stopped};
use crate::{app_state::AppState, domain::error::Error, identity::Identity, transport::Tls};

/// How often the data keys are looked after.
const KEYRING_ROUND: Duration = Duration::from_secs(1);
/// How often forgotten results are deleted.
const HOUSEKEEPING: Duration = Duration::from_secs(10 * 60);
/// How long the change log goes back. Who was away for longer reads everything again.
const LOGGED_FOR: time::Duration = time::Duration::hours(1);

/// How long a retired data key stays: an hour beyond the 75 minutes for which a replica may cache it, and the
/// 10 for which a record may that it sealed.
const RETIRED_FOR: time::Duration = time::Duration::minutes(150);

/// Begins everything.
pub(super) fn spawn(
    tasks: &mut JoinSet<Result<(), Error>>,
    state: &Arc<AppState>,
    identity: &Arc<Identity>,
    tls: Option<Arc<Tls>>,
    readiness: &Arc<Readiness>,
    counts: KeyCounts,
    stopping: &watch::Receiver<bool>,
) {
    let mut until_stopped = |work: Round| {
        let stop = stopped(stopping.clone());
        tasks.spawn(async move {
            tokio::select! {
                () = work => Err(Error::internal("a round ended by itself")),
                () = stop => Ok(()),
            }
        });
    };
    until_stopped(Box::pin(warming(Arc::clone(state))));
    until_stopped(Box::pin(housekeeping(Arc::clone(state))));
    until_stopped(Box::pin(following(Arc::clone(state))));
    until_stopped(Box::pin(auditing(Arc::clone(state))));
    until_stopped(Box::pin(Arc::clone(identity).follow()));
    until_stopped(Box::pin(counts.follow(Arc::clone(state))));
    until_stopped(Box::pin(judging(Arc::clone(readiness), Arc::clone(state))));
    if let Some(tls) = tls {
        until_stopped(Box::pin(async move { tls.follow().await }));
    }
}

type Round = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// Keeps the data keys warm.
async fn warming(state: Arc<AppState>) {
    let mut round = interval(KEYRING_ROUND);
    // After a round that took long, none is made up for.
    round.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        round.tick().await;
        state.keyring.tick().await;
    }
}

/// Keeps the tables short.
async fn housekeeping(state: Arc<AppState>) {
    let mut round = interval(HOUSEKEEPING);
    loop {
        round.tick().await;
        if let Err(error) = state.store.purge_results(state.clock.now()).await {
            tracing::warn!(?error, "old results could not be deleted");
        }
        if let Err(error) = state
            .store
            .purge_log(state.clock.now().saturating_sub(LOGGED_FOR))
            .await
        {
            tracing::warn!(
                ?error,
                "the old part of the change log could not be deleted"
            );
        }
        if let Err(error) = state.store.purge_lists().await {
            tracing::warn!(?error, "old model lists could not be deleted");
        }
        if let Err(error) = state
            .store
            .purge_data_keys(state.clock.now().saturating_sub(RETIRED_FOR))
            .await
        {
            tracing::warn!(?error, "retired data keys could not be deleted");
        }
        if let Err(error) = state.audit.purge().await {
            tracing::warn!(?error, "old changes and counts could not be deleted");
        }
    }
}

/// Writes audit checkpoints.
async fn auditing(state: Arc<AppState>) {
    state.audit.tend().await;
}

/// Judges whether calls should come here.
async fn judging(readiness: Arc<Readiness>, state: Arc<AppState>) {
    readiness.follow(&state).await;
}

/// Takes in what other processes change.
async fn following(state: Arc<AppState>) {
    state.cache.follow().await;
}
