//! The admin port of a replica, as a kubelet or a balancer uses it: health, readiness, pages.

use std::process::Command;

use tonic::{Code, transport::Endpoint};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::support::{Process, Site, until};

/// The health services that follow readiness as a whole.
const WATCHED: [&str; 4] = [
    "",
    "readiness",
    "byok.v1.KeyService",
    "byok.v1.PlatformService",
];

/// The admin port of a byokd, as a kubelet asks it.
#[derive(Clone)]
pub(crate) struct Admin {
    pub(crate) address: String,
    pub(crate) http: reqwest::Client,
}

impl Admin {
    pub(crate) fn at(address: impl ToString) -> Self {
        // A connection of its own for each probe.
        let http = reqwest::Client::builder()
            .no_proxy()
            .pool_max_idle_per_host(0)
            .build()
            .unwrap();
        Self {
            address: address.to_string(),
            http,
        }
    }

    /// Waits until the process listens there. The log has the address at level debug.
    pub(crate) async fn of(process: &mut Process) -> Self {
        let address = until("the admin port listens", async || {
            assert!(process.has_ended().is_none(), "{}", process.said());
            let said = process.said();
            let (_, rest) = said.split_once("the admin port listens")?;
            Some(
                rest.lines()
                    .next()?
                    .split_once("address=")?
                    .1
                    .trim()
                    .to_owned(),
            )
        });
        Self::at(address.await)
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        let answer = self.http.get(self.url(path)).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// The component that `/readyz` waits for; `None`: it is ready.
    pub(crate) async fn awaited(&self) -> Option<String> {
        match self.get("/readyz").await {
            (200, text) => {
                assert_eq!(text, "ready\n");
                None
            }
            (503, text) => Some(text),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn ready(&self) {
        until("it is ready", async || {
            self.awaited().await.is_none().then_some(())
        })
        .await;
        self.agree(ServingStatus::Serving).await;
    }

    /// Waits until it is not ready, for this reason alone.
    pub(crate) async fn awaits(&self, line: &str) {
        let line = format!("{line}\n");
        until(&line, async || {
            (self.awaited().await.as_deref() == Some(&line)).then_some(())
        })
        .await;
        self.agree(ServingStatus::NotServing).await;
    }

    /// All services report the same, and the process lives.
    pub(crate) async fn agree(&self, status: ServingStatus) {
        for service in WATCHED {
            until(service, async || {
                (self.health(service).await == Ok(status)).then_some(())
            })
            .await;
        }
        self.lives().await;
    }

    pub(crate) async fn lives(&self) {
        assert_eq!(self.get("/livez").await, (200, "alive\n".to_owned()));
        assert_eq!(self.health("liveness").await, Ok(ServingStatus::Serving));
    }

    pub(crate) async fn health(&self, service: &str) -> Result<ServingStatus, Code> {
        let channel = Endpoint::from_shared(format!("http://{}", self.address))
            .unwrap()
            .connect()
            .await
            .unwrap();
        let request = HealthCheckRequest {
            service: service.to_owned(),
        };
        let answer = HealthClient::new(channel).check(request).await;
        answer
            .map(|answer| answer.into_inner().status())
            .map_err(|status| status.code())
    }
}

/// `byokd serve` that logs the address of its admin port first.
pub(crate) fn serve(site: &Site) -> Command {
    let mut serve = site.serve();
    log_at_once(&mut serve);
    serve
}

pub(crate) fn log_at_once(serve: &mut Command) -> &mut Command {
    serve.env(
        "BYOKD__LOG__FILTER",
        "info,byokd=debug,sea_orm_migration=warn,sqlx=warn",
    )
}
