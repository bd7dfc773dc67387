//! Identity and TLS, opened from a configuration.
//!
//! Not here: the rest of what operations are made of (`open`).

use std::{fs, num::NonZeroU32, path::PathBuf, sync::Arc, time::Duration};

use url::Url;
use zeroize::Zeroizing;

use super::{StartError, open};
use crate::{
    config::{ClientCertificates, Config, IssuerConfig, TokenAlgorithm},
    domain::{clock::Clock, error::Error},
    grpc::CallLimits,
    identity::{Granted, Identity, IssuerSettings, JwksSource, Signer, SigningAlgorithm},
    transport::{ClientAuth, ConnectionLimits, Tls, TlsFiles},
};

/// Who may call. The embedded signer's file is made where it is to be accepted and is not there.
pub(super) fn identity(config: &Config, clock: Clock) -> Result<Identity, StartError> {
    let signer = match config.embedded_signer() {
        true => Some(Signer::in_folder_or_new(&config.server.data_dir)?),
        false => None,
    };
    known_callers(config, signer, clock)
}

/// What each of these proofs grants, as a server of this configuration would say now. Makes nothing. The files are a
/// certificate in PEM or a token.
///
/// # Errors
/// Why one of them is refused.
pub async fn grants(config: &Config, files: &[PathBuf]) -> Result<Vec<Granted>, StartError> {
    let signer = match config.embedded_signer() {
        // Before the first start there is none, and no token of it either.
        true => Signer::in_folder(&config.server.data_dir).ok(),
        false => None,
    };
    let identity = Arc::new(known_callers(config, signer, Clock::system())?);
    let tls = tls(config)?;
    let asked = async {
        let mut granted = Vec::new();
        for file in files {
            let refused = |why: String| StartError(format!("{}: {why}", file.display()));
            let content = Zeroizing::new(
                fs::read(file).map_err(|error| refused(format!("cannot be read: {error}")))?,
            );
            let text = std::str::from_utf8(&content)
                .map_err(|_| refused("is neither PEM nor a token".to_owned()))?;
            granted.push(match (text.contains("-----BEGIN CERTIFICATE-----"), &tls) {
                (true, Some(tls)) => tls
                    .check_client(text.as_bytes())
                    .and_then(|certificate| identity.certificate_grants(&certificate))
                    .map_err(refused)?,
                (true, None) => {
                    return Err(refused("without TLS no certificate counts".to_owned()));
                }
                (false, _) => identity.token_grants(text.trim()).await.map_err(refused)?,
            });
        }
        Ok(granted)
    };
    tokio::select! {
        granted = asked => granted,
        () = Arc::clone(&identity).follow() => Err(Error::internal("the issuers' keys are not followed any more").into()),
    }
}

fn known_callers(
    config: &Config,
    signer: Option<Signer>,
    clock: Clock,
) -> Result<Identity, StartError> {
    let issuers = config
        .auth
        .issuers
        .iter()
        .map(|issuer| settings(config, issuer));
    Ok(Identity::new(
        signer,
        issuers.collect::<Result<_, _>>()?,
        config.auth.rules.clone(),
        clock,
    ))
}

fn settings(config: &Config, issuer: &IssuerConfig) -> Result<IssuerSettings, StartError> {
    let refused = |why: String| StartError(format!("the issuer {}: {why}", issuer.issuer));
    let keys = match issuer.jwks_url.as_str() {
        "" => JwksSource::File(issuer.jwks_file.clone()),
        text => {
            let url = Url::parse(text).map_err(Error::internal)?;
            let egress = open::egress(config);
            egress.admits(&url).map_err(|why| {
                refused(format!(
                    "jwks_url may not be called: {why}. A host of yours goes into egress.private_hosts; for development \
                     there is egress.loopback_http"
                ))
            })?;
            let file = &issuer.jwks_ca_file;
            let ca = match file.as_os_str().is_empty() {
                true => None,
                false => Some(fs::read(file).map_err(|error| {
                    refused(format!(
                        "jwks_ca_file {} cannot be read: {error}",
                        file.display()
                    ))
                })?),
            };
            let client = Arc::new(egress).client(ca.as_deref()).map_err(|error| {
                refused(format!("no HTTP client: {error}; is jwks_ca_file in PEM?"))
            })?;
            let token_file =
                Some(issuer.jwks_token_file.clone()).filter(|path| !path.as_os_str().is_empty());
            JwksSource::Url {
                url,
                client,
                token_file,
            }
        }
    };
    Ok(IssuerSettings {
        issuer: issuer.issuer.clone(),
        audience: issuer.audience.clone(),
        algorithms: issuer
            .algorithms
            .iter()
            .map(|algorithm| match algorithm {
                TokenAlgorithm::EdDSA => SigningAlgorithm::EdDsa,
                TokenAlgorithm::ES256 => SigningAlgorithm::Es256,
                TokenAlgorithm::RS256 => SigningAlgorithm::Rs256,
            })
            .collect(),
        longest_life_seconds: i64::from(issuer.longest_life_seconds),
        keys,
    })
}

/// How the port is encrypted; `None`: it is not.
pub(super) fn tls(config: &Config) -> Result<Option<Tls>, StartError> {
    let tls = &config.tls;
    if !tls.is_on() {
        return Ok(None);
    }
    let auth = match tls.client_certificates {
        ClientCertificates::Required => ClientAuth::Required,
        ClientCertificates::Optional => ClientAuth::Optional,
    };
    let clients = Some(tls.client_ca_file.clone()).filter(|path| !path.as_os_str().is_empty());
    let files = TlsFiles {
        certificate: tls.cert_file.clone(),
        key: tls.key_file.clone(),
        clients: clients.map(|path| (path, auth)),
    };
    Tls::open(files)
        .map(Some)
        .map_err(|why| StartError(format!("TLS cannot be served: {why}")))
}

/// How much one connection may ask for.
pub(super) fn connection_limits(config: &Config) -> Result<ConnectionLimits, StartError> {
    let limits = &config.limits;
    Ok(ConnectionLimits {
        connections: usize::try_from(limits.connections).map_err(Error::internal)?,
        streams: limits.streams_per_connection,
        resets_per_second: NonZeroU32::new(limits.resets_per_second)
            .ok_or_else(|| Error::internal("a limit of none was not refused"))?,
        age: Duration::from_secs(limits.connection_age_seconds),
        grace: Duration::from_millis(limits.longest_deadline_ms),
    })
}

/// How many calls run, and for how long.
pub(super) fn call_limits(config: &Config) -> CallLimits {
    let limits = &config.limits;
    CallLimits {
        calls: limits.calls,
        default_deadline: Duration::from_millis(limits.default_deadline_ms),
        longest_deadline: Duration::from_millis(limits.longest_deadline_ms),
    }
}
