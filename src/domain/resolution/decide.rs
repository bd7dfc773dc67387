//! The decision itself: the first matching row decides.

use super::{
    decision::{Decision, Grant},
    facts::{Ask, Facts, UnknownWorkspace},
    keys::{platform_key, workspace_key},
    model,
    refusals::{provider_disabled, purpose_unknown},
};
use crate::domain::{
    catalog::{Catalog, Payer},
    error::{Error, Reason},
    names::PurposeName,
    protocol::Protocol,
    workspace::Workspace,
};

/// Whether the workspace's own key pays for this purpose, if anything has to be paid.
pub fn byo_pays(catalog: &Catalog, workspace: &Workspace, purpose: &PurposeName) -> bool {
    workspace.byo_enabled && catalog.payer(purpose) == Some(Payer::FollowsToggle)
}

/// Decides one call.
pub fn decide<'a>(facts: Facts<'a>, ask: &Ask) -> Result<Decision<'a>, Error> {
    let payer = facts
        .catalog
        .payer(&ask.purpose)
        .ok_or_else(|| purpose_unknown(&ask.purpose))?;
    let byo = byo_pays(facts.catalog, facts.workspace, &ask.purpose);
    let wanted = model::which(facts, ask, byo)?;
    let Some(provider) = facts.catalog.providers.get(wanted.provider()) else {
        return Err(provider_disabled(wanted.provider())); // row 1
    };
    let grant = match (provider.protocol, payer) {
        (Protocol::Local, _) => Grant::Local,
        (_, Payer::Free) => Grant::Free(platform_key(facts, provider, &wanted)?),
        (_, Payer::FollowsToggle) if byo => {
            let key = workspace_key(facts, provider)?;
            Grant::Byo(key, wanted.fee(provider))
        }
        (_, Payer::FollowsToggle) if refuses_unknown(facts) => return Err(workspace_unknown()),
        (_, Payer::Platform | Payer::FollowsToggle) => {
            let key = platform_key(facts, provider, &wanted)?;
            Grant::Credits(key, wanted.credits()?)
        }
    };
    let fresh = grant.key().and_then(|key| key.fresh_models(facts.now));
    let model = wanted.concrete(fresh, matches!(grant, Grant::Byo(..)), facts.now.date())?;
    Ok(Decision {
        provider,
        family: wanted.family(),
        model,
        grant,
    })
}

fn refuses_unknown(facts: Facts<'_>) -> bool {
    facts.policy.unknown_workspace == UnknownWorkspace::Refuse && !facts.workspace.exists
}

fn workspace_unknown() -> Error {
    Error::new(
        Reason::WorkspaceUnknown,
        "the workspace was never seen, and this byokd refuses such; ToggleByo or SetKey makes it known",
    )
}
