//! A workspace, or the platform, in one statement.
//!
//! Invariants: one statement, so that toggle, keys and revision belong to one moment; a row that byokd would never
//! write is damage, never a default: a key's touches that key alone, the holder's own is `RECORD_CORRUPT`.
//!
//! Absent: opening what is sealed.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{
    DatabaseBackend, FromQueryResult, QueryResult, Statement,
    sea_query::{Condition, Expr, ExprTrait, Query},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use uuid::Uuid;

use super::{
    entities::{holders, model_lists, provider_keys},
    fault::{corrupt, unavailable},
    lists::SharedLists,
    moment::Moment,
};
use crate::domain::{
    error::{Error, Reason},
    names::{ModelName, OnBehalfOf, ProviderName, Scope, WorkspaceId},
    verdict::{Health, Verdict},
    workspace::{Binding, ByProvider, Holder, Listing, Platform, Selection, StoredKey, Workspace},
};

/// A selection as it stands in `holders.selections`.
#[derive(Deserialize, Serialize)]
pub(super) struct SelectionJson {
    pub(super) model: String,
    pub(super) revision: u64,
}

/// What every row says of the holder.
#[derive(FromQueryResult)]
struct HolderRow {
    present: bool,
    byo_enabled: bool,
    revision: i64,
    selections: Value,
    generations: Value,
}

/// What a row says of one active key.
#[derive(FromQueryResult)]
struct KeyRow {
    key_id: Uuid,
    generation: i64,
    sealed: Vec<u8>,
    base_url: String,
    headers: Value,
    masked: String,
    verdict: Option<String>,
    checked_at: Option<Moment>,
    verified_at: Option<Moment>,
    refused_count: i32,
    refused_since: Option<Moment>,
    models_as_of: Option<Moment>,
    set_by: String,
    on_behalf_of: String,
    set_at: Moment,
    hash: Option<Vec<u8>>,
    body: Option<String>,
}

/// A holder from the rows that `select` finds; one without a row is unseen.
pub(super) fn holder(
    rows: &[QueryResult],
    lists: &SharedLists,
    scope: &Scope,
) -> Result<Holder, Error> {
    let first = rows
        .first()
        .ok_or_else(|| Error::internal("a holder's statement without a row"))?;
    if first.try_get::<bool>("", "standby").map_err(unavailable)? {
        return Err(standby());
    }
    if first
        .try_get::<Option<i64>>("", "revision")
        .map_err(unavailable)?
        .is_none()
    {
        return Ok(match scope {
            Scope::Workspace(id) => Holder::Workspace(Workspace::unseen(id.clone())),
            Scope::Platform => Holder::Platform(Platform::default()),
        });
    }
    let row = HolderRow::from_query_result(first, "").map_err(unavailable)?;
    // A holder without keys has one row without.
    let keyless = first
        .try_get::<Option<String>>("", "provider")
        .map_err(unavailable)?
        .is_none();
    let room = if keyless { 0 } else { rows.len() };
    let (mut keys, mut damaged) = (ByProvider::with_capacity(room), BTreeSet::new());
    for row in rows {
        let Some(name) = row
            .try_get::<Option<String>>("", "provider")
            .map_err(unavailable)?
        else {
            continue;
        };
        let provider = ProviderName::parse(&name).map_err(corrupt)?;
        let key = KeyRow::from_query_result(row, "")
            .map_err(unavailable)
            .and_then(|row| row.key(lists));
        match key {
            Ok(key) => {
                keys.insert(provider, key);
            }
            Err(error) => {
                tracing::error!(scope = scope.kind(), %provider, ?error, "the row of a key is damaged");
                damaged.insert(provider);
            }
        }
    }
    let revision = u64::try_from(row.revision).map_err(|_| corrupt("a negative revision"))?;
    let generations = names(row.generations, Ok)?;
    Ok(match scope {
        Scope::Platform => Holder::Platform(Platform {
            revision,
            keys,
            generations,
            damaged,
        }),
        Scope::Workspace(id) => Holder::Workspace(Workspace {
            id: WorkspaceId::clone(id),
            exists: row.present,
            byo_enabled: row.byo_enabled,
            revision,
            keys,
            selections: selections(row.selections)?,
            generations,
            damaged,
        }),
    })
}

