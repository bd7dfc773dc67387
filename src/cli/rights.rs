//! The rights of a caller under a configuration: its subject, its RPCs, and the rules that grant them.

use std::fmt;

use serde::Serialize;

use crate::{
    domain::caller::{Rights, WorkspaceScope},
    identity::Granted,
};

#[derive(Serialize)]
pub(super) struct RightsReport {
    proofs: Vec<ProofReport>,
    may_call: Vec<&'static str>,
    purposes: Vec<String>,
    /// Empty if `every_workspace`.
    workspaces: Vec<String>,
    every_workspace: bool,
}

#[derive(Serialize)]
struct ProofReport {
    subject: String,
    /// Its index in `auth.rules`, from 0. Absent: the token's own claims grant the rights.
    rule: Option<usize>,
}

impl RightsReport {
    /// The intersection of these grants.
    pub(super) fn new(granted: &[Granted]) -> Self {
        let proofs = granted
            .iter()
            .map(|granted| ProofReport {
                subject: granted.subject.clone(),
                rule: granted.rule,
            })
            .collect();
        let rights = granted
            .iter()
            .map(|granted| granted.rights.clone())
            .reduce(|all, one| all.and(&one));
        let Rights {
            rpcs,
            purposes,
            scope,
        } = rights.unwrap_or_default();
        let (every_workspace, workspaces) = match scope {
            WorkspaceScope::All => (true, Vec::new()),
            WorkspaceScope::Only(ids) => (false, ids.iter().map(ToString::to_string).collect()),
        };
        Self {
            proofs,
            may_call: rpcs.iter().map(|rpc| rpc.as_str()).collect(),
            purposes: purposes.iter().map(ToString::to_string).collect(),
            workspaces,
            every_workspace,
        }
    }
}

impl fmt::Display for RightsReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for ProofReport { subject, rule } in &self.proofs {
            match rule {
                Some(index) => writeln!(f, "{subject}, by auth.rules[{index}]")?,
                None => writeln!(f, "{subject}, by its token")?,
            }
        }
        let or_none = |list: String| {
            if list.is_empty() {
                "nothing".to_owned()
            } else {
                list
            }
        };
        writeln!(f, "  may call    {}", or_none(self.may_call.join(", ")))?;
        writeln!(f, "  for         {}", or_none(self.purposes.join(", ")))?;
        match self.every_workspace {
            true => writeln!(f, "  workspaces  every one"),
            false => writeln!(f, "  workspaces  {}", or_none(self.workspaces.join(", "))),
        }
    }
}
