//! `byokd audit`: who changed what, which service received which key, and whether the audit log is complete.
//!
//! Invariant: all pages are read.
//!
//! Not here: resolves and rejected attempts. They are lines of the audit stream only.

use clap::{Args, Subcommand};
use prost_types::Timestamp;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    argument,
    failure::Failure,
    global::GlobalArgs,
    pages::{PAGE_SIZE, every_page},
    verify::VerifyAuditArgs,
    view,
};
use crate::{client::answer, contract::v1, domain::caller::Role};

#[derive(Debug, Subcommand)]
pub(super) enum AuditCommand {
    /// List who changed what of a workspace, and when
    List(WorkspaceRangeArgs),
    /// List how often which service received which key of a workspace, by the hour
    Usage(WorkspaceRangeArgs),
    /// Check files of the audit stream: is every line there, as it was written?
    Verify(VerifyAuditArgs),
}

#[derive(Args, Debug)]
pub(super) struct WorkspaceRangeArgs {
    /// The workspace
    #[arg(value_parser = argument::word)]
    workspace: String,
    #[command(flatten)]
    range: TimeRange,
}

#[derive(Args, Debug)]
pub(super) struct TimeRange {
    /// Only from this time on, e.g. 2026-11-22T00:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(super) start: Option<Timestamp>,
    /// Only before this time
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(super) end: Option<Timestamp>,
}

fn time(text: &str) -> Result<Timestamp, &'static str> {
    let at = OffsetDateTime::parse(text, &Rfc3339)
        .map_err(|_| "is not a time like 2026-11-22T00:00:00Z")?;
    Ok(Timestamp {
        seconds: at.unix_timestamp(),
        nanos: i32::try_from(at.nanosecond()).unwrap_or(0),
    })
}

impl AuditCommand {
    pub(super) async fn run(self, global: &GlobalArgs) -> Result<(), Failure> {
        match self {
            Self::List(command) => list(command, global).await,
            Self::Usage(command) => usage(command, global).await,
            Self::Verify(command) => command.run(global).await,
        }
    }
}

async fn list(command: WorkspaceRangeArgs, global: &GlobalArgs) -> Result<(), Failure> {
    let connection = global.connect(Role::Admin, &command.workspace).await?;
    let mut all = v1::ListAuditEventsResponse::default();
    every_page(async |page_token| {
        let request = v1::ListAuditEventsRequest {
            workspace_id: command.workspace.clone(),
            start_time: command.range.start,
            end_time: command.range.end,
            page_size: PAGE_SIZE,
            page_token,
        };
        let page = answer(connection.keys().list_audit_events(request)).await?;
        all.events.extend(page.events);
        Ok(page.next_page_token)
    })
    .await?;
    global.show_message(&all, |all| view::audit_events(&all.events))
}

async fn usage(command: WorkspaceRangeArgs, global: &GlobalArgs) -> Result<(), Failure> {
    let connection = global.connect(Role::Viewer, &command.workspace).await?;
    let mut all = v1::ListKeyUsageResponse::default();
    every_page(async |page_token| {
        let request = v1::ListKeyUsageRequest {
            workspace_id: command.workspace.clone(),
            start_time: command.range.start,
            end_time: command.range.end,
            page_size: PAGE_SIZE,
            page_token,
        };
        let page = answer(connection.keys().list_key_usage(request)).await?;
        all.usage.extend(page.usage);
        Ok(page.next_page_token)
    })
    .await?;
    global.show_message(&all, |all| view::key_usage(&all.usage))
}
