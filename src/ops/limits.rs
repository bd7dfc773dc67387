//! What keeps test calls from being an oracle for stolen keys.
//!
//! Invariants: every call that makes byokd test a key is counted for its workspace, its caller and its provider before
//! the provider is reached; a refusal says when to come back. The counters are bounded: those that have recovered are
//! dropped once there are many. A bounded number of test calls runs at once.
//!
//! Absent: limits on anything else.

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

/// How many test calls run at once: each may hold an answer of some megabytes.
const IN_FLIGHT: usize = 64;
/// Beyond this many counters, those that have recovered are dropped.
const MANY: usize = 10_000;

/// How many test calls are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TestLimits {
    /// A minute, for each workspace (the platform counts as one).
    pub per_workspace: NonZeroU32,
    /// A minute, for each caller.
    pub per_principal: NonZeroU32,
    /// A second, for each provider.
    pub per_provider: NonZeroU32,
}

/// Counts test calls.
pub struct TestLimiter {
    workspaces: DefaultKeyedRateLimiter<Scope>,
    principals: DefaultKeyedRateLimiter<String>,
    providers: DefaultKeyedRateLimiter<ProviderName>,
    in_flight: Semaphore,
}

impl TestLimiter {
    /// Nothing counted yet.
    pub fn new(limits: TestLimits) -> Self {
        Self {
            workspaces: RateLimiter::keyed(Quota::per_minute(limits.per_workspace)),
            principals: RateLimiter::keyed(Quota::per_minute(limits.per_principal)),
            providers: RateLimiter::keyed(Quota::per_second(limits.per_provider)),
            in_flight: Semaphore::new(IN_FLIGHT),
        }
    }

    /// Counts one test call, or refuses it: `RATE_LIMITED`.
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

    /// A place among the test calls that run at once, or `OVERLOADED`; given back when it is dropped.
    pub(super) fn enter(&self) -> Result<SemaphorePermit<'_>, Error> {
        self.in_flight.try_acquire().map_err(|_| overloaded())
    }
}

fn overloaded() -> Error {
    Error::new(
        Reason::Overloaded,
        "too many test calls are running; try again",
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
            format!("too many test calls for this {of}; wait and try again"),
        )
        .with("limit", of)
        // A whole second is the least that a retry can be told.
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

    /// Dropping counters to make room drops none that still counts.
    #[test]
    fn a_used_up_limit_outlives_many_counters() {
        let (one, many) = (NonZeroU32::MIN, NonZeroU32::new(1_000_000).unwrap());
        let limits = TestLimits {
            per_workspace: one,
            per_principal: many,
            per_provider: many,
        };
        let limiter = TestLimiter::new(limits);
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
