//! The wiring: a configuration in, a running server out. The one file that knows everybody.
//!
//! Invariants: what the operator can mend is refused before a port is opened; the address is written to the data
//! folder once byokd listens and removed when it stops; a task that dies ends the server with an error.
//!
//! Absent: behaviour. What the parts do stands in their files.

mod maintain;
mod open;

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{net::TcpListener, sync::watch, task::JoinSet, time::MissedTickBehavior};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server as Transport;
use tonic_health::{ServingStatus, server::HealthReporter};

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
    grpc::{Gate, Services},
    identity::{Identity, Signer},
    ops::{self, Parts},
};

pub use ops::{Rewrap as RewrapJob, RewrapProgress, RewrapSummary};

/// The file in the data folder that names the running server.
const ADDRESS_FILE: &str = "server";
/// How long a call may take at the most; a test call on two hosts takes 20 s.
const CALL_DEADLINE: Duration = Duration::from_secs(30);
/// How long calls in flight may go on once the server stops.
const DRAIN: Duration = Duration::from_secs(25);
/// How often the data keys are looked after.
const KEYRING_ROUND: Duration = Duration::from_secs(1);
/// How often forgotten results are deleted.
const HOUSEKEEPING: Duration = Duration::from_secs(10 * 60);
/// How long the change log goes back. Who was away for longer reads everything again.
const LOGGED_FOR: time::Duration = time::Duration::hours(1);

/// How long a retired data key stays: an hour beyond the 75 minutes for which it may be in somebody's memory, and the
/// 10 for which a record may that it sealed.
const RETIRED_FOR: time::Duration = time::Duration::minutes(150);

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
        let signer = Signer::in_folder_or_new(&config.server.data_dir)?;
        let listener = bind(config.server.listen, "--listen").await?;
        let admin_listener = bind(config.server.admin_listen, "--admin-listen").await?;
        let (address, admin_address) = (
            listener.local_addr().map_err(Error::internal)?,
            admin_listener.local_addr().map_err(Error::internal)?,
        );

        let (health, health_service) = tonic_health::server::health_reporter();
        health.set_serving::<KeyServiceServer<Services>>().await;
        health.set_serving::<PlatformServiceServer<Services>>().await;
        let services = Services::new(Gate::new(Identity::new(signer, clock)), Arc::clone(&parts));
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
        let reflection_v1 =
            reflected.then(|| reflection().build_v1()).transpose().map_err(Error::internal)?;
        let reflection_v1alpha =
            reflected.then(|| reflection().build_v1alpha()).transpose().map_err(Error::internal)?;
        let (stop, stopping) = watch::channel(false);
        let contract = Transport::builder()
            .timeout(CALL_DEADLINE)
            .http2_keepalive_interval(Some(Duration::from_secs(30)))
            .max_concurrent_streams(1024)
            .add_service(health_service.clone())
            .add_optional_service(reflection_v1)
            .add_optional_service(reflection_v1alpha)
            .add_service(services.key_service())
            .add_service(services.platform_service())
            .serve_with_incoming_shutdown(TcpListenerStream::new(listener), stopped(stopping.clone()));
        let admin = admin::serve(admin_listener, health_service, stopped(stopping.clone()));
        let warming = warming(Arc::clone(&parts), stopped(stopping.clone()));
        let housekeeping = housekeeping(Arc::clone(&parts), stopped(stopping.clone()));
        let following = following(Arc::clone(&parts), stopped(stopping));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { contract.await.map_err(Error::internal) });
        tasks.spawn(async move { admin.await.map_err(Error::internal) });
        tasks.spawn(async move {
            warming.await;
            Ok(())
        });
        tasks.spawn(async move {
            housekeeping.await;
            Ok(())
        });
        tasks.spawn(async move {
            following.await;
            Ok(())
        });
        let address_file = config.server.data_dir.join(ADDRESS_FILE);
        write_address(&address_file, address)?;
        Ok(Self { address, admin_address, address_file, stop, tasks, parts, health })
    }

    /// Where the contract is served.
    pub fn address(&self) -> SocketAddr {
        self.address
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

/// Keeps the data keys warm, until the server stops.
async fn warming(parts: Arc<Parts>, stop: impl Future<Output = ()>) {
    let rounds = async {
        let mut round = tokio::time::interval(KEYRING_ROUND);
        // After a round that took long, none is made up for.
        round.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            round.tick().await;
            parts.keyring.tick().await;
        }
    };
    tokio::select! {
        () = rounds => {}
        () = stop => {}
    }
}

/// Keeps the tables short, until the server stops.
async fn housekeeping(parts: Arc<Parts>, stop: impl Future<Output = ()>) {
    let rounds = async {
        let mut round = tokio::time::interval(HOUSEKEEPING);
        loop {
            round.tick().await;
            if let Err(error) = parts.store.purge_results(parts.clock.now()).await {
                tracing::warn!(?error, "old results could not be deleted");
            }
            if let Err(error) = parts.store.purge_log(parts.clock.now().saturating_sub(LOGGED_FOR)).await {
                tracing::warn!(?error, "the old part of the change log could not be deleted");
            }
            if let Err(error) = parts.store.purge_lists().await {
                tracing::warn!(?error, "old model lists could not be deleted");
            }
            if let Err(error) =
                parts.store.purge_data_keys(parts.clock.now().saturating_sub(RETIRED_FOR)).await
            {
                tracing::warn!(?error, "retired data keys could not be deleted");
            }
        }
    };
    tokio::select! {
        () = rounds => {}
        () = stop => {}
    }
}

/// Takes in what other processes change, until the server stops.
async fn following(parts: Arc<Parts>, stop: impl Future<Output = ()>) {
    tokio::select! {
        () = parts.directory.follow() => {}
        () = stop => {}
    }
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
fn write_address(file: &Path, address: SocketAddr) -> Result<(), StartError> {
    let fresh = file.with_extension("new");
    fs::write(&fresh, format!("http://{address}\n"))
        .and_then(|()| fs::rename(&fresh, file))
        .map_err(|error| StartError(format!("cannot write {}: {error}", file.display())))
}
