//! The health of a stored key: the sum of its verdicts.
//!
//! Invariants:
//! - One verdict never condemns a stored key: it takes a run of refusals over some time, because vendors have
//!   answered 401 to good keys for minutes on end.
//! - One success ends a run of refusals, and nothing else does. A call that taught nothing, or found the provider too busy
//!   or the account without funds, neither adds to a run nor ends it.
//! - `verdict` and `checked_at` belong together: while a run of refusals lasts, `checked_at` is its last refusal.
//! - Time is passed in and never runs backwards: an earlier `now`, from a replica whose clock is behind, counts as
//!   the last time known.
//!
//! Not here: one verdict's meaning, and what a condemned key is refused for.

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use super::verdict::{Finding, Verdict};

/// What people see beside a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Badge {
    /// The last test call worked.
    Connected,
    /// The provider knows the key, but credit, rate or models are missing.
    Limited,
    /// Refused, but not often or long enough to stop using it.
    Failing,
    /// Condemned: it is not handed out any more.
    Rejected,
    /// Nothing has ever been learnt about it.
    Unverified,
}

/// What is remembered of a stored key's test calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// The last verdict that taught something; one that taught nothing only while there is no better.
    pub verdict: Option<Verdict>,
    /// When `verdict` was reached; absent without one.
    pub checked_at: Option<OffsetDateTime>,
    /// When the key last worked; absent if it never did.
    pub verified_at: Option<OffsetDateTime>,
    /// How many refusals in a row, calls that taught nothing not counted.
    pub refused_count: u32,
    /// When the first refusal of that row was; absent without one.
    pub refused_since: Option<OffsetDateTime>,
}

/// How many refusals over what time condemn a stored key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Condemnation {
    /// Refusals in a row; 0 counts as 1.
    pub verdicts: u32,
    /// The least time between the first and the last of them.
    pub over: Duration,
}

impl Default for Condemnation {
    /// 3 refusals over 10 minutes.
    fn default() -> Self {
        Self {
            verdicts: 3,
            over: Duration::minutes(10),
        }
    }
}

impl Health {
    /// The health of a key that is saved now, after a test call with `verdict`, or without a test call.
    pub fn new_saved(verdict: Option<Verdict>, now: OffsetDateTime) -> Self {
        let unknown = Self::default();
        verdict.map_or(unknown, |verdict| unknown.after(verdict, now))
    }

    /// The health after one more test call.
    pub fn after(&self, verdict: Verdict, now: OffsetDateTime) -> Self {
        let now = self.checked_at.map_or(now, |last| last.max(now));
        let learnt = Self {
            verdict: Some(verdict),
            checked_at: Some(now),
            ..*self
        };
        let no_run = Self {
            refused_count: 0,
            refused_since: None,
            ..learnt
        };
        match verdict.finding() {
            Finding::Works => Self {
                verified_at: Some(now),
                ..no_run
            },
            // Only a success ends a run of refusals: what stands before a provider can be too busy for any key.
            Finding::Recognised if self.refused_count > 0 => *self,
            Finding::Recognised => learnt,
            // The wrong kind or host are as final as a refusal for a key that is stored with its endpoint:
            // its current host, it can never work, and only a person can fix it.
            Finding::Refused | Finding::WrongKind | Finding::WrongHost => Self {
                refused_count: self.refused_count.saturating_add(1),
                refused_since: self.refused_since.or(Some(now)),
                ..learnt
            },
            Finding::NothingLearnt if self.knows_something() => *self,
            Finding::NothingLearnt => learnt,
        }
    }

    /// What people see beside the key.
    pub fn badge(&self, condemnation: &Condemnation) -> Badge {
        Badge::of(self.verdict, self.condemned(condemnation))
    }

    /// Whether the key has been refused often and long enough not to be handed out any more.
    pub fn condemned(&self, condemnation: &Condemnation) -> bool {
        let (Some(first), Some(last)) = (self.refused_since, self.checked_at) else {
            return false;
        };
        let long_enough = first
            .checked_add(condemnation.over)
            .is_some_and(|ripe| last >= ripe);
        self.refused_count >= condemnation.verdicts.max(1) && long_enough
    }

    fn knows_something(&self) -> bool {
        self.verdict
            .is_some_and(|verdict| verdict.finding() != Finding::NothingLearnt)
    }
}

impl Badge {
    /// That of a key whose last verdict was this, and which is condemned or not.
    pub fn of(verdict: Option<Verdict>, condemned: bool) -> Self {
        match verdict.map(Verdict::finding) {
            Some(Finding::Works) => Self::Connected,
            Some(Finding::Recognised) => Self::Limited,
            Some(Finding::Refused | Finding::WrongKind | Finding::WrongHost) if condemned => {
                Self::Rejected
            }
            Some(Finding::Refused | Finding::WrongKind | Finding::WrongHost) => Self::Failing,
            Some(Finding::NothingLearnt) | None => Self::Unverified,
        }
    }

