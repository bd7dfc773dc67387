//! One byokd on the deployment's database, as a process, and what its own figures say.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use byokd::contract::v1::ResolveCredentialsRequest;

use crate::{
    client::{Call, Where},
    deployment::Deployment,
    seed::workspace,
    site::{Site, Start},
    zipf::{Zipf, numbered},
};

/// How long a replica may take to become ready.
const READY: Duration = Duration::from_secs(60);

pub(crate) struct Replica {
    site: Site,
    pub(crate) started: Started,
}

/// How long a start took from exec on, in ms.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Started {
    pub(crate) listening: f64,
    /// Of its own processor's time until then.
    pub(crate) processor: f64,
    pub(crate) ready: f64,
}

impl Replica {
    /// Starts one on the first processor and waits until it is ready.
    pub(crate) async fn start(deployment: &Deployment, database: &str, workspaces: usize) -> Self {
        Self::start_under(&deployment.under, deployment, database, workspaces).await
    }

    /// The same on all processors.
    pub(crate) async fn start_unpinned(deployment: &Deployment, workspaces: usize) -> Self {
        Self::start_under(&deployment.everywhere, deployment, "scale", workspaces).await
    }

    async fn start_under(
        under: &[String],
        deployment: &Deployment,
        database: &str,
        workspaces: usize,
    ) -> Self {
        let files = deployment.files(database, workspaces);
        let site = Site::start(Start {
            under: under.to_vec(),
            env: Vec::new(),
            files,
        })
        .await;
        let address = format!("http://{}/readyz", site.admin);
        while !reqwest::get(&address).await.unwrap().status().is_success() {
            assert!(site.spawned.elapsed() < READY, "not ready: {}", site.log());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let [listening, ready] =
            [site.listening, site.spawned.elapsed()].map(|time| time.as_secs_f64() * 1e3);
        Self {
            started: Started {
                listening,
                processor: site.processor * 1e3,
                ready,
            },
            site,
        }
    }

    pub(crate) fn at(&self) -> Where {
        Where {
            host: self.site.target.host().to_owned(),
            process: self.site.id(),
        }
    }

    /// What it has in memory, in bytes.
    pub(crate) fn memory(&self) -> f64 {
        self.site.memory() * 1024.0 * 1024.0
    }

    /// Calls of workspaces that follow Zipf's law.
    pub(crate) fn zipf(&self, workspaces: usize, seed: u64) -> Call {
        let zipf = Mutex::new(Zipf::new(workspaces, seed));
        Call::each(&self.site.target.token, move || {
            ask(zipf.lock().unwrap().draw())
        })
    }

    /// Calls of the workspaces that are called most, from the first one on.
    pub(crate) fn most_called(&self, workspaces: usize) -> Call {
        let next = AtomicUsize::new(0);
        Call::each(&self.site.target.token, move || {
            ask(numbered(next.fetch_add(1, Ordering::Relaxed), workspaces))
        })
    }

    /// Calls of one workspace after the other, from this number on.
    pub(crate) fn each(&self, from: usize) -> Call {
        let next = AtomicUsize::new(from);
        Call::each(&self.site.target.token, move || {
            ask(next.fetch_add(1, Ordering::Relaxed))
        })
    }

    /// The sum of a metric over those of its series that have this label, if one is named.
    pub(crate) async fn metric(&self, name: &str, label: &str) -> f64 {
        let address = format!("http://{}/metrics", self.site.admin);
        let text = reqwest::get(address).await.unwrap().text().await.unwrap();
        let series = text.lines().filter(|line| {
            line.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with(['{', ' ']))
                && line.contains(label)
        });
        series
            .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
            .sum()
    }

    /// How often a workspace was not in memory.
    pub(crate) async fn loads(&self) -> f64 {
        self.metric("byokd_directory_lookups_total", "result=\"load\"")
            .await
    }

    pub(crate) async fn kms_calls(&self) -> f64 {
        self.metric("byokd_kms_call_duration_seconds_count", "")
            .await
    }

    /// Waits until its metrics report this many cached workspaces.
    pub(crate) async fn keeps(&self, workspaces: usize) {
        let began = Instant::now();
        loop {
            let kept = self.metric("byokd_directory_entries", "").await;
            if kept >= workspaces as f64 {
                return;
            }
            assert!(
                began.elapsed() < READY,
                "only {kept} of {workspaces} workspaces are in memory"
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

fn ask(number: usize) -> ResolveCredentialsRequest {
    ResolveCredentialsRequest {
        workspace_id: workspace(number),
        model: "small".to_owned(),
        ..Default::default()
    }
}
