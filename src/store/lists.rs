//! Model lists: one row, and one copy in memory, for each distinct list.
//!
//! Invariant: a list is shared by its hash, since a provider answers the same hundreds of ids to every key; nobody
//! holds one that no loaded key refers to.
//!
//! Absent: what is in a list (`domain::models`).

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use sea_orm::{
    ActiveValue::Set,
    ConnectionTrait, EntityTrait, QueryFilter, QuerySelect,
    sea_query::{Expr, ExprTrait, LockType, OnConflict, Query},
};

use super::{
    Store,
    entities::{model_lists, provider_keys},
    fault::unavailable,
};
use crate::domain::{error::Error, models::ModelList};

/// The lists that loaded keys refer to.
#[derive(Debug, Default)]
pub(super) struct SharedLists(Mutex<HashMap<Vec<u8>, Weak<ModelList>>>);

impl SharedLists {
    /// The list of this hash; it is read from its body if nobody holds it.
    pub(super) fn get(&self, hash: &[u8], body: &str) -> Arc<ModelList> {
        // No code panics while it holds the lock, so a poisoned one still holds good lists.
        let mut lists = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(list) = lists.get(hash).and_then(Weak::upgrade) {
            return list;
        }
        if lists.len() == lists.capacity() {
            lists.retain(|_, list| list.strong_count() > 0);
        }
        let list = Arc::new(ModelList::from_body(body));
        lists.insert(hash.to_vec(), Arc::downgrade(&list));
        list
    }
}

/// Writes a list, once; answers its hash. It stays until the transaction ends, whoever tidies up meanwhile.
pub(super) async fn write(
    transaction: &impl ConnectionTrait,
    list: &ModelList,
) -> Result<Vec<u8>, Error> {
    let hash = list.hash();
    for _ in 0..3 {
        let row = model_lists::ActiveModel {
            hash: Set(hash.clone()),
            body: Set(list.body()),
        };
        model_lists::Entity::insert(row)
            .on_conflict(OnConflict::new().do_nothing().to_owned())
            .exec_without_returning(transaction)
            .await
            .map_err(unavailable)?;
        let there = model_lists::Entity::find_by_id(hash.clone())
            .lock(LockType::KeyShare)
            .one(transaction);
        if there.await.map_err(unavailable)?.is_some() {
            return Ok(hash);
        }
        // It was there, unused, and was tidied away between the two statements.
    }
    Err(Error::internal("a model list vanished three times"))
}

impl Store {
    /// Deletes the lists that no key refers to any more.
    pub async fn purge_lists(&self) -> Result<u64, Error> {
        let referred = Query::select()
            .column(provider_keys::Column::ModelListHash)
            .from(provider_keys::Entity)
            .and_where(Expr::col(provider_keys::Column::ModelListHash).is_not_null())
            .to_owned();
        self.purge(
            model_lists::Entity::delete_many()
                .filter(Expr::col(model_lists::Column::Hash).not_in_subquery(referred)),
        )
        .await
    }
}
