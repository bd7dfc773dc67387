//! Idle replicas on a database of their own, for the whole run: they count the calls to the KMS.

use std::time::{Duration, Instant};

use crate::{deployment::Deployment, replica::Replica};

const REPLICAS: usize = 3;
/// Age at which a data key is refreshed.
pub(crate) const CACHE_AGE: Duration = Duration::from_secs(10 * 60);
/// Longer than a data key is kept, the last one's delay included.
const WINDOW: Duration = Duration::from_secs(11 * 60 + 30);
/// How many data keys a deployment has.
pub(crate) const DATA_KEYS: f64 = 256.0;

pub(crate) struct Steady {
    replicas: Vec<Replica>,
    before: f64,
    began: Instant,
}

/// Calls to the KMS over a while.
pub(crate) struct KmsCalls {
    pub(crate) replicas: usize,
    pub(crate) calls: f64,
    pub(crate) window: Duration,
}

impl Steady {
    pub(crate) async fn start(deployment: &Deployment) -> Self {
        let mut replicas = Vec::new();
        for _ in 0..REPLICAS {
            replicas.push(Replica::start(deployment, "steady", 1_000).await);
        }
        Self {
            before: calls(&replicas).await,
            replicas,
            began: Instant::now(),
        }
    }

    /// Calls since the start. A counting run waits until every data key was refreshed.
    pub(crate) async fn end(self, waits: bool) -> KmsCalls {
        if waits {
            tokio::time::sleep(WINDOW.saturating_sub(self.began.elapsed())).await;
        }
        let calls = calls(&self.replicas).await - self.before;
        KmsCalls {
            replicas: self.replicas.len(),
            calls,
            window: self.began.elapsed(),
        }
    }
}

impl KmsCalls {
    /// The most that there may be.
    pub(crate) fn goal(&self) -> f64 {
        2.0 * DATA_KEYS * self.replicas as f64 * self.window.as_secs_f64() / CACHE_AGE.as_secs_f64()
    }
}

async fn calls(replicas: &[Replica]) -> f64 {
    let mut calls = 0.0;
    for replica in replicas {
        calls += replica.kms_calls().await;
    }
    calls
}
