//! `provider_keys`: the active keys with their sealed records, and the masked history of the others.
//!
//! Invariants: the sealed bytes of a key and the reference to its data key leave its row in the transaction that
//! ends the key.
//!
//! Not here: re-sealing (`sealed_records`).

use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DatabaseBackend, EntityTrait, QueryFilter,
    QueryResult, Statement,
};
use time::OffsetDateTime;

use super::model_lists::{self, SharedLists};
use crate::domain::{
    envelope::DataKeyId,
    error::Error,
    names::{OnBehalfOf, ProviderName, Scope},
    verdict::{Badge, Condemnation, Health, Verdict},
    workspace::{Binding, Listing, StoredKey},
};
use crate::store::{
    db_error::corrupt,
    entities::provider_keys::{ActiveModel, Column, Entity},
    values::{bigint, count, data_key_columns, json, optional_time, scope_columns, time},
};

/// Reads the active key in a row of `holders::load`.
pub(crate) fn read(row: &QueryResult, lists: &SharedLists) -> Result<StoredKey, Error> {
    let verdict: Option<String> = row.try_get("", "verdict")?;
    let verdict = verdict
        .map(|name| Verdict::parse(&name).ok_or_else(|| corrupt("an unknown verdict")))
        .transpose()?;
    let hash: Option<Vec<u8>> = row.try_get("", "hash")?;
    let body: Option<String> = row.try_get("", "body")?;
    let models = match (hash, body, optional_time(row, "models_as_of")?) {
        (Some(hash), Some(body), Some(as_of)) => Some(Listing {
            models: lists.get(&hash, &body),
            as_of,
        }),
        (None, None, _) => None,
        _ => return Err(corrupt("a model list without its date")),
    };
    let on_behalf_of: String = row.try_get("", "on_behalf_of")?;
    Ok(StoredKey {
        key_id: row.try_get("", "key_id")?,
        generation: count(row.try_get("", "generation")?)?,
        masked: row.try_get("", "masked")?,
        binding: Binding {
            base_url: row.try_get("", "base_url")?,
            headers: json(row.try_get("", "headers")?)?,
        },
        health: Health {
            verdict,
            checked_at: optional_time(row, "checked_at")?,
            verified_at: optional_time(row, "verified_at")?,
            refused_count: u32::try_from(row.try_get::<i32>("", "refused_count")?)
                .map_err(|_| corrupt("a negative count"))?,
            refused_since: optional_time(row, "refused_since")?,
        },
        models,
        set_by: row.try_get("", "set_by")?,
        on_behalf_of: OnBehalfOf::parse(&on_behalf_of).map_err(corrupt)?,
        set_at: time(row, "set_at")?,
        sealed: row.try_get::<Vec<u8>>("", "sealed")?.into(),
    })
}

/// Inserts an active key that is sealed under `data_key`.
pub(crate) async fn insert(
    connection: &impl ConnectionTrait,
    scope: &Scope,
    provider: &ProviderName,
    key: &StoredKey,
    data_key: DataKeyId,
) -> Result<(), Error> {
    let (kind, workspace_id) = scope_columns(scope);
    let (bucket, data_key_version) = data_key_columns(data_key);
    let row = ActiveModel {
        key_id: Set(key.key_id),
        scope: Set(kind),
        workspace_id: Set(workspace_id),
        provider: Set(provider.to_string()),
        generation: Set(bigint(key.generation)?),
        state: Set("active".to_owned()),
        sealed: Set(Some(key.sealed.to_vec())),
        bucket: Set(Some(bucket)),
        data_key_version: Set(Some(data_key_version)),
        base_url: Set(key.binding.base_url.clone()),
        headers: Set(serde_json::to_value(&key.binding.headers).map_err(Error::internal)?),
        masked: Set(key.masked.clone()),
        set_by: Set(key.set_by.clone()),
        on_behalf_of: Set(key.on_behalf_of.as_str().to_owned()),
        set_at: Set(key.set_at),
        ended_at: Set(None),
        ..check_columns(connection, key).await?
    };
    Entity::insert(row)
        .exec_without_returning(connection)
        .await?;
    Ok(())
}

