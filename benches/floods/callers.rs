//! Honest callers, and what they feel.

use std::time::{Duration, Instant};

use byokd::contract::v1::{
    GetWorkspaceRequest, ResolveCredentialsRequest, key_service_client::KeyServiceClient,
};
use tokio::task::JoinSet;
use tonic::{
    Code, Request,
    metadata::{Ascii, MetadataValue},
    transport::Endpoint,
};

use crate::site::Target;

/// What they call.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// From memory.
    Resolves,
    /// From the database, and the first to be refused.
    Lists,
}

/// What a number of callers felt.
pub(crate) struct Callers {
    took: Duration,
    /// Of the calls that were answered, in ms.
    answered: Vec<f64>,
    /// Of the calls that were refused as too many, in ms.
    pub(crate) refused: Vec<f64>,
    failed: usize,
}

impl Callers {
    /// Connections, each with some calls at once, that call for a while.
    pub(crate) async fn run(
        target: &Target,
        what: What,
        (connections, at_once): (usize, usize),
        during: Duration,
    ) -> Self {
        let began = Instant::now();
        let mut tasks = JoinSet::new();
        for _ in 0..connections {
            let endpoint = Endpoint::from_shared(target.address.clone()).unwrap();
            let channel = endpoint.connect().await.unwrap();
            for _ in 0..at_once {
                let authorization: MetadataValue<Ascii> =
                    format!("Bearer {}", target.token).parse().unwrap();
                let mut client = KeyServiceClient::new(channel.clone());
                tasks.spawn(async move {
                    let mut own = Self::none();
                    while began.elapsed() < during {
                        let workspace_id = "acme".to_owned();
                        let asked = Instant::now();
                        let answer = match what {
                            What::Resolves => {
                                let provider = "local".to_owned();
                                let ask = ResolveCredentialsRequest {
                                    workspace_id,
                                    provider,
                                    ..Default::default()
                                };
                                client
                                    .resolve_credentials(with(ask, &authorization))
                                    .await
                                    .map(|_| ())
                            }
                            What::Lists => {
                                let ask = GetWorkspaceRequest { workspace_id };
                                client
                                    .get_workspace(with(ask, &authorization))
                                    .await
                                    .map(|_| ())
                            }
                        };
                        let took = asked.elapsed().as_secs_f64() * 1e3;
                        match answer {
                            Ok(_) => own.answered.push(took),
                            Err(status) if status.code() == Code::ResourceExhausted => {
                                own.refused.push(took)
                            }
                            Err(_) => own.failed += 1,
                        }
                    }
                    own
                });
            }
        }
        let mut all = Self::none();
        while let Some(own) = tasks.join_next().await {
            let own = own.unwrap();
            all.answered.extend(own.answered);
            all.refused.extend(own.refused);
            all.failed += own.failed;
        }
        all.took = began.elapsed();
        all
    }

    fn none() -> Self {
        Self {
            took: Duration::ZERO,
            answered: Vec::new(),
            refused: Vec::new(),
            failed: 0,
        }
    }

    pub(crate) fn per_second(&self) -> f64 {
        self.answered.len() as f64 / self.took.as_secs_f64()
    }

    pub(crate) fn percentile(&self, part: f64) -> f64 {
        percentile(&self.answered, part)
    }

    pub(crate) fn failed(&self) -> usize {
        self.failed + self.refused.len()
    }
}

fn with<T>(body: T, authorization: &MetadataValue<Ascii>) -> Request<T> {
    let mut request = Request::new(body);
    request
        .metadata_mut()
        .insert("authorization", authorization.clone());
    request
}

/// NaN: there are none.
pub(crate) fn percentile(times: &[f64], part: f64) -> f64 {
    let mut times = times.to_vec();
    times.sort_by(f64::total_cmp);
    match times.len() {
        0 => f64::NAN,
        count => times[((count - 1) as f64 * part) as usize],
    }
}
