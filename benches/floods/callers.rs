//! Honest callers, and what they feel.

use std::time::{Duration, Instant};

use byokd::contract::v1::{ResolveCredentialsRequest, key_service_client::KeyServiceClient};
use tokio::task::JoinSet;
use tonic::{Code, Request, transport::Endpoint};

use crate::site::Target;

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
    /// Connections, each with some calls at once, that resolve for a while.
    pub(crate) async fn run(
        target: &Target,
        (connections, at_once): (usize, usize),
        during: Duration,
    ) -> Self {
        let began = Instant::now();
        let mut tasks = JoinSet::new();
        for _ in 0..connections {
            let endpoint = Endpoint::from_shared(target.address.clone()).unwrap();
            let channel = endpoint.connect().await.unwrap();
            for _ in 0..at_once {
                let authorization: tonic::metadata::MetadataValue<_> =
                    format!("Bearer {}", target.token).parse().unwrap();
                let mut client = KeyServiceClient::new(channel.clone());
                tasks.spawn(async move {
                    let mut own = Self::none();
                    while began.elapsed() < during {
                        let body = ResolveCredentialsRequest {
                            workspace_id: "acme".to_owned(),
                            provider: "local".to_owned(),
                            ..Default::default()
                        };
                        let mut request = Request::new(body);
                        request.metadata_mut().insert("authorization", authorization.clone());
                        let asked = Instant::now();
                        let answer = client.resolve_credentials(request).await;
                        let took = asked.elapsed().as_secs_f64() * 1e3;
                        match answer {
                            Ok(_) => own.answered.push(took),
                            Err(status) if status.code() == Code::ResourceExhausted => own.refused.push(took),
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
        Self { took: Duration::ZERO, answered: Vec::new(), refused: Vec::new(), failed: 0 }
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

/// NaN: there are none.
pub(crate) fn percentile(times: &[f64], part: f64) -> f64 {
    let mut times = times.to_vec();
    times.sort_by(f64::total_cmp);
    match times.len() {
        0 => f64::NAN,
        count => times[((count - 1) as f64 * part) as usize],
    }
}
