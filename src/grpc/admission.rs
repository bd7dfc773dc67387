//! Admission: how many calls run at once, and how long each one may take.
//!
//! A call gets its permit once its message is complete, and keeps it until its answer. A message that never comes holds
//! no permit, so that cheap calls cannot lock other callers out (docs/decisions/permit-after-message.md).
//!
//! Invariants: a refusal costs no more than its answer and carries a retry delay; every call has a deadline, and a caller
//! cannot exceed the maximum; a message has 5 s to arrive. Health checks need no permit.
//!
//! Not here: limits per caller or workspace (`key_check::limits`) and per connection (`transport`).

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::{body::Incoming, service::Service};
use tokio::time::{Instant, error::Elapsed, timeout_at};
use tonic::{Status, body::Body, codegen::Service as _, service::Routes};

use super::{
    deadline::requested,
    limiter::{ConcurrencyLimiter, RpcClass},
    measured::Measured,
    services::{MAX_REQUEST_BYTES, Services},
};
use crate::{contract::v1::key_service_server::KeyServiceServer, domain::caller::Service as Of};

/// How long a message may take to come, once its call has begun.
const MESSAGE: Duration = Duration::from_secs(5);
/// In bytes, with the five before it (gRPC over HTTP/2, Length-Prefixed-Message).
const LONGEST_MESSAGE: usize = MAX_REQUEST_BYTES.saturating_add(5);

/// How much is served at once, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct CallLimits {
    /// Calls at once.
    pub calls: u32,
    /// How long a call that says nothing may take.
    pub default_deadline: Duration,
    /// How long any call may take.
    pub longest_deadline: Duration,
}

/// The services behind the limits.
#[derive(Clone)]
pub struct Admission {
    /// RpcClass without a detour: all calls that are many are its.
    key_service: KeyServiceServer<Services>,
    /// Everything else.
    routes: Routes,
    limits: CallLimits,
    limiter: ConcurrencyLimiter,
}

impl Admission {
    /// Lets calls through to `KeyService` and to whatever else is served.
    pub fn new(
        key_service: KeyServiceServer<Services>,
        others: Routes,
        limits: CallLimits,
    ) -> Self {
        Self {
            key_service,
            routes: others.prepare(),
            limits,
            limiter: ConcurrencyLimiter::new(limits.calls),
        }
    }

    /// How many calls hold a place now.
    pub fn running(&self) -> impl Fn() -> u32 + Send + Sync + use<> {
        let running = Arc::clone(&self.limiter.running);
        move || running.load(Ordering::Relaxed)
    }

    /// Lets one call in, and waits for its answer.
    async fn serve(
        &self,
        class: RpcClass,
        request: Request<Incoming>,
        began: Instant,
        until: Instant,
    ) -> Result<Response<Body>, Status> {
        let (request, _place) = match class {
            RpcClass::Contract(rpc) => {
                // Who would be refused anyway is not waited for.
                drop(self.limiter.acquire(class)?);
                let request = whole(request, began, until).await?;
                let place = self.limiter.acquire(class)?;
                if rpc.service() == Of::KeyService {
                    return ended(timeout_at(until, self.key_service.clone().call(request)).await);
                }
                (request.map(Body::new), Some(place))
            }
            RpcClass::Other => (request.map(Body::new), Some(self.limiter.acquire(class)?)),
            RpcClass::Health => (request.map(Body::new), None),
        };
        ended(timeout_at(until, self.routes.clone().call(request)).await)
    }
}

/// The answer of a call, if it came in time.
fn ended(
    answered: Result<Result<Response<Body>, Infallible>, Elapsed>,
) -> Result<Response<Body>, Status> {
    match answered {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(never)) => match never {},
        Err(_) => Err(too_late()),
    }
}

fn too_late() -> Status {
    Status::deadline_exceeded("the call's deadline has passed")
}

/// A request whose message is all there.
async fn whole(
    request: Request<Incoming>,
    began: Instant,
    until: Instant,
) -> Result<Request<Full<Bytes>>, Status> {
    let (state, body) = request.into_parts();
    let limit = began.checked_add(MESSAGE).unwrap_or(until);
    match timeout_at(
        until.min(limit),
        Limited::new(body, LONGEST_MESSAGE).collect(),
    )
    .await
    {
        Ok(Ok(message)) => Ok(Request::from_parts(state, Full::new(message.to_bytes()))),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Status::out_of_range(format!(
            "the message is longer than {MAX_REQUEST_BYTES} bytes"
        ))),
        Ok(Err(_)) => Err(Status::cancelled("the message broke off")),
        Err(_) if until <= limit => Err(too_late()),
        Err(_) => Err(Status::deadline_exceeded(
            "the call's message did not come within 5 s",
        )),
    }
}

impl Service<Request<Incoming>> for Admission {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let class = RpcClass::at(request.uri().path());
        let most = self.limits.longest_deadline;
        let deadline = requested(request.headers())
            .unwrap_or(self.limits.default_deadline)
            .min(most);
        let (admission, began) = (self.clone(), Instant::now());
        let measured = class
            .measured()
            .map(|rpc| Measured::begin(rpc, began, request.headers()));
        Box::pin(async move {
            let until = began.checked_add(deadline).unwrap_or(began);
            let served = admission.serve(class, request, began, until);
            let answered = match &measured {
                Some(measured) => measured.run(served).await,
                None => served.await,
            };
            let answer = answered.unwrap_or_else(Status::into_http);
            if let Some(measured) = measured {
                measured.end(&answer);
            }
            Ok(answer)
        })
    }
}
