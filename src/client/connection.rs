//! An open connection to a byokd, and the answers of its calls.
//!
//! Invariant: the token is read before the network is used, so that a local mistake is reported without a server.

use std::{future::Future, time::Duration};

use tonic::{
    Response, Status,
    service::interceptor::InterceptedService,
    transport::{Channel, Endpoint},
};

use super::{
    address::ServerAddress,
    bearer::{Bearer, CALL_DEADLINE},
    failure::{CallError, ConnectError},
    tls::{ClientTlsFiles, TlsError},
    token::{Access, TokenSource},
};
use crate::contract::v1::{
    key_service_client::KeyServiceClient, platform_service_client::PlatformServiceClient,
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// An open connection with the identity of one caller.
pub struct Connection {
    channel: InterceptedService<Channel, Bearer>,
}

impl Connection {
    /// Gets a token, then connects.
    ///
    /// # Errors
    ///
    /// There is no token, the TLS files are unusable, or no server listens at the address.
    pub async fn open(
        server: &ServerAddress,
        tls: &ClientTlsFiles,
        token: &TokenSource,
        access: &Access<'_>,
    ) -> Result<Self, ConnectError> {
        let bearer = Bearer {
            authorization: token.authorization(access)?,
        };
        let unreachable = |error| ConnectError::unreachable(server, &error);
        let mut endpoint =
            Endpoint::from_shared(server.as_str().to_owned()).map_err(unreachable)?;
        if server.is_encrypted() {
            endpoint = endpoint.tls_config(tls.config()?).map_err(unreachable)?;
        } else if !tls.is_empty() {
            return Err(TlsError::NotEncrypted(server.as_str().to_owned()).into());
        }
        let channel = endpoint
            .connect_timeout(CONNECT_TIMEOUT)
            // Also bounds a call whose own deadline the server ignores.
            .timeout(CALL_DEADLINE)
            .connect()
            .await
            .map_err(unreachable)?;
        Ok(Self {
            channel: InterceptedService::new(channel, bearer),
        })
    }

    /// A client of `KeyService`.
    pub fn keys(&self) -> KeyServiceClient<InterceptedService<Channel, Bearer>> {
        KeyServiceClient::new(self.channel.clone())
    }

    /// A client of `PlatformService`.
    pub fn platform(&self) -> PlatformServiceClient<InterceptedService<Channel, Bearer>> {
        PlatformServiceClient::new(self.channel.clone())
    }
}

/// Waits for a call and converts its outcome, so that callers need no type of the transport.
///
/// # Errors
///
/// The server refused the call, or no answer came.
pub async fn answer<T>(
    call: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T, CallError> {
    match call.await {
        Ok(response) => Ok(response.into_inner()),
        Err(status) => Err(CallError::read(&status)),
    }
}
