//! The concurrency limit: a permit for each call, by the class of its RPC.
//!
//! Lists are refused first, then changes, resolves last.
//!
//! Invariants: a permit is returned when it is dropped; a health check needs none.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tonic::Status;

use super::status;
use crate::domain::{
    caller::Rpc,
    error::{Error, Reason},
};

/// The delay before a retry that a refused call is given.
const COME_BACK: Duration = Duration::from_secs(1);

/// Permits for concurrent calls.
#[derive(Clone)]
pub(super) struct ConcurrencyLimiter {
    pub(super) running: Arc<AtomicU32>,
    calls: u32,
}

impl ConcurrencyLimiter {
    pub(super) fn new(calls: u32) -> Self {
        Self {
            running: Arc::default(),
            calls,
        }
    }

    /// A permit, or the refusal.
    pub(super) fn acquire(&self, class: RpcClass) -> Result<Permit, Status> {
        let permit = Permit(Arc::clone(&self.running));
        // The counter includes this call already. Dropping the permit undoes that.
        match permit.0.fetch_add(1, Ordering::Relaxed) < class.most(self.calls) {
            true => Ok(permit),
            false => Err(overloaded(class)),
        }
    }
}

/// A running call.
pub(super) struct Permit(Arc<AtomicU32>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What is class, as far as its rank goes.
#[derive(Clone, Copy)]
pub(super) enum RpcClass {
    Contract(Rpc),
    /// Reflection, and unknown methods.
    Other,
    Health,
}

impl RpcClass {
    pub(super) fn at(path: &str) -> Self {
        let method = path.strip_prefix('/').unwrap_or(path);
        match Rpc::ALL.iter().find(|rpc| rpc.method() == method) {
            Some(rpc) => Self::Contract(*rpc),
            None if method.starts_with("grpc.health.v1.Health/") => Self::Health,
            None => Self::Other,
        }
    }

    /// The label for metrics; `None`: not measured.
    pub(super) fn measured(self) -> Option<Option<Rpc>> {
        match self {
            Self::Contract(rpc) => Some(Some(rpc)),
            Self::Other => Some(None),
            Self::Health => None,
        }
    }

    /// The maximum of concurrent calls, itself included, at which a call of this class is admitted.
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

fn overloaded(class: RpcClass) -> Status {
    let error = Error::new(Reason::Overloaded, "too many calls are running; try again")
        .retry_after(COME_BACK);
    match class {
        RpcClass::Contract(rpc) => status::of(error, rpc),
        RpcClass::Other | RpcClass::Health => Status::resource_exhausted(error.message()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolves_come_in_after_everything_else_is_refused() {
        let most = |path: &str| RpcClass::at(path).most(100);
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
        assert_eq!(RpcClass::at("nonsense").most(100), 50);
    }

    #[test]
    fn the_last_places_are_for_resolves_and_each_is_given_back() {
        let limiter = ConcurrencyLimiter::new(4);
        let rpcs =
            [Rpc::GetWorkspace, Rpc::SetKey, Rpc::ResolveCredentials].map(RpcClass::Contract);
        let mut running = Vec::new();
        for expected in [
            [true, true, true],
            [true, true, true],
            [false, true, true],
            [false, false, true],
        ] {
            assert_eq!(
                rpcs.map(|rpc| limiter.acquire(rpc).is_ok()),
                expected,
                "{} are running",
                running.len()
            );
            running.push(
                limiter
                    .acquire(RpcClass::Contract(Rpc::ResolveCredentials))
                    .unwrap(),
            );
        }
        let refused = limiter
            .acquire(RpcClass::Contract(Rpc::ResolveCredentials))
            .err()
            .unwrap();
        assert_eq!(refused.code(), tonic::Code::ResourceExhausted);
        drop(running);
        assert_eq!(
            rpcs.map(|rpc| limiter.acquire(rpc).is_ok()),
            [true, true, true]
        );
    }
}
