//! Credentials that take their time.
//!
//! An attempt at a call is cut off after half a second, and with it the fetching of credentials that it waits for; a
//! token service that needs longer would be asked in vain for ever.
//!
//! Invariant: fetching, once begun, goes on in a task of its own; who comes next waits for the same one.
//!
//! Not here: keeping them. The SDK does that, as long as they are good.

use std::{sync::Arc, time::Duration};

use aws_config::SdkConfig;
use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, SharedCredentialsProvider, error::CredentialsError, future},
};
use tokio::{sync::Mutex, task::JoinHandle};

use super::fault;
use crate::kms::{KmsError, KmsFault};

/// How long the first credentials may take, before the start goes on without.
const FIRST: Duration = Duration::from_secs(10);

type Fetched = Result<Credentials, CredentialsError>;

#[derive(Clone, Debug)]
pub(super) struct Patient {
    source: SharedCredentialsProvider,
    fetching: Arc<Mutex<Option<JoinHandle<Fetched>>>>,
}

impl Patient {
    pub(super) fn of(sdk: &SdkConfig) -> Result<Self, KmsError> {
        let source = sdk.credentials_provider().ok_or_else(|| {
            KmsError::new(KmsFault::Denied, "the AWS SDK has no source of credentials")
        })?;
        Ok(Self {
            source,
            fetching: Arc::default(),
        })
    }

    /// Fetches them once, so that the operator reads of missing ones, and not of a call that took too long.
    pub(super) async fn try_once(&self, key: &str, region: &str) -> Result<(), KmsError> {
        match tokio::time::timeout(FIRST, self.fetch()).await {
            Ok(Err(error)) if !matches!(error, CredentialsError::ProviderTimedOut(_)) => {
                Err(KmsError::new(
                    KmsFault::Denied,
                    format!(
                        "no AWS credentials for the KMS key {key} in {region}: {}; {}",
                        fault::chain(&error),
                        fault::GIVE_CREDENTIALS
                    ),
                ))
            }
            _ => Ok(()),
        }
    }

    async fn fetch(&self) -> Fetched {
        let mut fetching = self.fetching.lock().await;
        let task = fetching.get_or_insert_with(|| {
            let source = self.source.clone();
            tokio::spawn(async move { source.provide_credentials().await })
        });
        let fetched = task.await;
        *fetching = None;
        fetched.unwrap_or_else(|error| Err(CredentialsError::unhandled(error)))
    }
}

impl ProvideCredentials for Patient {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.fetch())
    }
}
