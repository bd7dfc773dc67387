//! Workspaces that are not in memory: what each costs to read, and to keep.

use sqlx::PgConnection;

use crate::{
    calls::{SHAPE, flooded, granted},
    client::Until,
    deployment::Deployment,
    replica::Replica,
    statements::Statements,
};

/// Workspaces of which each is read once, to count statements.
const COLD: usize = 1_000;

/// Workspaces that are not in memory.
#[derive(Debug)]
pub(crate) struct Cold {
    pub(crate) calls: usize,
    pub(crate) statements: Statements,
    pub(crate) seconds: f64,
    pub(crate) kms_calls: f64,
}

/// All workspaces in memory, each after one call; in bytes.
#[derive(Debug)]
pub(crate) struct Memory {
    pub(crate) before: f64,
    pub(crate) after: f64,
    /// Of the processor's time, in µs for each call.
    pub(crate) per_call: f64,
}

impl Cold {
    pub(crate) async fn take(
        deployment: &Deployment,
        admin: &mut PgConnection,
        kept: usize,
    ) -> Self {
        let replica = Replica::start(deployment, "scale", kept).await;
        let call = replica.each(0);
        // The first call makes no difference any more.
        call.flood(&replica.at(), 1, 1, Until::Calls(1)).await;
        Statements::forget(admin).await;
        let kms_calls = replica.kms_calls().await;
        let felt = granted(call.flood(&replica.at(), 1, 1, Until::Calls(COLD)).await);
        Self {
            calls: felt.took.len(),
            statements: Statements::count(admin).await,
            seconds: felt.seconds,
            kms_calls: replica.kms_calls().await - kms_calls,
        }
    }
}

impl Memory {
    pub(crate) async fn take(deployment: &Deployment, workspaces: usize) -> Self {
        // On all processors, and with room for more, since each part of the cache has its own bound.
        let replica = Replica::start_unpinned(deployment, 2 * workspaces).await;
        let before = replica.memory();
        let callers = SHAPE.0 * SHAPE.1;
        let call = replica.each(0);
        let felt = flooded(&call, &replica, Until::Calls(workspaces / callers)).await;
        let rest = workspaces - workspaces / callers * callers;
        granted(call.flood(&replica.at(), 1, 1, Until::Calls(rest)).await);
        replica.keeps(workspaces).await;
        Self {
            before,
            after: replica.memory(),
            per_call: felt.per_call(),
        }
    }
}
