//! What keeps test calls from being an oracle for stolen keys.
//!
//! Invariants: every call that makes byokd test a key is counted for its workspace, its caller and its provider before
//! the provider is reached; a refusal says when to come back. The counters are bounded: those that have recovered are
//! dropped once there are many.
//!
//! Absent: limits on anything else.

use std::{hash::Hash, num::NonZeroU32, time::Duration};

use governor::{
    DefaultKeyedRateLimiter, Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
};

use crate::domain::{
    error::{Error, Reason},
    names::{ProviderName, Scope},
    principal::Principal,
};

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
}

impl TestLimiter {
    /// Nothing counted yet.
    pub fn new(limits: TestLimits) -> Self {
        Self {
            workspaces: RateLimiter::keyed(Quota::per_minute(limits.per_workspace)),
            principals: RateLimiter::keyed(Quota::per_minute(limits.per_principal)),
            providers: RateLimiter::keyed(Quota::per_second(limits.per_provider)),
        }
    }

    /// Counts one test call, or refuses it: `RATE_LIMITED`.
    pub fn admit(&self, scope: &Scope, caller: &Principal, provider: &ProviderName) -> Result<(), Error> {
        count(&self.workspaces, scope, "workspace")?;
        count(&self.principals, &caller.subject, "caller")?;
        count(&self.providers, provider, "provider")
    }
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
        Error::new(Reason::RateLimited, format!("too many test calls for this {of}; wait and try again"))
            .with("limit", of)
            // A whole second is the least that a retry can be told.
            .retry_after(wait.max(Duration::from_secs(1)))
    })
}
