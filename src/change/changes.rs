//! The rooms that a change passes through, and the tasks that make changes.
//!
//! Invariants: a change that has begun ends before `settled` returns, also if its caller is gone.
//!
//! Not here: the steps of one change (`attempt`).

use std::sync::Arc;

use tokio::sync::RwLock;
use tracing::Instrument as _;

use crate::{
    audit::Audit,
    domain::{clock::Clock, error::Error},
    keyring::Keyring,
    store::Store,
    workspace_cache::WorkspaceCache,
};

/// Makes changes.
pub struct Changes {
    pub(super) store: Arc<Store>,
    pub(super) cache: Arc<WorkspaceCache>,
    pub(super) keyring: Arc<Keyring>,
    pub(super) audit: Arc<Audit>,
    pub(super) clock: Clock,
    /// Each running change holds it shared.
    running: Arc<RwLock<()>>,
}

impl Changes {
    /// No change is running yet.
    pub fn new(
        store: Arc<Store>,
        cache: Arc<WorkspaceCache>,
        keyring: Arc<Keyring>,
        audit: Arc<Audit>,
        clock: Clock,
    ) -> Self {
        Self {
            store,
            cache,
            keyring,
            audit,
            clock,
            running: Arc::default(),
        }
    }

    /// Waits until no change is running.
    pub async fn settled(&self) {
        let _exclusive = self.running.write().await;
    }

    /// Runs the steps of a change to their end, also if the caller is dropped.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        steps: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        let running = Arc::clone(&self.running).read_owned().await;
        let task = async move {
            let _running = running;
            steps.await
        };
        let task = tokio::spawn(task.in_current_span());
        task.await.map_err(Error::internal)?
    }
}
