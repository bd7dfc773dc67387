//! Access: caller × RPC × workspace × purpose. The expected answer of each cell is written here,
//! independently of the code.

mod callers;
mod calls;

use std::{collections::BTreeMap, sync::Arc};

use byokd::domain::caller::Rpc;
use tokio::task::JoinSet;
use tonic::Code;

use self::{
    callers::{Caller, World},
    calls::{CHANGES, call},
};
use crate::support::reason;

/// Callers that run at the same time.
const AT_ONCE: usize = 12;

/// The answer of a cell, as far as the caller's rights decide it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Cell {
    Admitted,
    CredentialsMissing,
    CredentialsInvalid,
    RoleRequired,
    WorkspaceMismatch,
    PurposeNotGranted,
}

/// The contract's table of roles.
const ROLES: [(&str, &[&str]); 4] = [
    (
        "resolver",
        &[
            "ResolveCredentials",
            "ExplainResolution",
            "ReportOutcome",
            "WatchInvalidations",
        ],
    ),
    (
        "viewer",
        &[
            "GetWorkspace",
            "ListModels",
            "ExplainResolution",
            "ListKeyUsage",
        ],
    ),
    (
        "admin",
        &[
            "GetWorkspace",
            "ListModels",
            "ExplainResolution",
            "ListKeyUsage",
            "SetKey",
            "DeleteKey",
            "VerifyKey",
            "SelectModel",
            "ToggleByo",
            "DeleteWorkspace",
            "ListAuditEvents",
        ],
    ),
    (
        "operator",
        &[
            "SetPlatformKey",
            "VerifyPlatformKey",
            "DeletePlatformKey",
            "ListPlatformKeys",
            "ListPlatformAuditEvents",
            "ExplainResolution",
        ],
    ),
];

/// RPCs without a workspace: the platform's, and a watch of all.
fn names_a_workspace(rpc: &str) -> bool {
    !rpc.contains("Platform") && rpc != "WatchInvalidations"
}

/// Purposes of an RPC; empty for an RPC without purpose.
fn purposes(rpc: &str) -> &'static [&'static str] {
    match rpc {
        "ResolveCredentials" | "ExplainResolution" => &["reply", "training"],
        _ => &[""],
    }
}

/// RPCs of the contract that are not served yet and check only the role.
const NOT_SERVED_YET: [&str; 2] = ["ReportOutcome", "WatchInvalidations"];

/// The expected answer of a cell.
fn expected(caller: &Caller, rpc: &str, workspace: &str, purpose: &str) -> Cell {
    let proofs = match &caller.proofs {
        Ok(proofs) => proofs,
        Err(refusal) => return *refusal,
    };
    // Every proof must allow it.
    let may_call = |roles: &[&str]| {
        roles.iter().any(|role| {
            ROLES
                .iter()
                .any(|(name, rpcs)| name == role && rpcs.contains(&rpc))
        })
    };
    let names = |rpcs: &[&str]| rpcs.is_empty() || rpcs.contains(&rpc);
    if !proofs
        .iter()
        .all(|proof| may_call(proof.roles) && names(proof.rpcs))
    {
        return Cell::RoleRequired;
    }
    let in_scope = |scope: &[&str]| scope == ["*"] || scope.contains(&workspace);
    if names_a_workspace(rpc) && !proofs.iter().all(|proof| in_scope(proof.workspaces)) {
        return Cell::WorkspaceMismatch;
    }
    if !purpose.is_empty() && !proofs.iter().all(|proof| proof.purposes.contains(&purpose)) {
        return Cell::PurposeNotGranted;
    }
    Cell::Admitted
}

fn seen(rpc: &str, answer: Result<(), tonic::Status>) -> Cell {
    let Err(status) = answer else {
        return Cell::Admitted;
    };
    match (status.code(), reason(&status).as_str()) {
        (Code::Unauthenticated, "CREDENTIALS_MISSING") => Cell::CredentialsMissing,
        (Code::Unauthenticated, "CREDENTIALS_INVALID") => Cell::CredentialsInvalid,
        (Code::PermissionDenied, "ROLE_REQUIRED") => Cell::RoleRequired,
        (Code::PermissionDenied, "WORKSPACE_MISMATCH") => Cell::WorkspaceMismatch,
        (Code::PermissionDenied, "PURPOSE_NOT_GRANTED") => Cell::PurposeNotGranted,
        (Code::PermissionDenied | Code::Unauthenticated, other) => panic!("unexpected {other}"),
        // Admitted, and then refused because of the state.
        (Code::Unimplemented, "NOT_IMPLEMENTED_YET") if NOT_SERVED_YET.contains(&rpc) => {
            Cell::Admitted
        }
        (Code::InvalidArgument, "FIELD_INVALID") if CHANGES.contains(&rpc) => Cell::Admitted,
        (code, why) => panic!("{rpc} went wrong in another way: {code:?} {why}"),
    }
}

/// Every cell of one caller: the cell, the answer, and the expected one.
async fn cells_of(caller: Arc<Caller>) -> Vec<(String, Cell, Cell)> {
    let mut cells = Vec::new();
    for rpc in Rpc::ALL.iter().copied() {
        for workspace in ["acme", "globex", "initech"] {
            for purpose in purposes(rpc.as_str()) {
                let name = format!("{} {} {workspace} {purpose}", caller.name, rpc.as_str());
                let expected = expected(&caller, rpc.as_str(), workspace, purpose);
                let answer = call(&caller, rpc, workspace, purpose).await;
                cells.push((name, seen(rpc.as_str(), answer), expected));
            }
        }
    }
    cells
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::print_stderr, reason = "the count is what the test shows")]
async fn every_cell_of_the_matrix_is_as_expected() {
    let world = World::start().await;
    let callers: Vec<Arc<Caller>> = world.callers().into_iter().map(Arc::new).collect();
    let (mut wrong_allows, mut wrong_refusals) = (Vec::new(), Vec::new());
    let mut answers: BTreeMap<Cell, usize> = BTreeMap::new();
    for crowd in callers.chunks(AT_ONCE) {
        let crowd: JoinSet<_> = crowd
            .iter()
            .map(|caller| cells_of(Arc::clone(caller)))
            .collect();
        for (name, seen, expected) in crowd.join_all().await.into_iter().flatten() {
            *answers.entry(seen).or_default() += 1;
            let cell = format!("{name}: {seen:?}, not {expected:?}");
            match (seen, expected) {
                (seen, expected) if seen == expected => {}
                (Cell::Admitted, _) => wrong_allows.push(cell),
                _ => wrong_refusals.push(cell),
            }
        }
    }
    let cells: usize = answers.values().sum();
    eprintln!("{cells} cells of {} callers: {answers:?}", callers.len());
    assert!(
        wrong_allows.is_empty(),
        "{} wrong allows: {wrong_allows:#?}",
        wrong_allows.len()
    );
    assert!(
        wrong_refusals.is_empty(),
        "{} wrong refusals: {wrong_refusals:#?}",
        wrong_refusals.len()
    );
    assert_eq!(cells, callers.len() * 3 * (19 + 2));
    assert_eq!(answers.len(), 6, "every answer is met");
}