/// The one statement that reads a holder with everything that is its own, and asks the server whether it is a standby,
/// if it can tell.
pub(super) fn select(backend: DatabaseBackend, tells: bool, scope: &Scope) -> Statement {
    let standby = match (backend, tells) {
        (DatabaseBackend::Postgres, true) => Expr::cust("pg_is_in_recovery()"),
        _ => Expr::cust("FALSE"),
    };
    let server = Query::select().expr_as(standby, "standby").to_owned();
    use holders::Column as H;
    use provider_keys::Column as K;
    let same = |left: H, right: K| {
        Expr::col((holders::Entity, left)).equals((provider_keys::Entity, right))
    };
    let mut query = Query::select();
    for column in [
        H::Present,
        H::ByoEnabled,
        H::Revision,
        H::Selections,
        H::Generations,
    ] {
        query.column((holders::Entity, column));
    }
    for column in [
        K::KeyId,
        K::Provider,
        K::Generation,
        K::Sealed,
        K::BaseUrl,
        K::Headers,
        K::Masked,
        K::Verdict,
        K::CheckedAt,
        K::VerifiedAt,
        K::RefusedCount,
        K::RefusedSince,
        K::ModelsAsOf,
        K::SetBy,
        K::OnBehalfOf,
        K::SetAt,
    ] {
        query.column((provider_keys::Entity, column));
    }
    query
        .column((model_lists::Entity, model_lists::Column::Hash))
        .column((model_lists::Entity, model_lists::Column::Body))
        .column(("server", "standby"))
        .from_subquery(server, "server")
        .left_join(
            holders::Entity,
            Condition::all()
                .add(Expr::col((holders::Entity, H::Scope)).eq(scope.kind()))
                .add(Expr::col((holders::Entity, H::WorkspaceId)).eq(scope.workspace_id())),
        )
        .left_join(
            provider_keys::Entity,
            Condition::all()
                .add(same(H::Scope, K::Scope))
                .add(same(H::WorkspaceId, K::WorkspaceId))
                .add(Expr::col((provider_keys::Entity, K::State)).eq("active")),
        )
        .left_join(
            model_lists::Entity,
            Expr::col((provider_keys::Entity, K::ModelListHash))
                .equals((model_lists::Entity, model_lists::Column::Hash)),
        );
    backend.build(&query)
}

/// What a standby shows may be older than what was promised.
pub(super) fn standby() -> Error {
    Error::new(
        Reason::StoreUnavailable,
        "the database is a standby, which may lag behind; try again once its primary is back",
    )
    .retry_after(std::time::Duration::from_secs(1))
}

impl KeyRow {
    fn key(self, lists: &SharedLists) -> Result<StoredKey, Error> {
        let verdict = match &self.verdict {
            None => None,
            Some(name) => Some(Verdict::parse(name).ok_or_else(|| corrupt("an unknown verdict"))?),
        };
        let models = match (&self.hash, &self.body, &self.models_as_of) {
            (Some(hash), Some(body), Some(as_of)) => Some(Listing {
                models: lists.get(hash, body),
                as_of: as_of.0,
            }),
            (None, None, _) => None,
            _ => return Err(corrupt("a model list without its date")),
        };
        Ok(StoredKey {
            key_id: self.key_id,
            generation: u64::try_from(self.generation)
                .map_err(|_| corrupt("a negative generation"))?,
            masked: self.masked,
            binding: Binding {
                base_url: self.base_url,
                headers: json(self.headers)?,
            },
            health: Health {
                verdict,
                checked_at: self.checked_at.map(|at| at.0),
                verified_at: self.verified_at.map(|at| at.0),
                refused_count: u32::try_from(self.refused_count)
                    .map_err(|_| corrupt("a negative count"))?,
                refused_since: self.refused_since.map(|at| at.0),
            },
            models,
            set_by: self.set_by,
            on_behalf_of: OnBehalfOf::parse(&self.on_behalf_of).map_err(corrupt)?,
            set_at: self.set_at.0,
            sealed: self.sealed.into(),
        })
    }
}

fn selections(value: Value) -> Result<ByProvider<Selection>, Error> {
    names(value, |SelectionJson { model, revision }| {
        Ok(Selection {
            model: ModelName::parse(&model).map_err(corrupt)?,
            revision,
        })
    })
}

/// A JSON object whose keys are providers' names. There is room for what is in it and no more.
fn names<J: DeserializeOwned, T>(
    value: Value,
    read: impl Fn(J) -> Result<T, Error>,
) -> Result<ByProvider<T>, Error> {
    let stored: BTreeMap<String, J> = json(value)?;
    let mut named = ByProvider::with_capacity(stored.len());
    for (name, value) in stored {
        named.insert(ProviderName::parse(&name).map_err(corrupt)?, read(value)?);
    }
    Ok(named)
}

fn json<T: DeserializeOwned>(value: Value) -> Result<T, Error> {
    serde_json::from_value(value).map_err(|_| corrupt("a JSON column of another shape"))
}
