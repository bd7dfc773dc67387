//! The measurements, and their order.

use std::time::Instant;

use crate::{
    calls,
    cold::{Cold, Memory},
    deployment::Deployment,
    fleet::Replicas,
    replica::{Replica, Started},
    seed::Seed,
    steady::{KmsCalls, Steady},
    steps::Step,
};

/// How often a start is measured.
const STARTS: usize = 5;

pub(crate) struct Measured {
    pub(crate) workspaces: usize,
    /// Workspaces that a replica keeps, but for the one that keeps all.
    pub(crate) kept: usize,
    pub(crate) steps: Vec<Step>,
    pub(crate) starts: Vec<Started>,
    pub(crate) cold: Cold,
    pub(crate) memory: Memory,
    pub(crate) replicas: Vec<Replicas>,
    pub(crate) kms: KmsCalls,
    /// The part of all calls that was refused, since the machine was busy.
    pub(crate) refused: f64,
}

impl Measured {
    pub(crate) async fn take(workspaces: usize, counts: bool) -> Self {
        let (began, kept) = (Instant::now(), workspaces / 10);
        let log = |what: &str| println!("{:4.0} s  {what}", began.elapsed().as_secs_f64());
        let deployment = Deployment::new().await;
        let steady = Steady::start(&deployment).await;
        // It makes the data keys.
        drop(Replica::start(&deployment, "scale", kept).await);
        let folder = tempfile::tempdir().unwrap();
        let parts = deployment.open(folder.path()).await;
        let mut seed = Seed::new(parts, deployment.postgres.admin("scale").await).await;
        let mut admin = deployment.postgres.admin("scale").await;
        let mut steps = Vec::new();
        for part in [1_000, 100, 10, 1] {
            let count = workspaces / part;
            seed.up_to(count).await;
            log(&format!("{count} workspaces are in the database"));
            steps.push(Step::take(&deployment, &mut admin, count, kept).await);
            log(&format!("{:.1?}", steps.last().unwrap()));
        }
        let mut starts = Vec::new();
        for _ in 0..STARTS {
            let replica = Replica::start(&deployment, "scale", kept).await;
            starts.push(replica.started);
        }
        let cold = Cold::take(&deployment, &mut admin, kept).await;
        log(&format!("{starts:.0?} {cold:.1?}"));
        let mut replicas = Vec::new();
        for count in 1..=3 {
            replicas.push(Replicas::take(&deployment, &mut admin, count, workspaces, kept).await);
            log(&format!("{:.2?}", replicas.last().unwrap()));
        }
        let memory = Memory::take(&deployment, workspaces).await;
        log(&format!("{memory:.0?}"));
        let kms = steady.end(counts).await;
        Self {
            workspaces,
            kept,
            steps,
            starts,
            cold,
            memory,
            replicas,
            kms,
            refused: calls::refused(),
        }
    }
}
