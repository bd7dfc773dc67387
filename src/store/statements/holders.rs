//! `holders`: a workspace or the platform, read together with its active keys.
//!
//! Invariants:
//! - One statement reads a holder, so that toggle, keys and revision are of one moment.
//! - A row that byokd would never write is damage, never a default. Damage of a key's row affects that key alone;
//!   damage of the holder's own row is `RECORD_CORRUPT`.
//!
//! Not here: opening sealed records (`keyring`).

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DatabaseBackend, DatabaseTransaction, DbErr,
    EntityTrait, QueryFilter, QueryResult, QuerySelect, Statement, sea_query::OnConflict,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use time::OffsetDateTime;

use super::{model_lists::SharedLists, provider_keys};
use crate::domain::{
    error::Error,
    names::{ModelName, ProviderName, Scope},
    workspace::{ByProvider, Holder, Platform, Selection, Workspace},
};
use crate::store::{
    db_error::{corrupt, standby},
    entities::holders,
    values::{bigint, count, json, scope_columns},
};

/// A selection in the column `selections`.
#[derive(Deserialize, Serialize)]
struct SelectionJson {
    model: String,
    revision: u64,
}

/// Reads a holder with its active keys. A holder without a row was never seen. `asks_standby`: also ask whether the
/// server is a standby, whose rows may be old.
pub(crate) async fn load(
    connection: &impl ConnectionTrait,
    asks_standby: bool,
    lists: &SharedLists,
    scope: &Scope,
) -> Result<Holder, Error> {
    let statement = select(connection.get_database_backend(), asks_standby, scope);
    read(&connection.query_all_raw(statement).await?, lists, scope)
}

/// One row for each active key; without keys, one row whose key columns are empty.
fn select(backend: DatabaseBackend, asks_standby: bool, scope: &Scope) -> Statement {
    let standby = match (backend, asks_standby) {
        (DatabaseBackend::Postgres, true) => "pg_is_in_recovery()",
        _ => "FALSE",
    };
    let sql = format!(
        "SELECT server.standby, \
         h.present, h.byo_enabled, h.revision, h.selections, h.generations, \
         k.key_id, k.provider, k.generation, k.sealed, k.base_url, k.headers, k.masked, k.verdict, \
         k.checked_at, k.verified_at, k.refused_count, k.refused_since, k.models_as_of, \
         k.set_by, k.on_behalf_of, k.set_at, l.hash, l.body \
         FROM (SELECT {standby} AS standby) AS server \
         LEFT JOIN holders AS h ON h.scope = $1 AND h.workspace_id = $2 \
         LEFT JOIN provider_keys AS k \
         ON k.scope = h.scope AND k.workspace_id = h.workspace_id AND k.state = 'active' \
         LEFT JOIN model_lists AS l ON l.hash = k.model_list_hash"
    );
    let values = [scope.kind().into(), scope.workspace_id().into()];
    Statement::from_sql_and_values(backend, sql, values)
}

fn read(rows: &[QueryResult], lists: &SharedLists, scope: &Scope) -> Result<Holder, Error> {
    let first = rows
        .first()
        .ok_or_else(|| Error::internal("a holder's statement without a row"))?;
    if first.try_get("", "standby")? {
        return Err(standby());
    }
    let Some(revision) = first.try_get("", "revision")? else {
        return Ok(match scope {
            Scope::Workspace(id) => Holder::Workspace(Workspace::unseen(id.clone())),
            Scope::Platform => Holder::Platform(Platform::default()),
        });
    };
    let has_keys = first.try_get::<Option<String>>("", "provider")?.is_some();
    let key_rows = if has_keys { rows } else { &[] };
    let mut keys = ByProvider::with_capacity(key_rows.len());
    let mut damaged = BTreeSet::new();
    for row in key_rows {
        let provider: String = row.try_get("", "provider")?;
        let provider = ProviderName::parse(&provider).map_err(corrupt)?;
        match provider_keys::read(row, lists) {
            Ok(key) => {
                keys.insert(provider, key);
            }
            Err(error) => {
                tracing::error!(scope = scope.kind(), %provider, ?error, "the row of a key is damaged");
                damaged.insert(provider);
            }
        }
    }
    let revision = count(revision)?;
    let generations = by_provider(first.try_get("", "generations")?, Ok)?;
    Ok(match scope {
        Scope::Platform => Holder::Platform(Platform {
            revision,
            keys,
            generations,
            damaged,
        }),
        Scope::Workspace(id) => Holder::Workspace(Workspace {
            id: id.clone(),
            exists: first.try_get("", "present")?,
            byo_enabled: first.try_get("", "byo_enabled")?,
            revision,
            keys,
            selections: by_provider(first.try_get("", "selections")?, selection)?,
            generations,
            damaged,
        }),
    })
}

fn selection(json: SelectionJson) -> Result<Selection, Error> {
    Ok(Selection {
        model: ModelName::parse(&json.model).map_err(corrupt)?,
        revision: json.revision,
    })
}

/// Reads a JSON object whose names are providers. The result has no spare capacity.
fn by_provider<J: DeserializeOwned, T>(
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

/// Locks the holder's row until the transaction ends; inserts it first if it is absent.
pub(crate) async fn lock(transaction: &DatabaseTransaction, scope: &Scope) -> Result<(), DbErr> {
    let (kind, workspace_id) = scope_columns(scope);
    let row = holders::ActiveModel {
        scope: Set(kind.clone()),
        workspace_id: Set(workspace_id.clone()),
        present: Set(false),
        byo_enabled: Set(false),
        revision: Set(0),
        selections: Set(Value::Object(Map::new())),
        generations: Set(Value::Object(Map::new())),
        updated_at: Set(OffsetDateTime::UNIX_EPOCH),
    };
    holders::Entity::insert(row)
        .on_conflict(OnConflict::new().do_nothing().to_owned())
        .exec_without_returning(transaction)
        .await?;
    holders::Entity::find_by_id((kind, workspace_id))
        .select_only()
        .column(holders::Column::Scope)
        .lock_exclusive()
        .into_tuple::<String>()
        .one(transaction)
        .await?;
    Ok(())
}

/// Writes everything about a holder except its keys.
pub(crate) async fn update(
    connection: &impl ConnectionTrait,
    scope: &Scope,
    holder: &Holder,
    now: OffsetDateTime,
) -> Result<(), Error> {
    let generations = holder
        .generations()
        .iter()
        .map(|(name, count)| (name.to_string(), Value::from(*count)));
    let mut row = holders::ActiveModel {
        present: Set(true),
        byo_enabled: Set(false),
        revision: Set(bigint(holder.revision())?),
        selections: Set(Value::Object(Map::new())),
        generations: Set(Value::Object(generations.collect())),
        updated_at: Set(now),
        ..Default::default()
    };
    if let Holder::Workspace(workspace) = holder {
        let selections = workspace.selections.iter().map(|(name, selection)| {
            let json = SelectionJson {
                model: selection.model.to_string(),
                revision: selection.revision,
            };
            Ok((name.to_string(), serde_json::to_value(json)?))
        });
        let selections: Result<_, serde_json::Error> = selections.collect();
        row.present = Set(workspace.exists);
        row.byo_enabled = Set(workspace.byo_enabled);
        row.selections = Set(Value::Object(selections.map_err(Error::internal)?));
    }
    holders::Entity::update_many()
        .set(row)
        .filter(holders::Column::Scope.eq(scope.kind()))
        .filter(holders::Column::WorkspaceId.eq(scope.workspace_id()))
        .exec(connection)
        .await?;
    Ok(())
}
