//! The limits of key checks, so that byokd is no oracle for stolen keys.
//!
//! Invariants:
//! - A key check is counted for its workspace, its caller and its provider before the provider is called.
//! - A refusal says when to retry.
//! - The counters are bounded: beyond `MANY`, those that have recovered are dropped.
//!
//! Not here: limits of other calls (`grpc::admission`).

use std::{hash::Hash, num::NonZeroU32, time::Duration};

use governor::{
    DefaultKeyedRateLimiter, Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::domain::{
    caller::Caller,
    error::{Error, Reason},
    names::{ProviderName, Scope},
};

/// Key checks that run at once: each may hold an answer of some megabytes.
const IN_FLIGHT: usize = 64;
/// The number of counters beyond which those that have recovered are dropped.
const MANY: usize = 10_000;

/// The limits of key checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckLimits {
    /// Per minute and workspace. The platform counts as one.
    pub per_workspace: NonZeroU32,
    /// Per minute and caller.
    pub per_principal: NonZeroU32,
    /// Per second and provider.
    pub per_provider: NonZeroU32,
}

/// Counts key checks.
pub struct CheckLimiter {
    workspaces: DefaultKeyedRateLimiter<Scope>,
    principals: DefaultKeyedRateLimiter<String>,
    providers: DefaultKeyedRateLimiter<ProviderName>,
    in_flight: Semaphore,
}

impl CheckLimiter {
    /// No key check has been counted yet.
    pub fn new(limits: CheckLimits) -> Self {
        Self {
            workspaces: RateLimiter::keyed(Quota::per_minute(limits.per_workspace)),
            principals: RateLimiter::keyed(Quota::per_minute(limits.per_principal)),
            providers: RateLimiter::keyed(Quota::per_second(limits.per_provider)),
            in_flight: Semaphore::new(IN_FLIGHT),
        }
    }

    /// Counts one key check, or refuses it: `RATE_LIMITED`.
    pub fn admit(
        &self,
        scope: &Scope,
        caller: &Caller,
        provider: &ProviderName,
    ) -> Result<(), Error> {
        count(&self.principals, &caller.subject, "caller")?;
        count(&self.workspaces, scope, "workspace")?;
        count(&self.providers, provider, "provider")
    }

    /// Takes a permit to run a key check, or refuses it: `OVERLOADED`.
    pub(super) fn enter(&self) -> Result<SemaphorePermit<'_>, Error> {
        self.in_flight.try_acquire().map_err(|_| overloaded())
    }
}

fn overloaded() -> Error {
    Error::new(
        Reason::Overloaded,
        "too many key checks are running; try again",
    )
    .retry_after(Duration::from_secs(1))
}

fn count<K: Clone + Eq + Hash>(
    limiter: &DefaultKeyedRateLimiter<K>,
    key: &K,
    of: &'static str,
) -> Result<(), Error> {
    if limiter.len() > MANY {
        limiter.retain_recent();
    }
    limiter.check_key(key).map(|_| ()).map_err(|until| {
        let wait = until.wait_time_from(DefaultClock::default().now());
        Error::new(
            Reason::RateLimited,
            format!("too many key checks for this {of}; wait and try again"),
        )
        .with("limit", of)
        // At least a second, so that a client does not retry at once.
        .retry_after(wait.max(Duration::from_secs(1)))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::domain::{
        caller::{Rights, RpcSet, WorkspaceScope},
        names::WorkspaceId,
    };

    #[test]
    fn a_used_up_limit_outlives_many_counters() {
        let (one, many) = (NonZeroU32::MIN, NonZeroU32::new(1_000_000).unwrap());
        let limits = CheckLimits {
            per_workspace: one,
            per_principal: many,
            per_provider: many,
        };
        let limiter = CheckLimiter::new(limits);
        let caller = Caller {
            subject: "tests".to_owned(),
            rights: Rights {
                rpcs: RpcSet::default(),
                purposes: BTreeSet::new(),
                scope: WorkspaceScope::All,
            },
        };
        let provider = ProviderName::parse("openai").unwrap();
        let admit = |n: usize| {
            let workspace = WorkspaceId::parse(&format!("w{n}")).unwrap();
            limiter.admit(&Scope::Workspace(workspace), &caller, &provider)
        };
        for n in 0..=MANY {
            admit(n).unwrap();
        }
        for n in [0, MANY] {
            assert_eq!(admit(n).unwrap_err().reason(), Reason::RateLimited);
        }
    }
}
