//! The readiness of a byokd, from `grpc.health.v1` on its admin port.
//!
//! Invariants: connecting and answering share one short deadline, so that a hung byokd is reported like a stopped one.
//! An unspecified address (`0.0.0.0`) is checked on loopback, because the check runs on the same machine.
//!
//! Not here: TLS and tokens. The admin port has neither.

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use tonic::transport::Endpoint;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use super::failure::innermost;

/// The image's `HEALTHCHECK` waits longer, so that byokd reports the timeout, not the container engine.
const DEADLINE: Duration = Duration::from_secs(3);

/// The byokd is not ready.
#[derive(Debug, thiserror::Error)]
pub enum HealthError {
    /// No health answer came in time.
    #[error("not ready: no byokd answers on the admin port {address} ({cause})")]
    Unreachable {
        /// The address of the check.
        address: SocketAddr,
        /// The network's error.
        cause: String,
    },
    /// The answer is another status than `SERVING`.
    #[error("not ready: the byokd on the admin port {address} answers {status}")]
    NotServing {
        /// The address of the check.
        address: SocketAddr,
        /// The status of `grpc.health.v1`.
        status: &'static str,
    },
}

/// Checks the health service of the admin port.
///
/// # Errors
///
/// The server is not ready, or does not answer.
pub async fn check_ready(admin: SocketAddr) -> Result<(), HealthError> {
    let address = reachable(admin);
    let unreachable = |cause: String| HealthError::Unreachable { address, cause };
    let check = async {
        let endpoint = Endpoint::from_shared(format!("http://{address}"));
        let channel = endpoint.map_err(cause)?.connect().await.map_err(cause)?;
        let answer = HealthClient::new(channel)
            .check(HealthCheckRequest::default())
            .await;
        answer
            .map(|answer| answer.into_inner().status())
            .map_err(cause)
    };
    match tokio::time::timeout(DEADLINE, check).await {
        Ok(Ok(ServingStatus::Serving)) => Ok(()),
        Ok(Ok(status)) => Err(HealthError::NotServing {
            address,
            status: status.as_str_name(),
        }),
        Ok(Err(cause)) => Err(unreachable(cause)),
        Err(_) => Err(unreachable(format!("no answer within {DEADLINE:?}"))),
    }
}

#[allow(clippy::needless_pass_by_value, reason = "the signature of map_err")]
fn cause(error: impl std::error::Error + 'static) -> String {
    innermost(&error).to_string()
}

/// Replaces an unspecified address by loopback.
fn reachable(admin: SocketAddr) -> SocketAddr {
    let mut address = admin;
    match admin {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => {
            address.set_ip(Ipv4Addr::LOCALHOST.into())
        }
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => {
            address.set_ip(Ipv6Addr::LOCALHOST.into())
        }
        _ => {}
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unspecified_address_is_checked_on_loopback() -> Result<(), Box<dyn std::error::Error>> {
        for (configured, asked) in [
            ("0.0.0.0:9464", "127.0.0.1:9464"),
            ("[::]:9464", "[::1]:9464"),
            ("10.1.2.3:9464", "10.1.2.3:9464"),
            ("127.0.0.1:1", "127.0.0.1:1"),
        ] {
            assert_eq!(
                reachable(configured.parse()?),
                asked.parse()?,
                "{configured}"
            );
        }
        Ok(())
    }
}
