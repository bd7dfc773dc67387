//! Which calls come in at all: how many at once, and for how long each.
//!
//! A call counts once its whole message is there, until its answer. One that never comes holds no place, so that nobody
//! keeps others out by calls that cost nothing. Lists are refused first, then changes, resolves last.
//!
//! Invariants: a refusal costs no more than its answer and says when to come back; every call has a deadline, the
//! caller's or ours, and no caller's is longer than allowed; a message has 5 s to come. Health checks are always let in
//! and hold no place.
//!
//! Absent: limits for each caller or workspace (`ops::limits`), and each connection's (`transport`).

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Request, Response};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::{body::Incoming, service::Service};
use tokio::time::{Instant, error::Elapsed, timeout_at};
use tonic::{Status, body::Body, codegen::Service as _, service::Routes};

use super::{
    measured::Measured,
    services::{MAX_REQUEST_BYTES, Services},
    status,
};
use crate::{
    contract::v1::key_service_server::KeyServiceServer,
    domain::{
        caller::{Rpc, Service as Of},
        error::{Error, Reason},
    },
};

/// How long a message may take to come, once its call has begun.
const MESSAGE: Duration = Duration::from_secs(5);
/// In bytes, with the five before it (gRPC over HTTP/2, Length-Prefixed-Message).
const LONGEST_MESSAGE: usize = MAX_REQUEST_BYTES.saturating_add(5);
/// When a refused call may come back.
const COME_BACK: Duration = Duration::from_secs(1);

static GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

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
    /// Called without a detour: all calls that are many are its.
    key_service: KeyServiceServer<Services>,
    /// Everything else.
    routes: Routes,
    limits: CallLimits,
    room: Room,
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
            room: Room::new(limits.calls),
        }
    }

    /// How many calls hold a place now.
    pub fn running(&self) -> impl Fn() -> u32 + Send + Sync + use<> {
        let running = Arc::clone(&self.room.running);
        move || running.load(Ordering::Relaxed)
    }

    /// Lets one call in, and waits for its answer.
    async fn serve(
        &self,
        called: Called,
        request: Request<Incoming>,
        began: Instant,
        until: Instant,
    ) -> Result<Response<Body>, Status> {
        let (request, _place) = match called {
            Called::Contract(rpc) => {
                // Who would be refused anyway is not waited for.
                drop(self.room.enter(called)?);
                let request = whole(request, began, until).await?;
                let place = self.room.enter(called)?;
                if rpc.service() == Of::KeyService {
                    return ended(timeout_at(until, self.key_service.clone().call(request)).await);
                }
                (request.map(Body::new), Some(place))
            }
            Called::Other => (request.map(Body::new), Some(self.room.enter(called)?)),
            Called::Health => (request.map(Body::new), None),
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

/// Places for calls.
#[derive(Clone)]
struct Room {
    running: Arc<AtomicU32>,
    calls: u32,
}

impl Room {
    fn new(calls: u32) -> Self {
        Self {
            running: Arc::default(),
            calls,
        }
    }

    /// A place among the calls that run at once, or what there is to say to who gets none.
    fn enter(&self, called: Called) -> Result<Place, Status> {
        let place = Place(Arc::clone(&self.running));
        // One more is counted already; it is taken back when the place is dropped.
        match place.0.fetch_add(1, Ordering::Relaxed) < called.most(self.calls) {
            true => Ok(place),
            false => Err(overloaded(called)),
        }
    }
}

/// A call that is running.
struct Place(Arc<AtomicU32>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Service<Request<Incoming>> for Admission {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let called = Called::at(request.uri().path());
        let most = self.limits.longest_deadline;
        let deadline = asked_for(request.headers())
            .unwrap_or(self.limits.default_deadline)
            .min(most);
        let (admission, began) = (self.clone(), Instant::now());
        let measured = called
            .measured()
            .map(|rpc| Measured::begin(rpc, began, request.headers()));
        Box::pin(async move {
            let until = began.checked_add(deadline).unwrap_or(began);
            let served = admission.serve(called, request, began, until);
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

/// What is called, as far as its rank goes.
#[derive(Clone, Copy)]
enum Called {
    Contract(Rpc),
    /// Reflection, and what is not served.
    Other,
    Health,
}

impl Called {
    fn at(path: &str) -> Self {
        let method = path.strip_prefix('/').unwrap_or(path);
        match Rpc::ALL.iter().find(|rpc| rpc.method() == method) {
            Some(rpc) => Self::Contract(*rpc),
            None if method.starts_with("grpc.health.v1.Health/") => Self::Health,
            None => Self::Other,
        }
    }

    /// What it is measured as, if it is.
    fn measured(self) -> Option<Option<Rpc>> {
        match self {
            Self::Contract(rpc) => Some(Some(rpc)),
            Self::Other => Some(None),
            Self::Health => None,
        }
    }

    /// How many may run at once, itself included, for it to be let in.
    fn most(self, calls: u32) -> u32 {
        let quarter = calls.checked_div(4).unwrap_or(0);
        match self {
            Self::Health => u32::MAX,
            Self::Contract(
                Rpc::ResolveCredentials | Rpc::ReportOutcome | Rpc::WatchInvalidations,
            ) => calls,
            Self::Contract(
                Rpc::SetKey
                | Rpc::VerifyKey
                | Rpc::SelectModel
                | Rpc::DeleteKey
                | Rpc::ToggleByo
                | Rpc::DeleteWorkspace
                | Rpc::SetPlatformKey
                | Rpc::VerifyPlatformKey
                | Rpc::DeletePlatformKey,
            ) => calls.saturating_sub(quarter),
            Self::Contract(
                Rpc::ExplainResolution
                | Rpc::ListModels
                | Rpc::GetWorkspace
                | Rpc::ListAuditEvents
                | Rpc::ListKeyUsage
                | Rpc::ListPlatformKeys
                | Rpc::ListPlatformAuditEvents,
            )
            | Self::Other => calls.saturating_sub(quarter.saturating_mul(2)),
        }
    }
}

fn overloaded(called: Called) -> Status {
    let error = Error::new(Reason::Overloaded, "too many calls are running; try again")
        .retry_after(COME_BACK);
    match called {
        Called::Contract(rpc) => status::of(error, rpc),
        Called::Other | Called::Health => Status::resource_exhausted(error.message()),
    }
}

/// The caller's deadline (gRPC over HTTP/2, `grpc-timeout`): up to 8 digits and a unit.
fn asked_for(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(&GRPC_TIMEOUT)?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > 8 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(count.saturating_mul(3600))),
        "M" => Some(Duration::from_secs(count.saturating_mul(60))),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_read_as_grpc_writes_it() {
        let read = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-timeout", text.parse().unwrap());
            asked_for(&headers)
        };
        assert_eq!(read("1S"), Some(Duration::from_secs(1)));
        assert_eq!(
            read("99999999H"),
            Some(Duration::from_secs(99_999_999 * 3600))
        );
        assert_eq!(read("250m"), Some(Duration::from_millis(250)));
        assert_eq!(read("0n"), Some(Duration::ZERO));
        for bad in [
            "",
            "S",
            "1",
            "123456789S",
            "-1S",
            "+1S",
            "1.5S",
            "1s",
            "1 S",
            "0x1S",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn resolves_come_in_after_everything_else_is_refused() {
        let most = |path: &str| Called::at(path).most(100);
        assert_eq!(most("/byok.v1.KeyService/ResolveCredentials"), 100);
        assert_eq!(most("/byok.v1.KeyService/SetKey"), 75);
        assert_eq!(most("/byok.v1.KeyService/ListModels"), 50);
        assert_eq!(most("/byok.v1.PlatformService/SetPlatformKey"), 75);
        assert_eq!(most("/byok.v1.KeyService/NoSuch"), 50);
        assert_eq!(most("/byok.v1.PlatformService/ResolveCredentials"), 50);
        assert_eq!(
            most("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"),
            50
        );
        assert_eq!(most("/grpc.health.v1.Health/Check"), u32::MAX);
        assert_eq!(Called::at("nonsense").most(100), 50);
    }

    #[test]
    fn the_last_places_are_for_resolves_and_each_is_given_back() {
        let room = Room::new(4);
        let rpcs = [Rpc::GetWorkspace, Rpc::SetKey, Rpc::ResolveCredentials].map(Called::Contract);
        let mut running = Vec::new();
        for expected in [
            [true, true, true],
            [true, true, true],
            [false, true, true],
            [false, false, true],
        ] {
            assert_eq!(
                rpcs.map(|rpc| room.enter(rpc).is_ok()),
                expected,
                "{} are running",
                running.len()
            );
            running.push(
                room.enter(Called::Contract(Rpc::ResolveCredentials))
                    .unwrap(),
            );
        }
        let refused = room
            .enter(Called::Contract(Rpc::ResolveCredentials))
            .err()
            .unwrap();
        assert_eq!(refused.code(), tonic::Code::ResourceExhausted);
        drop(running);
        assert_eq!(rpcs.map(|rpc| room.enter(rpc).is_ok()), [true, true, true]);
    }
}
