//! The wiring: a configuration in, a running server out. The one file that knows everybody.
//!
//! Invariants: what the operator can mend is refused before a port is opened; the address is written to the data
//! folder once byokd listens and removed when it stops; a task that dies ends the server with an error.
//!
//! Absent: behaviour. What the parts do stands in their files.

mod callers;
mod gauges;
mod maintain;
mod open;
mod rounds;

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{net::TcpListener, sync::watch, task::JoinSet};
use tonic::service::Routes;
use tonic_health::{ServingStatus, server::HealthReporter};

pub use callers::grants;
use gauges::{KeyCounts, Places};
pub use maintain::rewrap;
pub use open::{open, store_settings};

use crate::{
    admin,
    config::{Config, Reflection},
    contract::{
        DESCRIPTORS,
        v1::{key_service_server::KeyServiceServer, platform_service_server::PlatformServiceServer},
    },
    domain::{clock::Clock, error::Error},
    grpc::{Admission, Gate, Services},
    ops::{self, Parts},
    transport,
};

pub use ops::{Rewrap as RewrapJob, RewrapProgress, RewrapSummary};

/// The file in the data folder that names the running server.
const ADDRESS_FILE: &str = "server";
/// How long calls in flight may go on once the server stops.
const DRAIN: Duration = Duration::from_secs(25);

/// Why byokd does not start: a sentence for its operator.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StartError(String);

impl From<Error> for StartError {
    fn from(error: Error) -> Self {
        // The operator of this very machine is the reader: the cause may be told.
        Self(match error.cause() {
            Some(cause) => format!("{error} (cause: {cause})"),
            None => error.to_string(),
        })
    }
}

/// A running server.
pub struct Server {
    address: SocketAddr,
    address_url: String,
    admin_address: SocketAddr,
    address_file: PathBuf,
    stop: watch::Sender<bool>,
    tasks: JoinSet<Result<(), Error>>,
    parts: Arc<Parts>,
    health: HealthReporter,
}

impl Server {
    /// Opens everything, then listens.
    pub async fn start(config: Config, clock: Clock) -> Result<Self, StartError> {
        let parts = open(&config, clock.clone()).await?;
        // The place in the change log is taken before anything is answered; if that fails, `follow` goes on trying.
        let _told = parts.directory.poll().await;
        let identity = Arc::new(callers::identity(&config, clock)?);
        let tls = callers::tls(&config)?.map(Arc::new);
        let (connections, calls) = (callers::connection_limits(&config)?, callers::call_limits(&config));
        let listener = bind(config.server.listen, "--listen").await?;
        let admin_listener = bind(config.server.admin_listen, "--admin-listen").await?;
        let (address, admin_address) = (
            listener.local_addr().map_err(Error::internal)?,
            admin_listener.local_addr().map_err(Error::internal)?,
        );

        let (health, health_service) = tonic_health::server::health_reporter();
        health.set_serving::<KeyServiceServer<Services>>().await;
        health.set_serving::<PlatformServiceServer<Services>>().await;
        let services = Services::new(Gate::new(Arc::clone(&identity)), Arc::clone(&parts));
        let reflected = match config.server.reflection {
            Reflection::On => true,
            Reflection::Off => false,
            Reflection::Loopback => address.ip().is_loopback(),
        };
        let reflection = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(DESCRIPTORS)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
                .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
        };
        let (stop, stopping) = watch::channel(false);
        let mut routes = Routes::builder();
        routes
            .add_service(health_service.clone())
            .add_service(services.key_service())
            .add_service(services.platform_service());
        if reflected {
            routes
                .add_service(reflection().build_v1().map_err(Error::internal)?)
                .add_service(reflection().build_v1alpha().map_err(Error::internal)?);
        }
        let places = calls.calls;
        let served = Admission::new(routes.routes(), calls);
        let counts = KeyCounts::default();
        gauges::install(&parts, counts.clone(), Places { running: served.running(), all: places });
        let encrypted = tls.is_some();
        let contract =
            transport::serve(listener, tls.clone(), connections, served, stopped(stopping.clone()));
        let admin = admin::serve(admin_listener, health_service, stopped(stopping.clone()));
        let mut tasks = JoinSet::new();
        rounds::spawn(&mut tasks, &parts, &identity, tls, counts, &stopping);
        tasks.spawn(async move {
            contract.await;
            Ok(())
        });
        tasks.spawn(async move { admin.await.map_err(Error::internal) });
        let address_file = config.server.data_dir.join(ADDRESS_FILE);
        let address_url = url(address, encrypted);
        write_address(&address_file, &address_url)?;
        Ok(Self { address, address_url, admin_address, address_file, stop, tasks, parts, health })
    }

    /// Where the contract is served.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same as a URL.
    pub fn url(&self) -> &str {
        &self.address_url
    }

    /// What opens the audit stream's file anew, once it was renamed.
    pub fn reopener(&self) -> impl Fn() + use<> {
        let parts = Arc::clone(&self.parts);
        move || parts.audit.reopen()
    }

    /// Where health is served.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin_address
    }

    /// Serves until `until` resolves, then drains. A task that ends before that is an error.
    pub async fn run(mut self, until: impl Future<Output = ()>) -> Result<(), Error> {
        let mut result = tokio::select! {
            () = until => Ok(()),
            ended = self.tasks.join_next() => Err(Error::internal(format!("a task ended by itself: {ended:?}"))),
        };
        self.health.set_service_status("", ServingStatus::NotServing).await;
        self.health.set_not_serving::<KeyServiceServer<Services>>().await;
        self.health.set_not_serving::<PlatformServiceServer<Services>>().await;
        self.stop.send_replace(true);
        let drained = async {
            let mut outcome = Ok(());
            while let Some(ended) = self.tasks.join_next().await {
                outcome = outcome.and(ended.map_err(Error::internal).and_then(|ended| ended));
            }
            outcome
        };
        match tokio::time::timeout(DRAIN, drained).await {
            Ok(outcome) => result = result.and(outcome),
            Err(_) => tracing::warn!("calls were still running after {DRAIN:?} and were cut off"),
        }
        // Whatever was answered has its line by now.
        self.parts.audit.close().await;
        self.parts.store.close().await;
        if let Err(error) = fs::remove_file(&self.address_file) {
            tracing::warn!(file = %self.address_file.display(), %error, "the address file is still there");
        }
        result
    }
}

async fn stopped(mut stopping: watch::Receiver<bool>) {
    // An error means that the sender is gone, and with it the server.
    let _gone = stopping.wait_for(|stop| *stop).await;
}

fn url(address: SocketAddr, encrypted: bool) -> String {
    format!("{}://{address}", if encrypted { "https" } else { "http" })
}

async fn bind(address: SocketAddr, flag: &str) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|error| {
        let why = match error.kind() {
            io::ErrorKind::AddrInUse => {
                format!("something else listens there; stop it, or name another address with {flag}")
            }
            _ => error.to_string(),
        };
        StartError(format!("cannot listen on {address}: {why}"))
    })
}

/// Whole or not at all, so that a client never reads half an address.
fn write_address(file: &Path, url: &str) -> Result<(), StartError> {
    let fresh = file.with_extension("new");
    fs::write(&fresh, format!("{url}\n"))
        .and_then(|()| fs::rename(&fresh, file))
        .map_err(|error| StartError(format!("cannot write {}: {error}", file.display())))
}
