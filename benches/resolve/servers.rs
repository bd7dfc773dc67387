//! byokd as it is measured: a workspace that brought its own key, in each of the settings that the table names.

use byokd::contract::v1::{
    ResolveCredentialsRequest, ResolveCredentialsResponse, SetKeyRequest,
    key_service_client::KeyServiceClient,
};
use tonic::{Request, transport::Endpoint};

use crate::{
    ca,
    catalog::CATALOG,
    certificates::{CALLER, Certificates},
    client::{Call, Where},
    collector::Collector,
    site::{Site, Start},
};

/// What is asked all the time.
pub(crate) fn ask() -> ResolveCredentialsRequest {
    ResolveCredentialsRequest {
        workspace_id: "acme".to_owned(),
        model: "small".to_owned(),
        ..Default::default()
    }
}

/// How byokd is set up.
#[derive(Default)]
pub(crate) struct Setting<'a> {
    /// The command that runs it, if any does.
    pub(crate) under: &'a [String],
    /// Where traces and metrics go; a call in a hundred is traced.
    pub(crate) collector: Option<&'a Collector>,
    pub(crate) encrypted: Option<&'a Certificates>,
    pub(crate) durable: bool,
    /// Threads that serve; as many as processors, if nothing is said.
    pub(crate) workers: Option<usize>,
}

/// byokd, and its answer to `ask`.
pub(crate) struct Byokd {
    site: Site,
    pub(crate) call: Call,
    pub(crate) answer: ResolveCredentialsResponse,
}

impl Byokd {
    pub(crate) async fn start(setting: Setting<'_>) -> Self {
        let mode = if setting.durable {
            "durable"
        } else {
            "buffered"
        };
        let mut config = format!(
            "catalog.file = 'catalog.toml'\naudit.mode = '{mode}'\naudit.file = 'audit.log'\n\
             egress.loopback_http = true\nchecks.deadline_ms = 1000\nserver.shutdown_delay_ms = 0\n"
        );
        let mut files = vec![("catalog.toml", CATALOG.to_owned())];
        if let Some(certificates) = setting.encrypted {
            config += "tls = { cert_file = 'server.crt', key_file = 'server.key', client_ca_file = 'ca.crt' }\n";
            config += &format!(
                "[[auth.rules]]\ncertificate = '{CALLER}'\nroles = ['resolver', 'admin']\nworkspaces = ['*']\n"
            );
            files.extend(certificates.files());
        }
        files.push(("byokd.toml", config));
        let mut env = Vec::new();
        env.extend(
            setting
                .workers
                .map(|workers| ("TOKIO_WORKER_THREADS", workers.to_string())),
        );
        if let Some(collector) = setting.collector {
            env.push(("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.clone()));
            env.push(("OTEL_TRACES_SAMPLER", "parentbased_traceidratio".to_owned()));
            env.push(("OTEL_TRACES_SAMPLER_ARG", "0.01".to_owned()));
        }
        let site = Site::start(Start {
            under: setting.under.to_vec(),
            env,
            files,
        })
        .await;
        let token = site.target.token.clone();
        let channel = match setting.encrypted {
            Some(certificates) => {
                ca::connect(
                    site.target.host(),
                    &certificates.ca_pem(),
                    Some(&certificates.client),
                )
                .await
            }
            None => {
                Endpoint::from_shared(site.target.address.clone())
                    .unwrap()
                    .connect()
                    .await
            }
        };
        let bearer = move |mut request: Request<()>| {
            request
                .metadata_mut()
                .insert("authorization", format!("Bearer {token}").parse().unwrap());
            Ok(request)
        };
        let mut client = KeyServiceClient::with_interceptor(channel.unwrap(), bearer);
        let set = SetKeyRequest {
            workspace_id: ask().workspace_id,
            provider: "openai".to_owned(),
            api_key: format!("sk-proj-{}", "SYNTHETIC-".repeat(16).trim_end_matches('-')),
            enable_byo: true,
            // No server listens there.
            allow_unverified: true,
            ..Default::default()
        };
        client.set_key(set).await.unwrap();
        let answer = client
            .resolve_credentials(ask())
            .await
            .unwrap()
            .into_inner();
        let encrypted = setting.encrypted.map(Certificates::connector);
        let call = Call::new(&site.target.token, &ask(), encrypted);
        Self { site, call, answer }
    }

    pub(crate) fn at(&self) -> Where {
        Where {
            host: self.site.target.host().to_owned(),
            process: self.site.id(),
        }
    }

    /// The caller's.
    pub(crate) fn token(&self) -> &str {
        &self.site.target.token
    }

    /// Ends it in order, and waits for that.
    pub(crate) fn end(mut self) {
        self.site.end();
    }
}
