//! Three replicas over one PostgreSQL, one KMS key and one provider, each controlled by the test.

use std::{fs, process::Command};

use byokd::{
    contract::v1::{
        key_service_client::KeyServiceClient, platform_service_client::PlatformServiceClient,
    },
    domain::{caller::Role, clock::Clock, names::PurposeName},
    identity::{MintRequest, Signer, mint},
};
use sea_orm::DatabaseConnection;
use tonic::{
    service::interceptor::InterceptedService,
    transport::{Channel, Endpoint},
};

use crate::support::{
    KmsProxy, OwnPostgres, Process, Proxy, Site,
    byokd::{Keys, Platform},
    kms_proxy::REGION,
    process::free_port,
    requests::Bearer,
    rows::number,
    until,
    wait::until_within,
};

use super::{PATIENCE, record::Recorder};

pub(super) const REPLICAS: usize = 3;
const BUCKETS: usize = 256;
/// Longer than any call of byokd may take.
const DEADLINE: std::time::Duration = std::time::Duration::from_secs(25);

pub(super) struct Deployment {
    pub(super) postgres: OwnPostgres,
    pub(super) network: std::sync::Arc<Proxy>,
    pub(super) kms: KmsProxy,
    pub(super) kms_key: String,
    sites: Vec<Site>,
    processes: Vec<Option<Process>>,
    ports: Vec<u16>,
    database_url: String,
}

impl Deployment {
    /// All three serve, and each holds every data key.
    pub(super) async fn start() -> Self {
        let postgres = OwnPostgres::start().await;
        let (network, database_url) = Proxy::before(&postgres.url()).await;
        let kms = KmsProxy::start().await;
        let kms_key = kms.create_key().await;
        let mut sites = Vec::new();
        for _ in 0..REPLICAS {
            sites.push(Site::new().await);
        }
        let ports = (0..REPLICAS).map(|_| free_port()).collect();
        let network = std::sync::Arc::new(network);
        let mut all = Self {
            postgres,
            network,
            kms,
            kms_key,
            sites,
            processes: Vec::new(),
            ports,
            database_url,
        };
        all.processes.resize_with(REPLICAS, || None);
        all.start_replica(0).await;
        let database = all.database().await;
        until_within(PATIENCE, "the data keys are made", async || {
            (number(&database, "SELECT count(*) FROM data_keys").await == BUCKETS as i64)
                .then_some(())
        })
        .await;
        database.close().await.unwrap();
        for other in 1..REPLICAS {
            fs::create_dir_all(all.sites[other].data()).unwrap();
            let signer = all.sites[0].data().join("token-signer");
            fs::copy(signer, all.sites[other].data().join("token-signer")).unwrap();
            all.start_replica(other).await;
        }
        let unwrapped = BUCKETS * (REPLICAS - 1);
        until_within(PATIENCE, "the others hold the data keys", async || {
            (all.kms.count("Decrypt") >= unwrapped).then_some(())
        })
        .await;
        all
    }

    /// The one provider: that of the first site, whose catalog all share.
    pub(super) fn provider(&self) -> &crate::support::FakeProvider {
        &self.sites[0].provider
    }

    fn serve(&self, replica: usize) -> Command {
        let listen = format!("127.0.0.1:{}", self.ports[replica]);
        let mut serve = self.sites[replica].command(&[
            "serve",
            "--listen",
            &listen,
            "--admin-listen",
            "127.0.0.1:0",
        ]);
        serve
            .env("BYOKD__CATALOG__FILE", self.sites[0].path("catalog.toml"))
            .env("BYOKD__DATABASE__URL", &self.database_url)
            // As many as there are unless set otherwise.
            .env_remove("BYOKD__DATABASE__READ_CONNECTIONS")
            .env_remove("BYOKD__DATABASE__WRITE_CONNECTIONS")
            .env("BYOKD__KMS__KEY", &self.kms_key)
            .env("BYOKD__KMS__REGION", REGION)
            .env("BYOKD__KMS__ENDPOINT_URL", self.kms.endpoint())
            .env("AWS_ACCESS_KEY_ID", "synthetic")
            .env("AWS_SECRET_ACCESS_KEY", "synthetic");
        serve
    }

    pub(super) async fn start_replica(&mut self, replica: usize) {
        let process = self.sites[replica].start_as(self.serve(replica)).await;
        self.processes[replica] = Some(process);
    }

