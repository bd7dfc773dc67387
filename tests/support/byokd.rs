//! A byokd of a test's own: the real server on its own port, over its own store and folder.

use std::{path::PathBuf, time::Duration};

use byokd::{
    audit::ChainKey,
    config::Config,
    contract::v1::{
        self, key_service_client::KeyServiceClient, platform_service_client::PlatformServiceClient,
    },
    domain::{caller::Role, clock::Clock, names::PurposeName},
    identity::{MintRequest, Signer, mint},
    server::Server,
};
use time::macros::datetime;
use tokio::{sync::oneshot, task::JoinHandle};
use tonic::{
    Status,
    service::interceptor::InterceptedService,
    transport::{Channel, Endpoint},
};

use super::{
    FakeProvider,
    catalog::catalog,
    requests::{Bearer, ask, new_key},
};

pub(crate) type Keys = KeyServiceClient<InterceptedService<Channel, Bearer>>;
pub(crate) type Platform = PlatformServiceClient<InterceptedService<Channel, Bearer>>;

/// A running byokd with the provider that its catalog names.
pub(crate) struct Byokd {
    pub(crate) provider: FakeProvider,
    pub(crate) clock: Clock,
    pub(crate) config: Config,
    pub(crate) folder: tempfile::TempDir,
    channel: Channel,
    address: std::net::SocketAddr,
    admin_address: std::net::SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<Result<(), byokd::domain::error::Error>>,
}

/// The configuration of a test's byokd in `folder`: its own ports, and limits that no test reaches by
/// accident.
pub(crate) async fn config(folder: &std::path::Path, catalog_file: PathBuf) -> Config {
    let mut config = Config::default();
    config.server.listen = "127.0.0.1:0".parse().unwrap();
    config.server.admin_listen = "127.0.0.1:0".parse().unwrap();
    config.server.data_dir = folder.join("data");
    config.server.shutdown_delay_ms = 0;
    config.audit.key_file = folder.join("audit.key");
    ChainKey::create(&config.audit.key_file).unwrap();
    config.database.url = super::store::url(folder).await;
    config.database.read_connections = 2;
    config.database.write_connections = 2;
    config.catalog.file = catalog_file;
    config.egress.loopback_http = true;
    config.checks.deadline_ms = 10_000;
    config.checks.per_workspace_per_minute = 100_000;
    config.checks.per_principal_per_minute = 100_000;
    config.checks.per_provider_per_second = 100_000;
    config
}

/// As many connections as an operator would allow for many concurrent callers: a call that waits too long for
/// one is refused, and the machine decides how long that is.
pub(crate) fn for_a_crowd(config: &mut Config) {
    config.database.read_connections = 12;
    config.database.write_connections = 4;
}

