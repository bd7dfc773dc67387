//! Calls as customers make them, with more and more workspaces in the database.

use std::time::Duration;

use sqlx::PgConnection;

use crate::{
    calls::{SHAPE, flooded, granted},
    client::Until,
    deployment::Deployment,
    replica::Replica,
    statements::Statements,
};

/// How long a figure is measured, and how long calls go on before.
const TURN: Duration = Duration::from_secs(10);
/// Calls a second where latency is measured.
const RATE: f64 = 1_000.0;
const SEED: u64 = 6;

/// byokd with so many workspaces in the database.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) workspaces: usize,
    /// As many calls as possible: calls a second, µs of processor time for each, the part found in memory, and
    /// statements a second.
    pub(crate) per_second: f64,
    pub(crate) per_call: f64,
    pub(crate) hits: f64,
    pub(crate) statements: f64,
    /// At `RATE`: statements a second, p50 and p99 in ms.
    pub(crate) statements_at_rate: f64,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

impl Step {
    pub(crate) async fn take(
        deployment: &Deployment,
        admin: &mut PgConnection,
        workspaces: usize,
        kept: usize,
    ) -> Self {
        let replica = Replica::start(deployment, "scale", kept).await;
        let call = replica.zipf(workspaces, SEED);
        // Those that are called most come first, as they would in time.
        let most = replica.most_called(workspaces);
        flooded(
            &most,
            &replica,
            Until::Calls(kept.min(workspaces) / (SHAPE.0 * SHAPE.1)),
        )
        .await;
        flooded(&call, &replica, Until::Over(TURN)).await;
        Statements::forget(admin).await;
        let loads = replica.loads().await;
        let most = flooded(&call, &replica, Until::Over(TURN)).await;
        let hits = 1.0 - (replica.loads().await - loads) / most.took.len() as f64;
        let statements = Statements::count(admin).await.all() as f64 / most.seconds;
        Statements::forget(admin).await;
        let paced = call.paced(&replica.at(), SHAPE.0, RATE, TURN).await;
        let mut paced = granted(paced.expect("a server that bears a moderate load"));
        Self {
            workspaces,
            per_second: most.per_second(),
            per_call: most.per_call(),
            hits,
            statements,
            statements_at_rate: Statements::count(admin).await.all() as f64 / paced.seconds,
            p50: paced.percentile(0.5),
            p99: paced.percentile(0.99),
        }
    }
}
