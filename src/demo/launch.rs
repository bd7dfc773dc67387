//! A demo from its start to its end.
//!
//! Not here: the server, which `cli` starts with the configuration that a demo returns.

use std::{fs, net::Ipv4Addr, sync::Arc};

use time::OffsetDateTime;
use tokio::{net::TcpListener, task::JoinSet};

use super::{
    accounts::Accounts, catalog, error::DemoError, folder::DemoFolder, keys::KeyTable, settings,
    vendor, walk::Banner,
};
use crate::{
    client::{Access, ClientTlsFiles, Connection, ServerAddress, TokenSource, answer},
    config::Config,
    contract::v1,
    domain::{caller::Role, catalog::Catalog, protocol::Protocol},
};

/// The platform's key at each vendor.
const PLATFORM_KEY: &str = "demo-platform";

/// A demo provider that runs, and the data folder of the byokd beside it. Both end with the value.
pub struct Demo {
    provider_url: String,
    catalog: Catalog,
    folder: DemoFolder,
    _serving: JoinSet<std::io::Result<()>>,
}

impl Demo {
    /// Rejects an operator's configuration that names something real.
    ///
    /// # Errors
    ///
    /// Names the settings.
    pub fn check(config: &Config) -> Result<(), DemoError> {
        settings::check(config)
    }

    /// Starts the provider, and points the configuration at it.
    ///
    /// # Errors
    ///
    /// The folder or a port cannot be had.
    pub async fn start(config: &mut Config) -> Result<Self, DemoError> {
        settings::choose_folder(config);
        let folder = DemoFolder::claim(&config.server.data_dir)?;
        let no_port = |cause| DemoError::new("the demo provider has no port", cause);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .map_err(no_port)?;
        let provider_url = format!("http://{}", listener.local_addr().map_err(no_port)?);
        let (text, catalog) = catalog::pointing_at(&provider_url)?;
        let file = folder.path().join("catalog.toml");
        fs::write(&file, text)
            .map_err(|cause| DemoError::new("cannot write the demo's catalog", cause))?;
        settings::apply(config, &file);
        let table = KeyTable::shipped()
            .map_err(|cause| DemoError::new("the demo's key table is broken", cause))?;
        let today = OffsetDateTime::now_utc().date();
        let router = vendor::router(&catalog, &Arc::new(Accounts::new(table)), today);
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, router).await });
        Ok(Self {
            provider_url,
            catalog,
            folder,
            _serving: serving,
        })
    }

    /// Sets the platform's key for each vendor, as an operator does.
    ///
    /// # Errors
    ///
    /// The server refused a key, or did not answer.
    pub async fn set_platform_keys(&self, server: &str) -> Result<(), DemoError> {
        let failed =
            |cause: &dyn std::fmt::Display| DemoError::new("cannot set the platform keys", cause);
        let folder = self.folder.path();
        let address = ServerAddress::find(Some(server), folder).map_err(|error| failed(&error))?;
        let access = Access {
            role: Role::Operator,
            workspace: "*",
            purpose: None,
        };
        let token = TokenSource::DataDir(folder.to_owned());
        let connection = Connection::open(&address, &ClientTlsFiles::default(), &token, &access)
            .await
            .map_err(|error| failed(&error))?;
        let with_keys = self.catalog.providers.values();
        for provider in with_keys.filter(|provider| provider.protocol != Protocol::Local) {
            let request = v1::SetPlatformKeyRequest {
                provider: provider.name.to_string(),
                api_key: PLATFORM_KEY.to_owned(),
                ..Default::default()
            };
            answer(connection.platform().set_platform_key(request))
                .await
                .map_err(|error| failed(&error.message))?;
        }
        Ok(())
    }

    /// What to print once the server runs. `program` and `folder` are words for a shell.
    pub fn banner(&self, program: &str, folder: &str) -> Banner {
        Banner::new(&self.provider_url, program, folder)
    }
}
