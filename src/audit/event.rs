//! The entries of the audit stream, one struct for each kind.
//!
//! Invariants: fields are named one by one, never a whole request; a key appears masked or by its id; what others choose
//! (a caller's name) is bounded. An absent field is left out.
//!
//! Not here: chain, sequence, time and MAC, which every line has (`chain`).

use std::{fmt::Display, sync::Arc};

use serde::{Serialize, Serializer};
use serde_json::Value;
use uuid::Uuid;

use crate::domain::{
    audit::AuditEvent,
    caller::{Caller, Rpc},
    names::{OnBehalfOf, ProviderName, PurposeName, RequestId, WorkspaceId},
    resolution::BillingMode,
    verdict::Verdict,
};

/// How much of a caller's name is kept, in characters.
const LONGEST_NAME: usize = 256;

/// What a line says.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum Event {
    Opened(Opened),
    Resolved(Box<Resolved>),
    Changed(Box<Changed>),
    Repeated(Box<Repeated>),
    Refused(Box<Refused>),
    Suppressed {
        count: u64,
    },
    Lost {
        count: u64,
        #[serde(skip_serializing_if = "is_false")]
        torn: bool,
    },
    Continued {
        previous: String,
        #[serde(skip_serializing_if = "is_false")]
        torn: bool,
    },
    Closed,
}

/// A chain begins.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Opened {
    pub(super) version: &'static str,
    pub(super) deployment: Uuid,
    pub(super) mode: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) follows: Option<String>,
    #[serde(skip_serializing_if = "is_false")]
    pub(super) torn: bool,
}

/// A credential was granted.
#[derive(Debug, Serialize)]
pub struct Resolved {
    /// Who asked.
    #[serde(serialize_with = "subject")]
    pub actor: Arc<Caller>,
    /// For whom.
    #[serde(serialize_with = "shown")]
    pub workspace: WorkspaceId,
    /// What for.
    #[serde(serialize_with = "shown")]
    pub purpose: PurposeName,
    /// Who serves the call.
    #[serde(serialize_with = "shown")]
    pub provider: ProviderName,
    /// The concrete model id.
    pub model: String,
    /// Who pays.
    pub billing: BillingMode,
    /// Whose key: `none`, `workspace` or `platform`.
    pub key_source: &'static str,
    /// Which key; none for a local model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_id: Option<Uuid>,
    /// Its generation; 0 for a local model.
    pub generation: u64,
    /// The database did not answer.
    pub degraded: bool,
    /// The answer's name.
    pub resolution_id: Uuid,
}

/// Something was changed.
#[derive(Clone, Debug, Serialize)]
pub struct Changed {
    /// Who did it.
    #[serde(serialize_with = "bounded")]
    pub actor: String,
    /// On whose behalf, as the caller asserted it.
    #[serde(serialize_with = "asserted", skip_serializing_if = "unsaid")]
    pub on_behalf_of: OnBehalfOf,
    /// Whose; none: the platform's.
    #[serde(serialize_with = "shown_if", skip_serializing_if = "Option::is_none")]
    pub workspace: Option<WorkspaceId>,
    /// What was called.
    #[serde(serialize_with = "named")]
    pub rpc: Rpc,
    /// The provider concerned.
    #[serde(serialize_with = "shown_if", skip_serializing_if = "Option::is_none")]
    pub provider: Option<ProviderName>,
    /// What was.
    pub before: Value,
    /// What is.
    pub after: Value,
    /// What the change rests on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// The change's request id.
    #[serde(serialize_with = "shown_if", skip_serializing_if = "Option::is_none")]
    pub request_id: Option<RequestId>,
    /// The revision that it made.
    pub revision: u64,
    /// What was and is would be too long for a line.
    #[serde(skip_serializing_if = "is_false")]
    pub shortened: bool,
}

impl Changed {
    /// The line of a change that is committed with this event.
    pub fn of(event: &AuditEvent, workspace: Option<WorkspaceId>, revision: u64) -> Self {
        let AuditEvent {
            actor,
            on_behalf_of,
            action,
            provider,
            before,
            after,
            verdict,
            request_id,
        } = event;
        Self {
            actor: actor.clone(),
            on_behalf_of: on_behalf_of.clone(),
            workspace,
            rpc: *action,
            provider: provider.clone(),
            before: before.clone(),
            after: after.clone(),
            verdict: *verdict,
            request_id: request_id.clone(),
            revision,
            shortened: false,
        }
    }

    /// The same without what was and is.
    pub(super) fn shortened(&self) -> Self {
        Self {
            before: Value::Null,
            after: Value::Null,
            shortened: true,
            ..self.clone()
        }
    }
}

/// A retry was given the answer of a change that had been made before.
#[derive(Debug, Serialize)]
pub struct Repeated {
    /// Who asked.
    #[serde(serialize_with = "bounded")]
    pub actor: String,
    /// Whose change; none: the platform's.
    #[serde(serialize_with = "shown_if", skip_serializing_if = "Option::is_none")]
    pub workspace: Option<WorkspaceId>,
    /// What was called.
    #[serde(serialize_with = "named")]
    pub rpc: Rpc,
    /// The change's request id.
    #[serde(serialize_with = "shown")]
    pub request_id: RequestId,
}

/// An attempt was refused.
#[derive(Debug, Serialize)]
pub(super) struct Refused {
    #[serde(serialize_with = "named")]
    pub(super) rpc: Rpc,
    #[serde(serialize_with = "subject_if", skip_serializing_if = "Option::is_none")]
    pub(super) actor: Option<Arc<Caller>>,
    #[serde(serialize_with = "shown_if", skip_serializing_if = "Option::is_none")]
    pub(super) workspace: Option<WorkspaceId>,
    pub(super) reason: &'static str,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
fn is_false(flag: &bool) -> bool {
    !flag
}

fn unsaid(name: &OnBehalfOf) -> bool {
    name.as_str().is_empty()
}

fn subject<S: Serializer>(caller: &Arc<Caller>, to: S) -> Result<S::Ok, S::Error> {
    bounded(&caller.subject, to)
}

fn subject_if<S: Serializer>(caller: &Option<Arc<Caller>>, to: S) -> Result<S::Ok, S::Error> {
    caller
        .as_ref()
        .map_or("", |caller| first(&caller.subject))
        .serialize(to)
}

fn bounded<S: Serializer>(name: &str, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(first(name))
}

fn first(name: &str) -> &str {
    let end = name
        .char_indices()
        .nth(LONGEST_NAME)
        .map_or(name.len(), |(at, _)| at);
    name.get(..end).unwrap_or_default()
}

fn asserted<S: Serializer>(name: &OnBehalfOf, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(name.as_str())
}

fn named<S: Serializer>(rpc: &Rpc, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(rpc.as_str())
}

fn shown<S: Serializer>(name: &impl Display, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(name)
}

fn shown_if<S: Serializer>(name: &Option<impl Display>, to: S) -> Result<S::Ok, S::Error> {
    match name {
        Some(name) => to.collect_str(name),
        None => to.serialize_none(),
    }
}
