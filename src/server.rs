//! The wiring: a configuration in, a running server out.
//!
//! Start: bind both ports → the admin port listens → open the parts → the contract's port listens. So probes get an answer
//! from the beginning, and callers are refused until byokd can answer. A fault of the configuration ends the start; a
//! database that does not respond is retried.
//!
//! End: not ready → the shutdown delay, for load balancers and clients → no new connections, GOAWAY on open ones → calls in
//! flight end, and so do changes of callers that left → close the audit stream → zero the data keys → close the database.
//!
//! Invariants: the address file exists from listening to shutdown; a task that ends by itself ends the server with an
//! error; the admin port answers until the calls have ended.
//!
//! Not here: behavior; it is in the parts.

mod callers;
mod gauges;
mod listen;
mod maintain;
mod open;
mod readiness;
mod rounds;

use std::{fs, net::SocketAddr, path::PathBuf, pin::Pin, sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};
use tonic::service::Routes;
use tonic_health::pb::health_server::{Health, HealthServer};

pub use callers::grants;
use gauges::{KeyCounts, Places};
pub use maintain::rewrap;
pub use open::store_settings;
pub use readiness::Readiness;

use listen::Claimed;

use crate::{
    admin,
    app_state::AppState,
    config::{Config, Reflection},
    contract::DESCRIPTORS,
    domain::{clock::Clock, error::Error},
    grpc::{Admission, Gate, Services},
    identity::Identity,
    telemetry::metrics,
    transport,
};

pub use crate::rewrap::{RewrapMode, RewrapProgress, RewrapSummary};

/// The file in the data folder that names the running server.
const ADDRESS_FILE: &str = "server";
/// How long calls in flight may go on once the server stops.
const DRAIN: Duration = Duration::from_secs(25);
/// The same for those who watch; some never end by themselves.
const DRAIN_ADMIN: Duration = Duration::from_millis(200);

/// Why byokd does not start: a sentence for its operator.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StartError(String);

impl From<Error> for StartError {
    fn from(error: Error) -> Self {
        // The reader is the operator of this machine, so the text includes the cause.
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
    address_file: PathBuf,
    delay: Duration,
    stop: watch::Sender<bool>,
    tasks: JoinSet<Result<(), Error>>,
    admin: Admin,
    state: Arc<AppState>,
    readiness: Arc<Readiness>,
}

/// The admin port, which is served longer than the contract's.
struct Admin {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    tasks: JoinSet<Result<(), Error>>,
}

/// A future behind a pointer. A binary, test or bench that awaits it does not compile the server's async code again.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Opens everything that operations are made of. Nothing listens.
pub fn open(config: &Config, clock: Clock) -> Boxed<'_, Result<Arc<AppState>, StartError>> {
    Box::pin(async { open::open(config, clock, &*Readiness::new().await).await })
}

