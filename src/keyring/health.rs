//! The health of each KMS key, judged by the keyring's own calls.
//!
//! Invariants: what is held is used beyond its soft age only while its KMS key fails as in an outage, and until the
//! background has caught up after it; never once the key's state was called bad. A bad state that is seen twice over
//! `TWICE_OVER`, without a success between, closes the key: nothing under it is used until a call succeeds. A refusal
//! is logged at once and then once a minute; an outage is logged once, and so is its end.
//!
//! Not here: the calls, and the data keys.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::kms::{KmsError, KmsFault};

/// The least time between two sightings of a bad state that close a KMS key.
pub(super) const TWICE_OVER: Duration = Duration::from_secs(30);
/// How often a KMS key that fails is tried.
const PROBE_EVERY: Duration = Duration::from_secs(5);
const TELL_EVERY: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub(super) struct Health(Mutex<HashMap<String, State>>);

#[derive(Debug, Default)]
struct State {
    failing: Option<KmsError>,
    /// It answers again, but what is held is still as old as it became meanwhile.
    recovering: bool,
    bad_since: Option<Duration>,
    /// Its own description says so; no other success outweighs that.
    described_bad: bool,
    closed: bool,
    tried_at: Duration,
    told_at: Option<Duration>,
}

impl Health {
    /// Whether what this KMS key unwrapped may be used beyond its soft age.
    pub(super) fn spares(&self, kms_key_arn: &str) -> bool {
        let states = self.states();
        states.get(kms_key_arn).is_some_and(|state| {
            let outage = state
                .failing
                .as_ref()
                .is_some_and(|error| error.fault().is_outage_like());
            state.bad_since.is_none() && (outage || state.recovering)
        })
    }

    /// Why nothing may be asked of this KMS key, if it is closed.
    pub(super) fn closed(&self, kms_key_arn: &str) -> Option<KmsError> {
        self.states()
            .get(kms_key_arn)
            .filter(|state| state.closed)?
            .failing
            .clone()
    }

    /// Whether the background should leave this KMS key alone but for a probe.
    pub(super) fn fails(&self, kms_key_arn: &str) -> bool {
        self.states()
            .get(kms_key_arn)
            .is_some_and(|state| state.failing.is_some())
    }

    /// KMS keys that fail and were not tried for a while. One that is described as unusable is not tried: no success
    /// would outweigh that, and its description is asked for anyway.
    pub(super) fn to_probe(&self, now: Duration) -> Vec<String> {
        let states = self.states();
        let due = states.iter().filter(|(_, state)| {
            let due = now.saturating_sub(state.tried_at) >= PROBE_EVERY;
            state.failing.is_some() && !state.described_bad && due
        });
        due.map(|(arn, _)| arn.clone()).collect()
    }

    pub(super) fn has_bad_state(&self, kms_key_arn: &str) -> bool {
        self.states()
            .get(kms_key_arn)
            .is_some_and(|state| state.bad_since.is_some())
    }

    pub(super) fn succeeded(&self, kms_key_arn: &str) {
        let mut states = self.states();
        // The hot path of a healthy KMS key changes nothing.
        let Some(state) = states
            .get_mut(kms_key_arn)
            .filter(|state| state.failing.is_some())
        else {
            return;
        };
        if state.described_bad {
            return;
        }
        tracing::info!(kms_key = kms_key_arn, "the KMS key works again");
        state.recovering = true;
        state.failing = None;
        state.bad_since = None;
        state.closed = false;
    }

    /// The KMS described the key as usable.
    pub(super) fn described_good(&self, kms_key_arn: &str) {
        if let Some(state) = self.states().get_mut(kms_key_arn) {
            state.described_bad = false;
        }
    }

    /// The KMS described the key as unusable. Says whether that closes it.
    pub(super) fn described_bad(&self, kms_key_arn: &str, error: &KmsError, now: Duration) -> bool {
        let closes = self.failed(kms_key_arn, error, now);
        if let Some(state) = self.states().get_mut(kms_key_arn) {
            state.described_bad = true;
        }
        closes
    }

    /// A call failed. Says whether that closes the KMS key.
    pub(super) fn failed(&self, kms_key_arn: &str, error: &KmsError, now: Duration) -> bool {
        if error.fault() == KmsFault::Corrupt {
            // The data key's fault, not the KMS key's.
            return false;
        }
        let mut states = self.states();
        let state = states.entry(kms_key_arn.to_owned()).or_default();
        state.tried_at = now;
        if error.fault() == KmsFault::KeyState {
            let since = *state.bad_since.get_or_insert(now);
            let closes = !state.closed && now.saturating_sub(since) >= TWICE_OVER;
            if since == now
                && state
                    .failing
                    .as_ref()
                    .is_none_or(|before| before.fault() != error.fault())
            {
                tracing::warn!(kms_key = kms_key_arn, %error, "the KMS key seems taken back; byokd asks again");
            }
            state.closed |= closes;
            state.failing = Some(error.clone());
            return closes;
        }
        if state.closed {
            // An outage does not open what was closed.
            return false;
        }
        let news = state
            .failing
            .as_ref()
            .is_none_or(|before| before.fault() != error.fault());
        let told_lately = state
            .told_at
            .is_some_and(|at| now.saturating_sub(at) < TELL_EVERY);
        if error.fault() == KmsFault::Denied && !told_lately {
            state.told_at = Some(now);
            tracing::error!(kms_key = kms_key_arn, %error, "the KMS refuses byokd, which lives on what it holds");
        } else if news && error.fault() == KmsFault::Outage {
            tracing::warn!(kms_key = kms_key_arn, %error, "the KMS does not answer; byokd lives on what it holds");
        }
        state.failing = Some(error.clone());
        false
    }

    /// Ends the recoveries of those KMS keys that need none any more.
    pub(super) fn end_recoveries(&self, needed: impl Fn(&str) -> bool) {
        for (arn, state) in self.states().iter_mut() {
            state.recovering = state.recovering && needed(arn);
        }
    }

    // No code panics while it holds the lock.
    fn states(&self) -> MutexGuard<'_, HashMap<String, State>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
