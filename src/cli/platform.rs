//! `byokd platform`: set, list, verify and delete the operator's own keys, and list their changes.
//!
//! The platform has one key per provider, for workspaces whose BYO toggle is off.
//!
//! Not here: reading a key back. Not even an operator can.

use clap::{Args, Subcommand};
use secrecy::ExposeSecret as _;

use super::{
    argument,
    audit::TimeRange,
    change::{ChangeArgs, NewKeyArgs},
    failure::Failure,
    global::GlobalArgs,
    pages::{PAGE_SIZE, every_page},
    secret_input, view,
};
use crate::{
    client::{Connection, answer},
    contract::v1,
    domain::caller::Role,
};

#[derive(Debug, Subcommand)]
pub(super) enum PlatformCommand {
    /// Test a key with its provider and store it in place of the old one
    Set(SetPlatformKeyArgs),
    /// List the platform's keys, masked
    List,
    /// Test the stored key again
    Verify(VerifyPlatformKeyArgs),
    /// Delete the key for one provider
    Delete(DeletePlatformKeyArgs),
    /// List who changed what of the platform's keys, and when
    Audit(TimeRange),
}

#[derive(Args, Debug)]
pub(super) struct SetPlatformKeyArgs {
    /// The provider
    #[arg(value_parser = argument::provider)]
    provider: String,
    #[command(flatten)]
    new: NewKeyArgs,
}

#[derive(Args, Debug)]
pub(super) struct VerifyPlatformKeyArgs {
    /// The provider
    #[arg(value_parser = argument::provider)]
    provider: String,
    /// The model to test with [default: the first that the key lists and the catalog sells]
    #[arg(long, default_value = "", hide_default_value = true, value_parser = argument::word)]
    model: String,
}

#[derive(Args, Debug)]
pub(super) struct DeletePlatformKeyArgs {
    /// The provider
    #[arg(value_parser = argument::provider)]
    provider: String,
    #[command(flatten)]
    change: ChangeArgs,
}

impl PlatformCommand {
    pub(super) async fn run(self, global: &GlobalArgs) -> Result<(), Failure> {
        let connection = global.connect(Role::Operator, "*").await?;
        match self {
            Self::Set(command) => command.run(global, &connection).await,
            Self::List => list(global, &connection).await,
            Self::Verify(command) => command.run(global, &connection).await,
            Self::Delete(command) => command.run(global, &connection).await,
            Self::Audit(range) => audit(range, global, &connection).await,
        }
    }
}

impl SetPlatformKeyArgs {
    async fn run(self, global: &GlobalArgs, connection: &Connection) -> Result<(), Failure> {
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
        global.show_message(&response, |response| {
            response.key.as_ref().map(view::key).unwrap_or_default()
        })?;
        if self.new.validate_only {
            global.note("nothing was stored");
        }
        Ok(())
    }
}

async fn list(global: &GlobalArgs, connection: &Connection) -> Result<(), Failure> {
    let request = v1::ListPlatformKeysRequest {};
    let response = answer(connection.platform().list_platform_keys(request)).await?;
    global.show_message(&response, |response| view::keys(&response.keys))
}

impl VerifyPlatformKeyArgs {
    async fn run(self, global: &GlobalArgs, connection: &Connection) -> Result<(), Failure> {
        let request = v1::VerifyPlatformKeyRequest {
            provider: self.provider,
            model: self.model,
        };
        let response = answer(connection.platform().verify_platform_key(request)).await?;
        global.show_message(&response, |response| {
            view::verification(response.verdict(), response.key.as_ref())
        })
    }
}

impl DeletePlatformKeyArgs {
    async fn run(self, global: &GlobalArgs, connection: &Connection) -> Result<(), Failure> {
        let request = v1::DeletePlatformKeyRequest {
            provider: self.provider,
            request_id: self.change.request_id,
            expected_revision: self.change.expected_revision,
            on_behalf_of: self.change.on_behalf_of,
        };
        let response = answer(connection.platform().delete_platform_key(request)).await?;
        global.show_message(&response, |response| view::deletion(response.deleted))
    }
}

async fn audit(
    range: TimeRange,
    global: &GlobalArgs,
    connection: &Connection,
) -> Result<(), Failure> {
    let mut all = v1::ListPlatformAuditEventsResponse::default();
    every_page(async |page_token| {
        let request = v1::ListPlatformAuditEventsRequest {
            start_time: range.start,
            end_time: range.end,
            page_size: PAGE_SIZE,
            page_token,
        };
        let page = answer(connection.platform().list_platform_audit_events(request)).await?;
        all.events.extend(page.events);
        Ok(page.next_page_token)
    })
    .await?;
    global.show_message(&all, |all| view::audit_events(&all.events))
}
