//! Whether a byokd is ready, asked where those who watch processes ask: `grpc.health.v1` of its admin port.
//!
//! Invariants: connection and answer share one short deadline, so that a byokd that hangs is told like one that is gone;
//! an address that stands for every interface is asked on loopback, as whoever asks is on the same machine.
//!
//! Absent: TLS and tokens. The admin port has neither.

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use tonic::transport::Endpoint;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use super::failure::innermost;

/// A container engine is told to wait longer than this (the `HEALTHCHECK` of the image), so that the answer is ours.
const DEADLINE: Duration = Duration::from_secs(3);

/// Why it is not ready.
#[derive(Debug, thiserror::Error)]
pub enum HealthError {
    /// Nobody answers there in time, or not with health.
    #[error("not ready: no byokd answers on the admin port {address} ({cause})")]
    Unreachable {
        /// Where it was asked.
        address: SocketAddr,
        /// What the network said.
        cause: String,
    },
    /// It answers, and says so itself.
    #[error("not ready: the byokd on the admin port {address} answers {status}")]
    NotServing {
        /// Where it was asked.
        address: SocketAddr,
        /// Its word, by `grpc.health.v1`.
        status: &'static str,
    },
}

/// Asks the admin port.
///
/// # Errors
///
/// It is not ready, or nobody answers.
pub async fn check_ready(admin: SocketAddr) -> Result<(), HealthError> {
    let address = reachable(admin);
    let unreachable = |cause: String| HealthError::Unreachable { address, cause };
    let asked = async {
        let endpoint = Endpoint::from_shared(format!("http://{address}"));
        let channel = endpoint.map_err(told)?.connect().await.map_err(told)?;
        let answer = HealthClient::new(channel)
            .check(HealthCheckRequest::default())
            .await;
        answer
            .map(|answer| answer.into_inner().status())
            .map_err(told)
    };
    match tokio::time::timeout(DEADLINE, asked).await {
        Ok(Ok(ServingStatus::Serving)) => Ok(()),
        Ok(Ok(status)) => Err(HealthError::NotServing {
            address,
            status: status.as_str_name(),
        }),
        Ok(Err(cause)) => Err(unreachable(cause)),
        Err(_) => Err(unreachable(format!("no answer within {DEADLINE:?}"))),
    }
}

#[allow(clippy::needless_pass_by_value, reason = "it stands in map_err")]
fn told(error: impl std::error::Error + 'static) -> String {
    innermost(&error).to_string()
}

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
    fn every_interface_is_asked_on_loopback_and_any_other_where_it_is()
    -> Result<(), Box<dyn std::error::Error>> {
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
