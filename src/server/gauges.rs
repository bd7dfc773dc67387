//! The gauges of the metrics.
//!
//! Invariants: what is asked here is in memory; the keys are counted in the database each five minutes and shown as they
//! were counted, and not at all once counting failed.
//!
//! Not here: what happens, which is counted where it happens.

use std::{
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use tokio::time::interval;

use super::Readiness;
use crate::{
    app_state::AppState,
    store::KeyCount,
    telemetry::metrics::{Label, gauge, total},
};

/// How often the keys are counted.
const COUNTED_EVERY: Duration = Duration::from_secs(5 * 60);

/// The keys as they were counted last.
#[derive(Clone, Default)]
pub(super) struct KeyCounts(Arc<Mutex<Vec<KeyCount>>>);

impl KeyCounts {
    /// Counts the keys, again and again.
    pub(super) async fn follow(self, state: Arc<AppState>) {
        let mut round = interval(COUNTED_EVERY);
        loop {
            round.tick().await;
            match state.store.key_counts(&state.policy.condemnation).await {
                Ok(counts) => *self.0.lock().unwrap_or_else(PoisonError::into_inner) = counts,
                Err(error) => {
                    tracing::warn!(?error, "the stored keys could not be counted");
                    // Old counts would look like new ones.
                    self.0
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .clear();
                }
            }
        }
    }

    fn each(&self, mut set: impl FnMut(&KeyCount)) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .for_each(&mut set);
    }
}

/// The calls that hold a place, and the places.
pub(super) struct Places<R> {
    pub(super) running: R,
    pub(super) all: u32,
}

/// Makes the gauges of a server.
pub(super) fn install(
    state: &Arc<AppState>,
    readiness: &Arc<Readiness>,
    counts: KeyCounts,
    places: Places<impl Fn() -> u32 + Send + Sync + 'static>,
) {
    let one = |name, unit, what, value: fn(&AppState) -> Option<f64>| {
        let state: Weak<AppState> = Arc::downgrade(state);
        gauge(name, unit, what, move |set| {
            if let Some(value) = state.upgrade().and_then(|state| value(&state)) {
                set(value, &[]);
            }
        });
    };
    let seconds = "s";
    one(
        "byokd.keyring.age",
        seconds,
        "How long ago the oldest data key in memory was unwrapped.",
        |state| state.keyring.oldest_age().map(|age| age.as_secs_f64()),
    );
    one(
        "byokd.kms.breaker.open",
        "",
        "1 while the KMS failed so often that it is left alone.",
        |state| Some(truth(state.keyring.kms_rests())),
    );
    one(
        "byokd.directory.entries",
        "",
        "How many workspaces are in memory.",
        |state| Some(number(state.cache.entries())),
    );
    one(
        "byokd.directory.freshness_lag",
        seconds,
        "How long ago the last good look at the change log began.",
        |state| state.cache.freshness_lag().map(|lag| lag.as_secs_f64()),
    );
    one(
        "byokd.audit.lag",
        seconds,
        "How long the oldest line has waited that is not written yet.",
        |state| Some(state.audit.lag().as_secs_f64()),
    );
    one(
        "byokd.audit.writable",
        "",
        "1 while the audit stream can be written.",
        |state| Some(truth(state.audit.is_writable())),
    );
    let lines: Weak<AppState> = Arc::downgrade(state);
    total(
        "byokd.audit.lines.lost",
        "Lines that the audit stream could not take.",
        move || lines.upgrade().map(|state| state.audit.lines_lost()),
    );
    let readiness = Arc::downgrade(readiness);
    gauge(
        "byokd.ready",
        "",
        "1 while calls should come here.",
        move |set| {
            if let Some(readiness) = readiness.upgrade() {
                set(truth(readiness.is_ready()), &[]);
            }
        },
    );
    let keyring: Weak<AppState> = Arc::downgrade(state);
    gauge(
        "byokd.keyring.data_keys",
        "",
        "Data keys that seal, in memory or not.",
        move |set| {
            if let Some(state) = keyring.upgrade() {
                let (held, known) = state.keyring.held();
                set(number(held), &[Label::new("state", "held")]);
                set(
                    number(known.saturating_sub(held)),
                    &[Label::new("state", "missing")],
                );
            }
        },
    );
    gauge(
        "byokd.keys",
        "",
        "Stored keys by their health, as counted within five minutes.",
        move |set| {
            counts.each(|alike| {
                let labels = [
                    Label::new("source", alike.source.clone()),
                    Label::new("provider", alike.provider.clone()),
                    Label::new("badge", alike.badge.as_str().to_ascii_lowercase()),
                ];
                #[expect(clippy::as_conversions, reason = "more keys than 2^53 there are not")]
                set(alike.count as f64, &labels);
            });
        },
    );
    let Places { running, all } = places;
    gauge(
        "byokd.calls.running",
        "",
        "Calls that hold a place.",
        move |set| set(f64::from(running()), &[]),
    );
    gauge(
        "byokd.calls.places",
        "",
        "Calls that may run at once.",
        move |set| set(f64::from(all), &[]),
    );
    gauge("byokd.build_info", "", "The build that runs.", |set| {
        let labels = [
            Label::new("version", env!("CARGO_PKG_VERSION")),
            Label::new(
                "revision",
                option_env!("BYOKD_REVISION").unwrap_or("unknown"),
            ),
        ];
        set(1.0, &labels);
    });
}

fn truth(is: bool) -> f64 {
    if is { 1.0 } else { 0.0 }
}

fn number(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::INFINITY, f64::from)
}
