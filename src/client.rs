//! The connection to a byokd: where the server is, who we are, how long we wait.
//!
//! A caller says where the token comes from and which rights it needs; the token goes into every call's metadata,
//! marked sensitive. Each call has a deadline, so that nothing here waits for ever.
//!
//! Absent: retries (a change is only safe to retry with a request id, which is the caller's choice), any text that names a command or an option (that is the command line's), and caching.

mod address;
mod failure;
mod health;
mod tls;
mod token;

use std::{future::Future, time::Duration};

use tonic::{
    Request, Response, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};

pub use address::{AddressError, DEFAULT_SERVER, ServerAddress};
pub use failure::{CallError, ConnectError, FieldProblem};
pub use health::{Unready, ready};
pub use tls::{TlsError, TlsFiles};
pub use token::{Access, TokenError, TokenSource};

use crate::contract::v1::{
    key_service_client::KeyServiceClient, platform_service_client::PlatformServiceClient,
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const CALL_DEADLINE: Duration = Duration::from_secs(30);

/// An open connection that carries one identity.
pub struct Connection {
    channel: InterceptedService<Channel, Bearer>,
}

impl Connection {
    /// Gets a token, then connects. The token comes first, so that a local mistake is reported without a network.
    ///
    /// # Errors
    ///
    /// There is no token, or no server listens at the address.
    pub async fn open(
        server: &ServerAddress,
        tls: &TlsFiles,
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
            // The deadline that travels with each call bounds it too; this one holds even if that is lost.
            .timeout(CALL_DEADLINE)
            .connect()
            .await
            .map_err(unreachable)?;
        Ok(Self {
            channel: InterceptedService::new(channel, bearer),
        })
    }

    /// The calls about workspaces and their keys.
    pub fn keys(&self) -> KeyServiceClient<InterceptedService<Channel, Bearer>> {
        KeyServiceClient::new(self.channel.clone())
    }

    /// The calls about the operator's own keys.
    pub fn platform(&self) -> PlatformServiceClient<InterceptedService<Channel, Bearer>> {
        PlatformServiceClient::new(self.channel.clone())
    }
}

/// Waits for a call and takes its answer apart, so that callers need not know the transport's types.
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

/// Adds the token and the deadline to every call.
#[derive(Clone)]
pub struct Bearer {
    /// None: the connection's certificate says who calls.
    authorization: Option<MetadataValue<Ascii>>,
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.set_timeout(CALL_DEADLINE);
        if let Some(authorization) = &self.authorization {
            request
                .metadata_mut()
                .insert("authorization", authorization.clone());
        }
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_carries_a_sensitive_token_and_a_deadline()
    -> Result<(), Box<dyn std::error::Error>> {
        let mut authorization: MetadataValue<Ascii> = "Bearer abc".parse()?;
        authorization.set_sensitive(true);
        let request = Bearer {
            authorization: Some(authorization),
        }
        .call(Request::new(()))?;
        let sent = request.metadata().get("authorization").ok_or("no token")?;
        assert!(sent.is_sensitive());
        assert_eq!(sent.to_str()?, "Bearer abc");
        assert!(request.metadata().contains_key("grpc-timeout"));
        Ok(())
    }
}
