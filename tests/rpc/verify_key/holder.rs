//! A workspace's key or the platform's, verified and read in the same way.

use std::time::Duration;

use byokd::{
    contract::v1::{self, Badge, Verdict},
    domain::verdict::Condemnation,
    store::{OpenMode, Store, StoreSettings},
};
use tonic::Status;

use crate::support::{Byokd, openai_key};

/// The holder of the key; the rules are the same.
#[derive(Clone, Copy, Debug)]
pub(super) enum Whose {
    Workspace,
    Platform,
}

pub(super) const BOTH: [Whose; 2] = [Whose::Workspace, Whose::Platform];

impl Whose {
    /// A byokd where that key serves acme's calls.
    pub(super) async fn standing(self) -> Byokd {
        let byokd = Byokd::start().await;
        match self {
            Self::Workspace => {
                byokd.set_key("acme", "openai", &openai_key(1)).await;
                byokd.toggle("acme", true).await;
            }
            Self::Platform => byokd.set_platform_key("openai", &openai_key(1)).await,
        }
        byokd.provider.forget_requests();
        byokd
    }

    pub(super) async fn try_verify(
        self,
        byokd: &Byokd,
        model: &str,
    ) -> Result<(v1::Key, Verdict), Status> {
        let (provider, model) = ("openai".to_owned(), model.to_owned());
        match self {
            Self::Workspace => {
                let request = v1::VerifyKeyRequest {
                    workspace_id: "acme".into(),
                    provider,
                    model,
                };
                let answer = byokd.admin().verify_key(request).await?.into_inner();
                let verdict = answer.verdict();
                Ok((answer.key.unwrap(), verdict))
            }
            Self::Platform => {
                let request = v1::VerifyPlatformKeyRequest { provider, model };
                let answer = byokd
                    .operator()
                    .verify_platform_key(request)
                    .await?
                    .into_inner();
                let verdict = answer.verdict();
                Ok((answer.key.unwrap(), verdict))
            }
        }
    }

    /// Verifies, and returns the badge; the metrics count the same.
    pub(super) async fn badge(self, byokd: &Byokd) -> Badge {
        let badge = self.try_verify(byokd, "").await.unwrap().0.badge();
        let store = Store::open(
            &StoreSettings::at(&byokd.config.database.url),
            OpenMode::Maintain,
        )
        .await
        .unwrap();
        let counted = store.key_counts(&Condemnation::default()).await.unwrap();
        store.close().await;
        let counted: Vec<(String, String, u64)> = counted
            .into_iter()
            .map(|alike| {
                (
                    alike.source,
                    format!("BADGE_{}", alike.badge.as_str()),
                    alike.count,
                )
            })
            .collect();
        let source = format!("{self:?}").to_lowercase();
        assert_eq!(counted, [(source, badge.as_str_name().to_owned(), 1)]);
        badge
    }

    pub(super) async fn revision(self, byokd: &Byokd) -> u64 {
        match self {
            Self::Workspace => byokd.workspace("acme").await.revision,
            Self::Platform => {
                let request = v1::ListPlatformKeysRequest {};
                let listed = byokd.operator().list_platform_keys(request).await;
                listed.unwrap().into_inner().revision
            }
        }
    }
}

pub(super) fn minutes(byokd: &Byokd, count: u64) {
    byokd.pass(Duration::from_secs(60 * count));
}