/// Writes the result of the last key check.
pub(crate) async fn update_check(
    connection: &impl ConnectionTrait,
    scope: &Scope,
    key: &StoredKey,
) -> Result<(), Error> {
    Entity::update_many()
        .set(check_columns(connection, key).await?)
        .filter(Column::Scope.eq(scope.kind()))
        .filter(Column::WorkspaceId.eq(scope.workspace_id()))
        .filter(Column::KeyId.eq(key.key_id))
        .exec(connection)
        .await?;
    Ok(())
}

/// The columns that a key check changes. Writes the model list.
async fn check_columns(
    connection: &impl ConnectionTrait,
    key: &StoredKey,
) -> Result<ActiveModel, Error> {
    let hash = match &key.models {
        Some(listing) => Some(model_lists::insert(connection, &listing.models).await?),
        None => None,
    };
    let health = &key.health;
    Ok(ActiveModel {
        verdict: Set(health.verdict.map(|verdict| verdict.as_str().to_owned())),
        checked_at: Set(health.checked_at),
        verified_at: Set(health.verified_at),
        refused_count: Set(i32::try_from(health.refused_count).unwrap_or(i32::MAX)),
        refused_since: Set(health.refused_since),
        model_list_hash: Set(hash),
        models_as_of: Set(key.models.as_ref().map(|listing| listing.as_of)),
        ..Default::default()
    })
}

/// Ends the active key of a provider, if there is one. `state`: `superseded` or `deleted`.
pub(crate) async fn end_active(
    connection: &impl ConnectionTrait,
    scope: &Scope,
    provider: &ProviderName,
    state: &str,
    now: OffsetDateTime,
) -> Result<(), Error> {
    let ended = ActiveModel {
        state: Set(state.to_owned()),
        sealed: Set(None),
        bucket: Set(None),
        data_key_version: Set(None),
        model_list_hash: Set(None),
        ended_at: Set(Some(now)),
        ..Default::default()
    };
    Entity::update_many()
        .set(ended)
        .filter(Column::Scope.eq(scope.kind()))
        .filter(Column::WorkspaceId.eq(scope.workspace_id()))
        .filter(Column::Provider.eq(provider.as_str()))
        .filter(Column::State.eq("active"))
        .exec(connection)
        .await?;
    Ok(())
}

/// A number of active keys with the same owner kind, provider and badge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyCount {
    /// `workspace` or `platform`.
    pub source: String,
    /// The provider's name.
    pub provider: String,
    /// The badge on the settings page.
    pub badge: Badge,
    /// The number of keys.
    pub count: u64,
}

/// Counts the active keys by holder kind, provider and badge.
pub(crate) async fn count_by_badge(
    connection: &impl ConnectionTrait,
    condemnation: &Condemnation,
) -> Result<Vec<KeyCount>, Error> {
    let backend = connection.get_database_backend();
    let seconds = match backend {
        DatabaseBackend::Postgres => "EXTRACT(EPOCH FROM (checked_at - refused_since))::float8",
        _ => "(julianday(checked_at) - julianday(refused_since)) * 86400.0",
    };
    let sql = format!(
        "SELECT scope, provider, verdict, \
         COALESCE(refused_count >= $1 AND {seconds} >= $2, FALSE) AS condemned, COUNT(*) AS count \
         FROM provider_keys WHERE state = 'active' GROUP BY 1, 2, 3, 4"
    );
    let values = [
        condemnation.verdicts.max(1).into(),
        condemnation.over.as_seconds_f64().into(),
    ];
    let statement = Statement::from_sql_and_values(backend, sql, values);
    let rows = connection.query_all_raw(statement).await?;
    rows.iter().map(key_count).collect()
}

fn key_count(row: &QueryResult) -> Result<KeyCount, Error> {
    let verdict: Option<String> = row.try_get("", "verdict")?;
    Ok(KeyCount {
        source: row.try_get("", "scope")?,
        provider: row.try_get("", "provider")?,
        badge: Badge::of(
            verdict.as_deref().and_then(Verdict::parse),
            row.try_get("", "condemned")?,
        ),
        count: count(row.try_get("", "count")?)?,
    })
}
