//! Some replicas on one database.

use std::time::Duration;

use sqlx::PgConnection;

use crate::{
    calls::{SHAPE, flooded},
    client::Until,
    deployment::Deployment,
    replica::Replica,
    statements::Statements,
};

/// Calls that replicas share.
const SHARED: usize = 60_000;
/// How long replicas are left alone, to count what they do by themselves.
const IDLE: Duration = Duration::from_secs(5);
const SEED: u64 = 60;

/// So many replicas that share `SHARED` calls, from empty memories on.
#[derive(Debug)]
pub(crate) struct Replicas {
    pub(crate) count: usize,
    /// Until all were ready.
    pub(crate) kms_calls: f64,
    /// Statements a second without calls, and statements for each call.
    pub(crate) idle: f64,
    pub(crate) per_call: f64,
}

impl Replicas {
    pub(crate) async fn take(
        deployment: &Deployment,
        admin: &mut PgConnection,
        count: usize,
        workspaces: usize,
        kept: usize,
    ) -> Self {
        let mut replicas = Vec::new();
        for _ in 0..count {
            replicas.push(Replica::start(deployment, "scale", kept).await);
        }
        let mut kms_calls = 0.0;
        for replica in &replicas {
            kms_calls += replica.kms_calls().await;
        }
        Statements::forget(admin).await;
        tokio::time::sleep(IDLE).await;
        let idle = Statements::count(admin).await.all() as f64 / IDLE.as_secs_f64();
        Statements::forget(admin).await;
        let each = SHARED / count / (SHAPE.0 * SHAPE.1);
        let mut calls = 0;
        for (seed, replica) in replicas.iter().enumerate() {
            let call = replica.zipf(workspaces, SEED + seed as u64);
            calls += flooded(&call, replica, Until::Calls(each)).await.took.len();
        }
        let per_call = Statements::count(admin).await.reads as f64 / calls as f64;
        Self {
            count,
            kms_calls,
            idle,
            per_call,
        }
    }
}
