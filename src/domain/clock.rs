//! Time, as it is passed in.
//!
//! Invariant: no decision and nothing stored takes its time from anywhere else (ids, limiters and time-outs have their
//! libraries' own). Ages are measured on the monotonic reading, which
//! no administrator can set back; dates and stored times come from the wall reading.
//!
//! Not here: waiting. A test moves a manual clock; nothing sleeps on one.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use time::OffsetDateTime;

/// The system's clock, or one that a test moves.
#[derive(Clone, Debug)]
pub struct Clock(Kind);

#[derive(Clone, Debug)]
enum Kind {
    System {
        started: Instant,
    },
    Manual {
        start: OffsetDateTime,
        elapsed_ms: Arc<AtomicI64>,
    },
}

impl Clock {
    /// The clock of this machine.
    pub fn system() -> Self {
        Self(Kind::System {
            started: Instant::now(),
        })
    }

    /// A clock that stands at `start` until `advance` moves it.
    pub fn manual(start: OffsetDateTime) -> Self {
        Self(Kind::Manual {
            start,
            elapsed_ms: Arc::default(),
        })
    }

    /// Moves a manual clock forward; the system's clock is not moved.
    pub fn advance(&self, by: Duration) {
        if let Kind::Manual { elapsed_ms, .. } = &self.0 {
            elapsed_ms.fetch_add(
                i64::try_from(by.as_millis()).unwrap_or(i64::MAX),
                Ordering::SeqCst,
            );
        }
    }

    /// The date and time, in UTC.
    pub fn now(&self) -> OffsetDateTime {
        match &self.0 {
            Kind::System { .. } => OffsetDateTime::now_utc(),
            Kind::Manual { start, elapsed_ms } => start.saturating_add(
                time::Duration::milliseconds(elapsed_ms.load(Ordering::SeqCst)),
            ),
        }
    }

    /// Time since the clock was made; never goes back.
    pub fn elapsed(&self) -> Duration {
        match &self.0 {
            Kind::System { started } => started.elapsed(),
            Kind::Manual { elapsed_ms, .. } => {
                Duration::from_millis(elapsed_ms.load(Ordering::SeqCst).unsigned_abs())
            }
        }
    }
}
