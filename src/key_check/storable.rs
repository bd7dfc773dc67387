//! Whether a key with a verdict may be stored, and the refusal if not.
//!
//! Invariants: a refusal carries the provider and the verdict, and no text of the provider.

use std::time::Duration;

use crate::domain::{
    catalog::Provider,
    error::{Error, Reason},
    verdict::{Finding, Verdict},
};

/// When to retry if the provider did not answer.
const PROVIDER_DOWN: Duration = Duration::from_secs(5);

/// Refuses a verdict that does not allow a key to be stored.
pub(super) fn storable(
    verdict: Verdict,
    provider: &Provider,
    retry_after: Option<Duration>,
    allow_unverified: bool,
) -> Result<(), Error> {
    let name = &provider.name;
    let refusal = |reason, what: String| {
        Error::new(reason, format!("{what}. {}", verdict.advice()))
            .with("provider", name.as_str())
            .with("verdict", verdict.as_str())
    };
    Err(match verdict.finding() {
        Finding::Works | Finding::Recognised => return Ok(()),
        Finding::NothingLearnt if allow_unverified => return Ok(()),
        Finding::NothingLearnt => {
            let what = format!(
                "the key check at {name} gave no verdict on the key; nothing was stored (allow_unverified stores it)"
            );
            let error = refusal(Reason::ProviderUnreachable, what);
            match (verdict, retry_after) {
                (_, Some(delay)) => error.retry_after(delay),
                (Verdict::ProviderDown | Verdict::Unreachable, None) => {
                    error.retry_after(PROVIDER_DOWN)
                }
                // The provider did answer, so a retry would get the same.
                _ => error,
            }
        }
        Finding::WrongKind => {
            let what = format!("this is not an API key of {name}, and it was not sent anywhere");
            refusal(Reason::KeyWrongKind, what).in_field("api_key")
        }
        Finding::WrongHost => {
            let what = format!("{name} serves this key on another host; nothing was stored");
            refusal(Reason::BaseUrlNotAllowed, what).in_field("base_url")
        }
        Finding::Refused => {
            let what = format!("{name} refused the key; nothing was stored");
            refusal(Reason::KeyRejected, what).in_field("api_key")
        }
    })
}