    /// Its name in the contract and the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connected => "CONNECTED",
            Self::Limited => "LIMITED",
            Self::Failing => "FAILING",
            Self::Rejected => "REJECTED",
            Self::Unverified => "UNVERIFIED",
        }
    }
}

#[cfg(test)]
#[allow(
    clippy::arithmetic_side_effects,
    reason = "the times of a test are small"
)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const START: OffsetDateTime = datetime!(2026-11-22 12:00 UTC);

    fn at(minute: i64) -> OffsetDateTime {
        START + Duration::minutes(minute)
    }

    /// The health of a key saved at minute 0 as valid, after these (minute, verdict).
    fn after(calls: &[(i64, Verdict)]) -> Health {
        let saved = Health::new_saved(Some(Verdict::Valid), START);
        calls.iter().fold(saved, |health, (minute, verdict)| {
            health.after(*verdict, at(*minute))
        })
    }

    fn badge(calls: &[(i64, Verdict)]) -> Badge {
        after(calls).badge(&Condemnation::default())
    }

    #[test]
    fn condemned_by_three_refusals_over_ten_minutes_and_by_nothing_less() {
        use Verdict::{InsufficientScope, Invalid, OrgProblem, WrongHost, WrongKind};
        assert_eq!(badge(&[(1, Invalid)]), Badge::Failing);
        assert_eq!(badge(&[(1, Invalid), (20, Invalid)]), Badge::Failing, "two");
        assert_eq!(
            badge(&[(1, Invalid), (2, Invalid), (3, Invalid), (10, Invalid)]),
            Badge::Failing,
            "9 min"
        );
        assert_eq!(
            badge(&[(1, Invalid), (2, Invalid), (11, Invalid)]),
            Badge::Rejected
        );
        assert_eq!(
            badge(&[(1, InsufficientScope), (2, OrgProblem), (11, Invalid)]),
            Badge::Rejected
        );
        assert_eq!(
            badge(&[(1, WrongKind), (2, WrongHost), (11, WrongHost)]),
            Badge::Rejected
        );
    }

    #[test]
    fn only_a_success_ends_the_run() {
        use Verdict::{Invalid, RateLimited, Valid};
        let run = [(1, Invalid), (2, Invalid), (12, Invalid)];
        assert_eq!(
            badge(&[&run[..], &[(13, Valid)]].concat()),
            Badge::Connected
        );
        assert_eq!(
            badge(&[&run[..], &[(13, RateLimited)]].concat()),
            Badge::Rejected
        );
        assert_eq!(
            badge(&[(1, Invalid), (2, Invalid), (3, RateLimited), (12, Invalid)]),
            Badge::Rejected
        );
        assert_eq!(badge(&[(1, RateLimited)]), Badge::Limited);
        let health = after(&[(1, Invalid), (2, Valid)]);
        assert_eq!((health.refused_count, health.refused_since), (0, None));
        assert_eq!(health.verified_at, Some(at(2)));
    }

    #[test]
    fn a_call_that_taught_nothing_changes_nothing() {
        use Verdict::{Invalid, ProviderDown, Unexpected, Unreachable};
        assert_eq!(after(&[(5, ProviderDown)]), after(&[]));
        assert_eq!(badge(&[(5, Unreachable)]), Badge::Connected);
        let calls = [(1, Invalid), (2, Invalid), (3, Invalid), (30, Unexpected)];
        assert_eq!(
            badge(&calls),
            Badge::Failing,
            "the time until it does not count into the run"
        );
        assert_eq!(
            badge(&[&calls[..], &[(31, Invalid)]].concat()),
            Badge::Rejected,
            "nor does it end the run"
        );
    }

    #[test]
    fn unverified_until_something_is_learnt() {
        let now = START;
        let condemnation = Condemnation::default();
        let untested = Health::new_saved(None, now);
        assert_eq!(
            (untested.badge(&condemnation), untested.checked_at),
            (Badge::Unverified, None)
        );
        let tried = untested.after(Verdict::Unreachable, now);
        assert_eq!(
            (tried.badge(&condemnation), tried.verdict),
            (Badge::Unverified, Some(Verdict::Unreachable))
        );
        let again = tried.after(Verdict::ProviderDown, at(1));
        assert_eq!(
            (again.verdict, again.checked_at),
            (Some(Verdict::ProviderDown), Some(at(1)))
        );
        assert_eq!(
            again.after(Verdict::NoFunds, at(2)).badge(&condemnation),
            Badge::Limited
        );
        assert_eq!(again.verified_at, None);
    }

    #[test]
    fn a_clock_that_is_behind_does_not_shorten_or_turn_a_run() {
        let health = after(&[
            (1, Verdict::Invalid),
            (2, Verdict::Invalid),
            (12, Verdict::Invalid),
        ]);
        let behind = health.after(Verdict::Invalid, at(-60));
        assert_eq!(behind.checked_at, Some(at(12)));
        assert!(behind.condemned(&Condemnation::default()));
    }
}
