//! Expand and contract: the reads and writes of a binary of the first schema level still work on the newest
//! schema.

mod level_1;

use byokd::store::{Store, StoreSettings};
use sea_orm::{
    ActiveModelTrait as _, ActiveValue::NotSet, ActiveValue::Set, EntityTrait as _,
    IntoActiveModel as _,
};
use serde_json::json;
use time::{OffsetDateTime, macros::datetime};
use uuid::Uuid;

use crate::support::{postgres, store};
use level_1::{
    audit_events, change_log, data_keys, deployment, holders, model_lists, provider_keys,
    request_results,
};

const NOW: OffsetDateTime = datetime!(2030-06-15 12:00 UTC);

fn key(key_id: Uuid) -> provider_keys::Model {
    provider_keys::Model {
        key_id,
        scope: "workspace".to_owned(),
        workspace_id: "acme".to_owned(),
        provider: "openai".to_owned(),
        generation: 1,
        state: "active".to_owned(),
        sealed: Some(vec![1, 2, 3]),
        bucket: Some(7),
        data_key_version: Some(1),
        base_url: "https://api.openai.com/v1".to_owned(),
        headers: json!({}),
        masked: "…wxyz".to_owned(),
        verdict: Some("VALID".to_owned()),
        checked_at: Some(NOW),
        verified_at: Some(NOW),
        refused_count: 0,
        refused_since: None,
        model_list_hash: Some(vec![9]),
        models_as_of: Some(NOW),
        set_by: "tests".to_owned(),
        on_behalf_of: String::new(),
        set_at: NOW,
        ended_at: None,
    }
}

#[tokio::test]
#[ignore = "needs services: ./tests/run services"]
async fn the_first_migrations_entities_work_on_the_newest_schema() {
    let folder = tempfile::tempdir().unwrap();
    let sqlite = format!("sqlite:{}", folder.path().join("byokd.db").display());
    for url in [sqlite, postgres::shared().await] {
        let status = Store::migrate(&StoreSettings::at(&url)).await.unwrap();
        assert!(
            status.level > 1 && status.oldest_binary_level == 1,
            "{status:?}"
        );
        as_the_first_byokd(&store::connect(&url).await).await;
    }
}

/// Every table: written, read, changed.
async fn as_the_first_byokd(database: &sea_orm::DatabaseConnection) {
    assert!(
        deployment::Entity::find_by_id(1)
            .one(database)
            .await
            .unwrap()
            .is_some()
    );
    let data_key = data_keys::Model {
        bucket: 7,
        version: 1,
        wrapped: vec![1],
        kms_key_arn: "local:x".to_owned(),
        state: "active".to_owned(),
        created_at: NOW,
    };
    data_keys::Entity::insert(data_key.into_active_model())
        .exec(database)
        .await
        .unwrap();
    let holder = holders::Model {
        scope: "workspace".to_owned(),
        workspace_id: "acme".to_owned(),
        present: true,
        byo_enabled: true,
        revision: 1,
        selections: json!({}),
        generations: json!({"openai": 1}),
        updated_at: NOW,
    };
    holders::Entity::insert(holder.into_active_model())
        .exec(database)
        .await
        .unwrap();
    let list = model_lists::Model {
        hash: vec![9],
        body: "small-2030".to_owned(),
    };
    model_lists::Entity::insert(list.into_active_model())
        .exec(database)
        .await
        .unwrap();
    let key_id = Uuid::now_v7();
    provider_keys::Entity::insert(key(key_id).into_active_model())
        .exec(database)
        .await
        .unwrap();
    let logged = change_log::ActiveModel {
        sequence: NotSet,
        change_id: Set(Uuid::new_v4()),
        scope: Set("workspace".to_owned()),
        workspace_id: Set("acme".to_owned()),
        revision: Set(1),
        at: Set(NOW),
    };
    change_log::Entity::insert(logged)
        .exec(database)
        .await
        .unwrap();
    let event = audit_events::Model {
        event_id: Uuid::now_v7(),
        scope: "workspace".to_owned(),
        workspace_id: "acme".to_owned(),
        at: NOW,
        actor: "tests".to_owned(),
        on_behalf_of: String::new(),
        action: "SetKey".to_owned(),
        provider: Some("openai".to_owned()),
        before: json!({}),
        after: json!({}),
        verdict: None,
        request_id: None,
        revision: 1,
    };
    audit_events::Entity::insert(event.into_active_model())
        .exec(database)
        .await
        .unwrap();
    let result = request_results::Model {
        scope: "workspace".to_owned(),
        workspace_id: "acme".to_owned(),
        rpc: "SetKey".to_owned(),
        request_id: "one".to_owned(),
        bucket: 7,
        data_key_version: 1,
        fingerprint: vec![1],
        result: json!({}),
        expires_at: NOW,
    };
    request_results::Entity::insert(result.into_active_model())
        .exec(database)
        .await
        .unwrap();

    assert_eq!(
        provider_keys::Entity::find()
            .all(database)
            .await
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        data_keys::Entity::find().all(database).await.unwrap().len(),
        1
    );
    assert_eq!(
        change_log::Entity::find()
            .all(database)
            .await
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        audit_events::Entity::find()
            .all(database)
            .await
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        request_results::Entity::find()
            .all(database)
            .await
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        model_lists::Entity::find()
            .all(database)
            .await
            .unwrap()
            .len(),
        1
    );
    let mut ended = provider_keys::Entity::find_by_id(key_id)
        .one(database)
        .await
        .unwrap()
        .unwrap()
        .into_active_model();
    ended.state = Set("superseded".to_owned());
    ended.sealed = Set(None);
    ended.update(database).await.unwrap();
    let mut toggled = holders::Entity::find()
        .one(database)
        .await
        .unwrap()
        .unwrap()
        .into_active_model();
    toggled.byo_enabled = Set(false);
    assert!(!toggled.update(database).await.unwrap().byo_enabled);
}
