//! Workspaces as `SetKey` leaves them, written by the thousand.
//!
//! Each has one key of its own, sealed in its place under the data key of its bucket, BYO on, and the provider's model
//! list, which all share. What no call reads is left out: the change's own row in the change log and in the audit table.
//! References are not checked row by row, for they are right; statistics are taken as autovacuum would.

use std::{collections::BTreeMap, fmt::Write as _, sync::Arc};

use byokd::{
    app_state::AppState,
    domain::{
        envelope::{RecordContext, seal},
        models::ModelList,
        names::{ProviderName, Scope, WorkspaceId},
        secret::ApiKey,
        workspace::Binding,
    },
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{catalog::HOST, postgres::execute};

const TOGETHER: usize = 5_000;
/// As many as a provider lists.
const MODELS: usize = 120;

const HOLDERS: &str = "COPY holders (scope, workspace_id, present, byo_enabled, revision, selections, generations, \
                       updated_at) FROM STDIN";
const KEYS: &str = "COPY provider_keys (key_id, scope, workspace_id, provider, generation, state, sealed, bucket, \
                    data_key_version, base_url, headers, masked, verdict, checked_at, verified_at, refused_count, \
                    model_list_hash, models_as_of, set_by, on_behalf_of, set_at) FROM STDIN";

pub(crate) struct Seed {
    pub(crate) parts: Arc<AppState>,
    admin: PgConnection,
    provider: ProviderName,
    binding: Binding,
    /// Of the model list, in hexadecimal digits.
    hash: String,
    /// How many there are.
    count: usize,
}

/// The name of a workspace.
pub(crate) fn workspace(number: usize) -> String {
    format!("workspace-{number:07}")
}

impl Seed {
    pub(crate) async fn new(parts: Arc<AppState>, mut admin: PgConnection) -> Self {
        let others =
            (1..MODELS).map(|number| format!("model-of-the-provider-{number:03}-2030-01-01"));
        let list = ModelList::new(others.chain(["small-2030-01-01".to_owned()]));
        let hash = hex(&list.hash());
        let row = format!(
            "INSERT INTO model_lists (hash, body) VALUES ('\\x{hash}', '{}')",
            list.body()
        );
        execute(&mut admin, &row).await;
        execute(&mut admin, "SET session_replication_role = replica").await;
        let binding = Binding {
            base_url: HOST.to_owned(),
            headers: BTreeMap::new(),
        };
        let provider = ProviderName::parse("openai").unwrap();
        Self {
            parts,
            admin,
            provider,
            binding,
            hash,
            count: 0,
        }
    }

    /// Fills the database up to this many.
    pub(crate) async fn up_to(&mut self, count: usize) {
        while self.count < count {
            let end = count.min(self.count + TOGETHER);
            let (mut holders, mut keys) = (String::new(), String::new());
            for number in self.count..end {
                self.write(number, &mut holders, &mut keys).await;
            }
            for (copy, rows) in [(HOLDERS, holders), (KEYS, keys)] {
                let mut stream = self.admin.copy_in_raw(copy).await.unwrap();
                stream.send(rows.into_bytes()).await.unwrap();
                stream.finish().await.unwrap();
            }
            self.count = end;
        }
        execute(&mut self.admin, "VACUUM ANALYZE holders, provider_keys").await;
    }

    async fn write(&self, number: usize, holders: &mut String, keys: &mut String) {
        let id = workspace(number);
        let scope = Scope::Workspace(WorkspaceId::parse(&id).unwrap());
        let data_key = self.parts.keyring.active(&scope).await.unwrap();
        let text = format!("sk-proj-{}{number:012}", "SYNTHETIC-".repeat(14));
        let api_key = ApiKey::parse(text).unwrap();
        let key_id = Uuid::now_v7();
        let context = RecordContext {
            deployment: self.parts.store.deployment(),
            scope: &scope,
            provider: &self.provider,
            key_id,
            generation: 1,
            binding: &self.binding,
        };
        let sealed = hex(&seal(&data_key, &context, &api_key).unwrap());
        let (bucket, version) = (data_key.id.bucket, data_key.id.version);
        let (masked, hash) = (api_key.masked(), &self.hash);
        writeln!(
            holders,
            "workspace\t{id}\tt\tt\t1\t{{}}\t{{\"openai\": 1}}\tnow"
        )
        .unwrap();
        writeln!(
            keys,
            "{key_id}\tworkspace\t{id}\topenai\t1\tactive\t\\\\x{sealed}\t{bucket}\t{version}\t{HOST}\t{{}}\t{masked}\t\
             VALID\tnow\tnow\t0\t\\\\x{hash}\tnow\tservice:settings\t\tnow"
        )
        .unwrap();
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
            write!(text, "{byte:02x}").unwrap();
            text
        })
}