    /// SIGKILL.
    pub(super) fn kill_replica(&mut self, replica: usize) {
        self.processes[replica].take().unwrap().kill();
    }

    /// The database, past the proxy.
    pub(super) async fn database(&self) -> DatabaseConnection {
        crate::support::store::connect(&self.postgres.url()).await
    }

    /// A caller of one replica; it connects when it must.
    pub(super) fn keys(&self, replica: usize) -> Keys {
        let roles = [Role::Resolver, Role::Admin];
        KeyServiceClient::new(InterceptedService::new(
            self.channel(replica),
            self.bearer(&roles),
        ))
    }

    pub(super) fn platform(&self) -> Platform {
        PlatformServiceClient::new(InterceptedService::new(
            self.channel(0),
            self.bearer(&[Role::Operator]),
        ))
    }

    fn channel(&self, replica: usize) -> Channel {
        let endpoint =
            Endpoint::from_shared(format!("http://127.0.0.1:{}", self.ports[replica])).unwrap();
        endpoint
            .timeout(DEADLINE)
            .connect_timeout(std::time::Duration::from_secs(2))
            .connect_lazy()
    }

    fn bearer(&self, roles: &[Role]) -> Bearer {
        let request = MintRequest {
            subject: "chaos".to_owned(),
            roles: roles.to_vec(),
            workspace: "*".to_owned(),
            purposes: vec![PurposeName::reply()],
        };
        let signer = Signer::in_folder(&self.sites[0].data()).unwrap();
        Bearer::new(&mint(&signer, &request, &Clock::system()).unwrap())
    }

    /// Waits until the replicas need the KMS no more.
    pub(super) async fn warm(&self) {
        let mut last = (self.kms.calls().len(), std::time::Instant::now());
        until_within(PATIENCE, "the KMS is left alone", async || {
            let calls = self.kms.calls().len();
            if calls != last.0 {
                last = (calls, std::time::Instant::now());
            }
            (last.1.elapsed() >= std::time::Duration::from_millis(1200)).then_some(())
        })
        .await;
    }

    /// No process has ended by itself or panicked.
    pub(super) fn check_processes(&mut self, recorder: &Recorder) {
        for (replica, process) in self.processes.iter_mut().enumerate() {
            let Some(process) = process else { continue };
            let said = process.said();
            let ended = process.has_ended();
            let fine = ended.is_none() && !said.contains("panicked");
            let broken = || format!("replica {replica} ended ({ended:?}) or panicked: {said}");
            recorder.must(if fine { Ok(()) } else { Err(broken()) }, |_| {});
        }
    }

    /// The last log lines of the replicas, and their statements in the database.
    pub(super) async fn state(&self) -> String {
        let database = self.database().await;
        let sql = "SELECT state || ' ' || coalesce(wait_event_type, '') || ' ' || left(query, 60) AS doing, count(*) \
                   FROM pg_stat_activity WHERE application_name = $1 GROUP BY 1";
        let mut state = String::new();
        for row in crate::support::rows::select(&database, sql, "byokd").await {
            let doing: Option<String> = row.try_get_by_index(0).unwrap();
            let count: i64 = row.try_get_by_index(1).unwrap();
            state += &format!("{count} x {doing:?}\n");
        }
        for process in self.processes.iter().flatten() {
            let said = process.said();
            let lines: Vec<&str> = said.lines().collect();
            state += &format!("{}\n\n", lines[lines.len().saturating_sub(12)..].join("\n"));
        }
        state
    }

    /// Forbidden requests to the KMS.
    pub(super) async fn end(mut self) {
        self.kms.assert_clean();
        for process in self.processes.iter_mut().flatten() {
            process.terminate();
        }
        for process in self.processes.iter_mut().flatten() {
            let status = process.ended().await;
            assert!(status.success(), "{status}: {}", process.said());
        }
    }

    /// Waits until a started replica answers at all.
    pub(super) async fn reachable(&self) {
        for replica in 0..REPLICAS {
            until("the replica answers", async || {
                let mut keys = self.keys(replica);
                let asked = byokd::contract::v1::GetWorkspaceRequest {
                    workspace_id: "unknown".to_owned(),
                };
                keys.get_workspace(asked).await.ok()
            })
            .await;
        }
    }
}
