//! The gate of AWS KMS calls: a rate limit, and a breaker for a KMS that does not answer.
//!
//! Invariants: a call waits at most `LONGEST_WAIT` for its turn. After `FAILURES` outages in a row no call is made
//! for `REST`; then one, and the others fail at once until it has ended. A call whose caller is gone gives its turn
//! back.
//!
//! Not here: trying again; who wants something asks again.

use std::{
    num::NonZeroU32,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use governor::{
    DefaultDirectRateLimiter, Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
};
use tokio::time::Instant;

use crate::{
    domain::clock::Clock,
    kms::{KmsError, KmsFault},
};

const LONGEST_WAIT: Duration = Duration::from_secs(2);
const FAILURES: u32 = 3;
const REST: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Gate {
    limiter: DefaultDirectRateLimiter,
    clock: Clock,
    breaker: Mutex<Breaker>,
}

#[derive(Clone, Copy, Debug)]
enum Breaker {
    Closed { failures: u32 },
    Open { until: Duration, probing: bool },
}

/// A call's turn; dropped unsettled, it was no call.
struct Turn<'g> {
    gate: &'g Gate,
    probe: bool,
}

impl Gate {
    pub(super) fn new(calls_per_second: NonZeroU32, clock: Clock) -> Self {
        Self {
            limiter: RateLimiter::direct(Quota::per_second(calls_per_second)),
            clock,
            breaker: Mutex::new(Breaker::Closed { failures: 0 }),
        }
    }

    /// Makes the call, when it is its turn.
    pub(super) async fn pass<T>(
        &self,
        call: impl Future<Output = Result<T, KmsError>>,
    ) -> Result<T, KmsError> {
        // Who is refused anyway need not wait for it.
        if self.refuses_now() {
            return Err(resting());
        }
        self.wait().await?;
        let turn = self.take_turn()?;
        let result = call.await;
        turn.settle(
            result
                .as_ref()
                .is_err_and(|error| error.fault() == KmsFault::Outage),
        );
        result
    }

    /// Whether calls fail at once.
    pub(super) fn refuses_now(&self) -> bool {
        self.refuses(&self.breaker())
    }

    async fn wait(&self) -> Result<(), KmsError> {
        let start = Instant::now();
        while let Err(until) = self.limiter.check() {
            let wait = until.wait_time_from(DefaultClock::default().now());
            if start.elapsed().saturating_add(wait) > LONGEST_WAIT {
                return Err(KmsError::new(
                    KmsFault::Outage,
                    "too many calls to AWS KMS wait for their turn; byokd tries again. Raise kms.calls_per_second \
                     within the quota of the account",
                ));
            }
            tokio::time::sleep(wait).await;
        }
        Ok(())
    }

    fn refuses(&self, breaker: &Breaker) -> bool {
        match *breaker {
            Breaker::Closed { .. } => false,
            Breaker::Open { until, probing } => probing || self.clock.elapsed() < until,
        }
    }

    fn take_turn(&self) -> Result<Turn<'_>, KmsError> {
        let mut breaker = self.breaker();
        if self.refuses(&breaker) {
            return Err(resting());
        }
        let probe = match &mut *breaker {
            Breaker::Closed { .. } => false,
            Breaker::Open { probing, .. } => {
                *probing = true;
                true
            }
        };
        Ok(Turn { gate: self, probe })
    }

    // No code panics while it holds the lock.
    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn<'_> {
    fn settle(mut self, outage: bool) {
        let until = self.gate.clock.elapsed().saturating_add(REST);
        let mut breaker = self.gate.breaker();
        *breaker = match *breaker {
            _ if !outage => Breaker::Closed { failures: 0 },
            Breaker::Closed { failures } if failures.saturating_add(1) < FAILURES => {
                Breaker::Closed {
                    failures: failures.saturating_add(1),
                }
            }
            Breaker::Closed { .. } => Breaker::Open {
                until,
                probing: false,
            },
            Breaker::Open { .. } if self.probe => Breaker::Open {
                until,
                probing: false,
            },
            // A call from before it opened says nothing new.
            open @ Breaker::Open { .. } => open,
        };
        drop(breaker);
        self.probe = false;
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if self.probe
            && let Breaker::Open { probing, .. } = &mut *self.gate.breaker()
        {
            *probing = false;
        }
    }
}

fn resting() -> KmsError {
    KmsError::new(
        KmsFault::Outage,
        "AWS KMS did not answer several times; byokd asks it again within seconds",
    )
}
