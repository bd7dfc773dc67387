//! The meaning of each AWS KMS error, and its fix.
//!
//! Invariants: corruption is only what the KMS calls so of the data key itself; whatever it does not say clearly counts
//! as an outage or a refusal, which end. Nothing of a response's body but AWS's own message gets into a text.
//!
//! Not here: patience. The SDK has tried again already where that helps.

use std::error::Error as StdError;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_kms::{
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
};

use crate::{
    domain::kms_key::KmsKeyName,
    kms::{KmsError, KmsFault},
};

pub(super) const GIVE_CREDENTIALS: &str = "give byokd a role (IRSA, Pod Identity, an instance's or a task's role), or \
                                           AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY";
/// AWS's own words, at the most.
const LONGEST: usize = 400;

/// What was asked of the KMS.
pub(super) struct Asked<'a> {
    pub(super) operation: &'static str,
    pub(super) key: &'a str,
    pub(super) region: &'a str,
}

impl Asked<'_> {
    pub(super) fn failed<E>(&self, error: &SdkError<E, HttpResponse>) -> KmsError
    where
        E: StdError + ProvideErrorMetadata + Send + Sync + 'static,
    {
        if let Some(credentials) = credentials_fault(error) {
            return match credentials {
                CredentialsError::ProviderTimedOut(_) => {
                    self.fault(KmsFault::Outage, "AWS credentials did not come in time")
                }
                other => self.fault(
                    KmsFault::Denied,
                    &format!(
                        "there are no good AWS credentials: {}; {GIVE_CREDENTIALS}",
                        chain(other)
                    ),
                ),
            };
        }
        match error {
            SdkError::ServiceError(answer) => {
                let code = answer.err().code().unwrap_or("an unknown error");
                let fault = self.fault_of(code, answer.raw().status().as_u16());
                let words: String = answer
                    .err()
                    .message()
                    .unwrap_or_default()
                    .chars()
                    .take(LONGEST)
                    .collect();
                self.fault(
                    fault,
                    &format!("{code} {words}; {}", self.advice(fault, code)),
                )
            }
            SdkError::ConstructionFailure(_) => self.fault(
                KmsFault::Denied,
                &format!(
                    "the call cannot be made: {}; check kms.region and kms.endpoint_url",
                    chain(error)
                ),
            ),
            SdkError::TimeoutError(_) => {
                self.fault(KmsFault::Outage, "no answer in time; byokd tries again")
            }
            other => self.fault(
                KmsFault::Outage,
                &format!("{}; byokd tries again", chain(other)),
            ),
        }
    }

    /// An answer that lacks what this operation always has.
    pub(super) fn incomplete(&self) -> KmsError {
        self.fault(
            KmsFault::Outage,
            "the answer is incomplete; check kms.endpoint_url",
        )
    }

    /// The KMS key that an answer names; it must be the one that was asked for.
    pub(super) fn is_under(&self, arn: &str, answered: Option<String>) -> Result<String, KmsError> {
        let answered = answered.ok_or_else(|| self.incomplete())?;
        if answered == arn {
            return Ok(answered);
        }
        let what =
            format!("the answer is under {answered}, not under {arn}; check kms.endpoint_url");
        Err(self.fault(KmsFault::Denied, &what))
    }

    /// An alias that is gone says nothing of the key that it named.
    pub(super) fn of_an_alias(&self, error: KmsError, name: &KmsKeyName) -> KmsError {
        if name.as_str().contains("alias/") {
            error.of_a_name()
        } else {
            error
        }
    }

    pub(super) fn in_state(&self, arn: &str, state: &str) -> KmsError {
        let asked = Asked { key: arn, ..*self };
        asked.fault(
            KmsFault::KeyState,
            &format!("the key is {state}; {}", ENABLE),
        )
    }

    fn fault(&self, fault: KmsFault, what: &str) -> KmsError {
        let Self {
            operation,
            key,
            region,
        } = self;
        KmsError::new(
            fault,
            format!("AWS KMS, {operation} with {key} in {region}: {what}"),
        )
    }

    fn fault_of(&self, code: &str, status: u16) -> KmsFault {
        match code {
            "InvalidCiphertextException" | "IncorrectKeyException" => KmsFault::Corrupt,
            // All that a row brings along is its blob.
            "ValidationException" if matches!(self.operation, "Decrypt" | "ReEncrypt") => {
                KmsFault::Corrupt
            }
            "DisabledException" | "KMSInvalidStateException" | "NotFoundException" => {
                KmsFault::KeyState
            }
            "DependencyTimeoutException"
            | "KMSInternalException"
            | "KeyUnavailableException"
            | "LimitExceededException"
            | "RequestLimitExceeded"
            | "Throttling"
            | "ThrottlingException"
            | "TooManyRequestsException" => KmsFault::Outage,
            _ if status == 429 || status >= 500 => KmsFault::Outage,
            _ => KmsFault::Denied,
        }
    }

    fn advice(&self, fault: KmsFault, code: &str) -> String {
        let Self {
            operation, region, ..
        } = self;
        match (fault, code) {
            (KmsFault::Outage, _) => "byokd tries again".to_owned(),
            (KmsFault::Corrupt, _) => {
                "the data key was damaged, moved or wrapped elsewhere; restore its row from a backup"
                    .to_owned()
            }
            (KmsFault::KeyState, "NotFoundException") => {
                format!("there is no such key in {region}; check kms.key and kms.region")
            }
            (KmsFault::KeyState, _) => ENABLE.to_owned(),
            (KmsFault::Denied, "AccessDeniedException") => {
                let actions = match *operation {
                    "ReEncrypt" => "kms:ReEncryptFrom and kms:ReEncryptTo",
                    _ => "kms:DescribeKey, kms:GenerateDataKey and kms:Decrypt",
                };
                format!("grant {actions} on the key to the role that byokd has")
            }
            (KmsFault::Denied, code) if code.contains("Arn") || code.contains("Validation") => {
                format!("check kms.key, and that it is in kms.region, here {region}")
            }
            (KmsFault::Denied, code) if code.contains("KeyUsage") => {
                "name a symmetric key for encryption in kms.key".to_owned()
            }
            (KmsFault::Denied, _) => GIVE_CREDENTIALS.to_owned(),
        }
    }
}

const ENABLE: &str =
    "enable it or cancel its deletion; until then byokd opens nothing that is under it";

/// The fetching of credentials that a call failed by, if it did.
fn credentials_fault<'e>(error: &'e (dyn StdError + 'static)) -> Option<&'e CredentialsError> {
    causes(error).find_map(|error| error.downcast_ref())
}

/// An error with its causes, each in its own words.
pub(super) fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut words: Vec<String> = Vec::new();
    for error in causes(error) {
        let own = error.to_string();
        if words.last().is_none_or(|last| !last.contains(&own)) {
            words.push(own);
        }
    }
    words.join(": ").chars().take(LONGEST).collect()
}

fn causes<'e>(
    error: &'e (dyn StdError + 'static),
) -> impl Iterator<Item = &'e (dyn StdError + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let this = next?;
        next = this.source();
        Some(this)
    })
}