impl Server {
    /// Listens on the admin port, opens everything, then listens for calls.
    pub fn start(config: Config, clock: Clock) -> Boxed<'static, Result<Self, StartError>> {
        Box::pin(Self::listen(config, clock))
    }

    async fn listen(config: Config, clock: Clock) -> Result<Self, StartError> {
        let contract = Claimed::new(config.server.listen, "--listen")?;
        let readiness = Readiness::new().await;
        let mut admin = Admin::start(&config, &readiness)?;
        // A future of all that is opened is too large to be a part of this one.
        let opened = Box::pin(Self::open(&config, clock, &readiness));
        let (state, identity, tls) = tokio::select! {
            opened = opened => opened?,
            ended = admin.tasks.join_next() => return Err(Error::internal(format!("the admin port ended: {ended:?}")).into()),
        };
        let (connections, calls) = (
            callers::connection_limits(&config)?,
            callers::call_limits(&config),
        );

        let address = contract.address();
        let services = Services::new(Gate::new(Arc::clone(&identity)), Arc::clone(&state));
        let reflected = match config.server.reflection {
            Reflection::On => true,
            Reflection::Off => false,
            Reflection::Loopback => address.ip().is_loopback(),
        };
        let others = routes(&services, readiness.contract_service(), reflected)?;
        let served = Admission::new(services.key_service(), others, calls);
        let (stop, stopping) = watch::channel(false);
        let counts = KeyCounts::default();
        let places = Places {
            running: served.running(),
            all: calls.calls,
        };
        gauges::install(&state, &readiness, counts.clone(), places);
        let encrypted = tls.is_some();
        let contract = transport::serve(
            contract.listen()?,
            tls.clone(),
            connections,
            served,
            stopped(stopping.clone()),
        );
        let mut tasks = JoinSet::new();
        rounds::spawn(
            &mut tasks, &state, &identity, tls, &readiness, counts, &stopping,
        );
        tasks.spawn(async move {
            contract.await;
            Ok(())
        });
        let address_file = config.server.data_dir.join(ADDRESS_FILE);
        let address_url = listen::url(address, encrypted);
        listen::write_address(&address_file, &address_url)?;
        let delay = Duration::from_millis(config.server.shutdown_delay_ms);
        Ok(Self {
            address,
            address_url,
            address_file,
            delay,
            stop,
            tasks,
            admin,
            state,
            readiness,
        })
    }

    async fn open(
        config: &Config,
        clock: Clock,
        readiness: &Readiness,
    ) -> Result<(Arc<AppState>, Arc<Identity>, Option<Arc<transport::Tls>>), StartError> {
        let state = open::open(config, clock.clone(), readiness).await?;
        // The place in the change log is taken before anything is answered; if that fails, `follow` goes on trying.
        let _told = state.cache.poll().await;
        let identity = Arc::new(callers::identity(config, clock)?);
        Ok((state, identity, callers::tls(config)?.map(Arc::new)))
    }

    /// Where the contract is served.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same as a URL.
    pub fn url(&self) -> &str {
        &self.address_url
    }

    /// Returns the function that reopens the audit file after a rename.
    pub fn reopener(&self) -> impl Fn() + use<> {
        let state = Arc::clone(&self.state);
        move || state.audit.reopen()
    }

    /// Where probes and metrics are served.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin.address
    }

    /// Serves until `until` resolves, then ends in order; `hurry` cuts the delay before it. A task that ends by itself is
    /// an error.
    pub fn run<'a>(
        self,
        until: impl Future<Output = ()> + Send + 'a,
        hurry: impl Future<Output = ()> + Send + 'a,
    ) -> Boxed<'a, Result<(), Error>> {
        self.serve(Box::pin(until), Box::pin(hurry))
    }

    fn serve<'a>(self, until: Boxed<'a, ()>, hurry: Boxed<'a, ()>) -> Boxed<'a, Result<(), Error>> {
        Box::pin(self.serve_until(until, hurry))
    }

    async fn serve_until(
        mut self,
        until: Boxed<'_, ()>,
        hurry: Boxed<'_, ()>,
    ) -> Result<(), Error> {
        let died = |ended| {
            Err(Error::internal(format!(
                "a task ended by itself: {ended:?}"
            )))
        };
        let mut result = tokio::select! {
            () = until => Ok(()),
            ended = self.tasks.join_next() => died(ended),
            ended = self.admin.tasks.join_next() => died(ended),
        };
        self.readiness.stop().await;
        if result.is_ok() {
            tokio::select! {
                () = sleep(self.delay) => {}
                () = hurry => {}
            }
        }
        self.readiness.dismiss_watchers().await;
        self.stop.send_replace(true);
        let drained_and_settled = async {
            let outcome = drained(&mut self.tasks).await;
            // A caller that left may have begun a change. Wait for it and for its audit entry.
            self.state.changes.settled().await;
            outcome
        };
        match timeout(DRAIN, drained_and_settled).await {
            Ok(outcome) => result = result.and(outcome),
            Err(_) => tracing::warn!("calls were still running after {DRAIN:?} and were cut off"),
        }
        self.tasks.shutdown().await;
        self.admin.stop.send_replace(true);
        // The end of the connection notifies the remaining watchers.
        let _cut = timeout(DRAIN_ADMIN, drained(&mut self.admin.tasks)).await;
        // Whatever was answered has its line by now.
        self.state.audit.close().await;
        self.state.keyring.forget();
        self.state.store.close().await;
        if let Err(error) = fs::remove_file(&self.address_file) {
            tracing::warn!(file = %self.address_file.display(), %error, "the address file is still there");
        }
        result
    }
}

impl Admin {
    fn start(config: &Config, readiness: &Arc<Readiness>) -> Result<Self, StartError> {
        let claimed = Claimed::new(config.server.admin_listen, "--admin-listen")?;
        let (address, listener) = (claimed.address(), claimed.listen()?);
        let (stop, stopping) = watch::channel(false);
        let (health, readiness) = (readiness.admin_service(), Arc::clone(readiness));
        let awaited = move || readiness.awaited();
        let serving = admin::serve(
            listener,
            health,
            awaited,
            metrics::exposition,
            stopped(stopping),
        );
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { serving.await.map_err(Error::internal) });
        tracing::debug!(%address, "the admin port listens");
        Ok(Self {
            address,
            stop,
            tasks,
        })
    }
}

/// What is served on the contract's port beside `KeyService`.
fn routes(
    services: &Services,
    health: HealthServer<impl Health>,
    reflected: bool,
) -> Result<Routes, StartError> {
    let mut routes = Routes::builder();
    routes
        .add_service(health)
        .add_service(services.platform_service());
    if reflected {
        let reflection = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(DESCRIPTORS)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
                .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
        };
        routes
            .add_service(reflection().build_v1().map_err(Error::internal)?)
            .add_service(reflection().build_v1alpha().map_err(Error::internal)?);
    }
    Ok(routes.routes())
}

/// The end of all of them, and whether it was a good one.
async fn drained(tasks: &mut JoinSet<Result<(), Error>>) -> Result<(), Error> {
    let mut outcome = Ok(());
    while let Some(ended) = tasks.join_next().await {
        outcome = outcome.and(ended.map_err(Error::internal).and_then(|ended| ended));
    }
    outcome
}

async fn stopped(mut stopping: watch::Receiver<bool>) {
    // An error means that the sender is gone, and with it the server.
    let _gone = stopping.wait_for(|stop| *stop).await;
}