impl Byokd {
    /// A byokd whose provider accepts every key and lists the catalog's models.
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// The same, with other settings.
    pub(crate) async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let provider = FakeProvider::start().await;
        provider.models_ok(&[
            "small-2030",
            "small-2029",
            "large-2030",
            "haiku-1",
            "whisper-9",
        ]);
        let folder = tempfile::tempdir().unwrap();
        let catalog_file = folder.path().join("catalog.toml");
        std::fs::write(&catalog_file, catalog(&provider)).unwrap();
        let mut config = config(folder.path(), catalog_file).await;
        change(&mut config);
        let clock = Clock::manual(datetime!(2030-06-15 12:00 UTC));
        let server = Server::start(config.clone(), clock.clone()).await.unwrap();
        Self::connected(server, provider, clock, config, folder).await
    }

    /// Stops, and starts again over the same store and folder.
    pub(crate) async fn restart(self) -> Self {
        self.restart_with(|_| {}).await
    }

    /// The same, with other settings.
    pub(crate) async fn restart_with(mut self, change: impl FnOnce(&mut Config)) -> Self {
        self.stop.take().unwrap().send(()).unwrap();
        self.running.await.unwrap().unwrap();
        change(&mut self.config);
        let server = Server::start(self.config.clone(), self.clock.clone())
            .await
            .unwrap();
        Self::connected(server, self.provider, self.clock, self.config, self.folder).await
    }

    async fn connected(
        server: Server,
        provider: FakeProvider,
        clock: Clock,
        config: Config,
        folder: tempfile::TempDir,
    ) -> Self {
        let (address, admin_address) = (server.address(), server.admin_address());
        // Over TLS a test connects by itself, with `ca::connect`, which takes the certificate.
        let channel = Endpoint::from_shared(server.url().to_owned())
            .unwrap()
            .connect_lazy();
        let (stop, stopped) = oneshot::channel::<()>();
        let until = async move {
            let _ = stopped.await;
        };
        let running = tokio::spawn(server.run(until, std::future::pending()));
        Self {
            provider,
            clock,
            config,
            folder,
            channel,
            address,
            admin_address,
            stop: Some(stop),
            running,
        }
    }

    pub(crate) fn address(&self) -> std::net::SocketAddr {
        self.address
    }

    pub(crate) fn admin_address(&self) -> std::net::SocketAddr {
        self.admin_address
    }

    /// A connection without an identity.
    pub(crate) fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// A token of the embedded signer.
    pub(crate) fn token(&self, roles: &[Role], workspace: &str, purposes: &[&str]) -> String {
        let signer = Signer::in_folder(&self.config.server.data_dir).unwrap();
        let request = MintRequest {
            subject: "tests".to_owned(),
            roles: roles.to_vec(),
            workspace: workspace.to_owned(),
            purposes: purposes
                .iter()
                .map(|name| PurposeName::parse(name).unwrap())
                .collect(),
        };
        mint(&signer, &request, &self.clock).unwrap()
    }

    /// The KeyService as one caller sees it.
    pub(crate) fn keys(&self, role: Role, workspace: &str) -> Keys {
        self.keys_with(&self.token(
            &[role],
            workspace,
            &["reply", "training", "embedding", "gossip"],
        ))
    }

    /// The KeyService with this token.
    pub(crate) fn keys_with(&self, token: &str) -> Keys {
        KeyServiceClient::new(InterceptedService::new(
            self.channel.clone(),
            Bearer::new(token),
        ))
    }

    /// The settings page of every workspace.
    pub(crate) fn admin(&self) -> Keys {
        self.keys(Role::Admin, "*")
    }

    /// A service that calls LLMs for every workspace.
    pub(crate) fn resolver(&self) -> Keys {
        self.keys(Role::Resolver, "*")
    }

    /// The operator.
    pub(crate) fn operator(&self) -> Platform {
        self.platform_with(&self.token(&[Role::Operator], "*", &[]))
    }

    /// The PlatformService with this token.
    pub(crate) fn platform_with(&self, token: &str) -> Platform {
        PlatformServiceClient::new(InterceptedService::new(
            self.channel.clone(),
            Bearer::new(token),
        ))
    }

    /// Sets a workspace's key and expects success.
    pub(crate) async fn set_key(
        &self,
        workspace: &str,
        provider: &str,
        key: &str,
    ) -> v1::SetKeyResponse {
        self.admin()
            .set_key(new_key(workspace, provider, key))
            .await
            .unwrap()
            .into_inner()
    }

    /// Sets a platform key and expects success.
    pub(crate) async fn set_platform_key(&self, provider: &str, key: &str) {
        let request = v1::SetPlatformKeyRequest {
            provider: provider.to_owned(),
            api_key: key.to_owned(),
            ..Default::default()
        };
        self.operator().set_platform_key(request).await.unwrap();
    }

    /// Sets the toggle and expects success.
    pub(crate) async fn toggle(&self, workspace: &str, enabled: bool) -> v1::ToggleByoResponse {
        let request = v1::ToggleByoRequest {
            workspace_id: workspace.to_owned(),
            enabled: Some(enabled),
            ..Default::default()
        };
        self.admin().toggle_byo(request).await.unwrap().into_inner()
    }

    /// Resolves; empty names are left open.
    pub(crate) async fn resolve(
        &self,
        workspace: &str,
        model: &str,
        provider: &str,
    ) -> Result<v1::ResolveCredentialsResponse, Status> {
        self.resolver()
            .resolve_credentials(ask(workspace, model, provider, ""))
            .await
            .map(tonic::Response::into_inner)
    }

    /// The key in the answer of a resolve.
    pub(crate) async fn secret(&self, workspace: &str, provider: &str) -> Result<String, Status> {
        Ok(self
            .resolve(workspace, "", provider)
            .await?
            .credential
            .unwrap()
            .api_key
            .clone())
    }

    /// Reads a workspace.
    pub(crate) async fn workspace(&self, workspace: &str) -> v1::Workspace {
        let request = v1::GetWorkspaceRequest {
            workspace_id: workspace.to_owned(),
        };
        self.admin()
            .get_workspace(request)
            .await
            .unwrap()
            .into_inner()
            .workspace
            .unwrap()
    }

    /// The database, as its administrator sees it.
    pub(crate) async fn database(&self) -> sea_orm::DatabaseConnection {
        super::store::connect(&self.config.database.url).await
    }

    /// Advances the clock.
    pub(crate) fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }
}
