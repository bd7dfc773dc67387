//! `model_lists`: one row, and one copy in memory, for each distinct list of model ids.
//!
//! Invariants: keys share a list by its hash, because a provider lists the same hundreds of ids for every key. A copy
//! in memory lives as long as a loaded key refers to it.
//!
//! Not here: the form of a list (`domain::models`).

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use parking_lot::Mutex;
use sea_orm::{
    ActiveValue::Set,
    ConnectionTrait, DeleteMany, EntityTrait, QueryFilter, QuerySelect,
    sea_query::{Expr, LockType, OnConflict},
};

use crate::domain::{error::Error, models::ModelList};
use crate::store::entities::model_lists::{ActiveModel, Entity};

/// The lists that loaded keys refer to, by hash.
#[derive(Debug, Default)]
pub(crate) struct SharedLists(Mutex<HashMap<Vec<u8>, Weak<ModelList>>>);

impl SharedLists {
    /// Returns the shared list of this hash; parses its body if no loaded key refers to it.
    pub(crate) fn get(&self, hash: &[u8], body: &str) -> Arc<ModelList> {
        let mut lists = self.0.lock();
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

/// Inserts a list unless it is there, and locks it against `purge` until the transaction ends. Returns its hash.
pub(crate) async fn insert(
    transaction: &impl ConnectionTrait,
    list: &ModelList,
) -> Result<Vec<u8>, Error> {
    let hash = list.hash();
    for _ in 0..3 {
        let row = ActiveModel {
            hash: Set(hash.clone()),
            body: Set(list.body()),
        };
        Entity::insert(row)
            .on_conflict(OnConflict::new().do_nothing().to_owned())
            .exec_without_returning(transaction)
            .await?;
        let locked = Entity::find_by_id(hash.clone())
            .lock(LockType::KeyShare)
            .one(transaction)
            .await?;
        if locked.is_some() {
            return Ok(hash);
        }
        // A purge deleted the list between the two statements.
    }
    Err(Error::internal("a model list vanished three times"))
}

/// Deletes the lists that no key refers to.
pub(crate) fn purge() -> DeleteMany<Entity> {
    Entity::delete_many().filter(Expr::cust(
        "hash NOT IN (SELECT model_list_hash FROM provider_keys WHERE model_list_hash IS NOT NULL)",
    ))
}
