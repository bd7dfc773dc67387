//! `byokd platform`: set, list, verify and delete the operator's own keys, and see who did.
//!
//! As `byokd key`, without a workspace: one key per provider, for workspaces whose BYO toggle is off.
//!
//! Absent: reading a key back. Not even an operator may.

use std::fmt;

use clap::{Args, Subcommand};
use secrecy::ExposeSecret as _;
use serde::Serialize;

use super::{
    argument,
    audit::{self, Range},
    change::{Change, NewKey},
    failure::Failure,
    output, secret_input,
    target::Target,
    view::{KeyList, KeyView, Verified},
};
use crate::domain::caller::Role;
use crate::{
    client::{Connection, answer},
    contract::v1,
};

#[derive(Debug, Subcommand)]
pub(super) enum Platform {
    /// Test a key with its provider and store it in place of the old one
    Set(Set),
    /// List the platform's keys, masked
    List,
    /// Test the stored key again
    Verify(Verify),
    /// Delete the key for one provider
    Delete(Delete),
    /// List who changed what of the platform's keys, and when
    Audit(Range),
}

#[derive(Args, Debug)]
pub(super) struct Set {
    /// The provider
    #[arg(value_parser = argument::provider)]
    provider: String,
    #[command(flatten)]
    new: NewKey,
}

#[derive(Args, Debug)]
pub(super) struct Verify {
    /// The provider
    #[arg(value_parser = argument::provider)]
    provider: String,
    /// The model to test with [default: the first that the key lists and the catalog sells]
    #[arg(long, default_value = "", hide_default_value = true, value_parser = argument::word)]
    model: String,
}

#[derive(Args, Debug)]
pub(super) struct Delete {
    /// The provider
    #[arg(value_parser = argument::provider)]
    provider: String,
    #[command(flatten)]
    change: Change,
}

impl Platform {
    pub(super) async fn run(self, target: &Target) -> Result<(), Failure> {
        let connection = target.connect(Role::Operator, "*").await?;
        match self {
            Self::Set(command) => command.run(target, &connection).await,
            Self::List => list(target, &connection).await,
            Self::Verify(command) => command.run(target, &connection).await,
            Self::Delete(command) => command.run(target, &connection).await,
            Self::Audit(range) => audit::platform(range, target, &connection).await,
        }
    }
}

impl Set {
    async fn run(self, target: &Target, connection: &Connection) -> Result<(), Failure> {
        let headers = self.new.headers()?;
        let api_key = secret_input::read(self.new.key_file.as_deref(), &self.provider)?;
        let request = v1::SetPlatformKeyRequest {
            provider: self.provider,
            api_key: api_key.expose_secret().to_owned(),
            base_url: self.new.base_url,
            headers,
            validate_only: self.new.validate_only,
            allow_unverified: self.new.allow_unverified,
            request_id: self.new.change.request_id,
            expected_revision: self.new.change.expected_revision,
            on_behalf_of: self.new.change.on_behalf_of,
        };
        let response = answer(connection.platform().set_platform_key(request)).await?;
        let shown = PlatformKeySet {
            key: response.key.map(KeyView::from),
            revision: response.revision,
        };
        output::answer(target.output, &shown)?;
        if self.new.validate_only {
            target.note("nothing was stored");
        }
        Ok(())
    }
}

async fn list(target: &Target, connection: &Connection) -> Result<(), Failure> {
    let request = v1::ListPlatformKeysRequest {};
    let response = answer(connection.platform().list_platform_keys(request)).await?;
    output::answer(
        target.output,
        &KeyList::new(response.keys, response.revision),
    )?;
    Ok(())
}

impl Verify {
    async fn run(self, target: &Target, connection: &Connection) -> Result<(), Failure> {
        let request = v1::VerifyPlatformKeyRequest {
            provider: self.provider,
            model: self.model,
        };
        let response = answer(connection.platform().verify_platform_key(request)).await?;
        let verdict = response.verdict();
        output::answer(target.output, &Verified::new(response.key, verdict))?;
        Ok(())
    }
}

impl Delete {
    async fn run(self, target: &Target, connection: &Connection) -> Result<(), Failure> {
        let request = v1::DeletePlatformKeyRequest {
            provider: self.provider,
            request_id: self.change.request_id,
            expected_revision: self.change.expected_revision,
            on_behalf_of: self.change.on_behalf_of,
        };
        let response = answer(connection.platform().delete_platform_key(request)).await?;
        let shown = PlatformKeyDeleted {
            deleted: response.deleted,
            revision: response.revision,
        };
        output::answer(target.output, &shown)?;
        Ok(())
    }
}

#[derive(Serialize)]
struct PlatformKeySet {
    key: Option<KeyView>,
    revision: u64,
}

impl fmt::Display for PlatformKeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.key.as_ref().map_or(Ok(()), |key| write!(f, "{key}"))
    }
}

#[derive(Serialize)]
struct PlatformKeyDeleted {
    deleted: bool,
    revision: u64,
}

impl fmt::Display for PlatformKeyDeleted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.deleted {
            "deleted\n"
        } else {
            "there was no key\n"
        })
    }
}
