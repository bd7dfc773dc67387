//! A caller as the configuration sees it: who it is, what it may do, and by which rule.

use std::fmt;

use serde::Serialize;

use crate::{
    domain::caller::{Rights, WorkspaceScope},
    identity::Granted,
};

/// What a caller with these proofs may do.
#[derive(Serialize)]
pub(in crate::cli) struct CallerView {
    proofs: Vec<Proof>,
    may_call: Vec<&'static str>,
    purposes: Vec<String>,
    /// Empty with `every_workspace`.
    workspaces: Vec<String>,
    every_workspace: bool,
}

#[derive(Serialize)]
struct Proof {
    subject: String,
    /// Its place in `auth.rules`, from 0. Absent: the token says it itself.
    rule: Option<usize>,
}

impl CallerView {
    /// What all of these grant together.
    pub(in crate::cli) fn of(granted: &[Granted]) -> Self {
        let proofs = granted
            .iter()
            .map(|granted| Proof {
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

impl fmt::Display for CallerView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Proof { subject, rule } in &self.proofs {
            match rule {
                Some(place) => writeln!(f, "{subject}, by auth.rules[{place}]")?,
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
