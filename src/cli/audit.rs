//! `byokd audit`: who changed what, which service was handed which key, and whether the audit stream is whole.
//!
//! Pages are followed to the end.
//!
//! Absent: resolves and refused attempts. They are lines of the stream, which is read where it is written.

use clap::{Args, Subcommand};
use prost_types::Timestamp;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    argument,
    failure::Failure,
    output,
    pages::every_page,
    target::Target,
    verify::Verify,
    view::{Events, UsageRows},
};
use crate::{
    client::{Connection, answer},
    contract::v1,
    domain::caller::Role,
};

const PAGE_SIZE: u32 = 1000;

#[derive(Debug, Subcommand)]
pub(super) enum Audit {
    /// List who changed what of a workspace, and when
    List(OfWorkspace),
    /// List how often which service was handed which key of a workspace, by the hour
    Usage(OfWorkspace),
    /// Check files of the audit stream: is every line there, as it was written?
    Verify(Verify),
}

#[derive(Args, Debug)]
pub(super) struct OfWorkspace {
    /// The workspace
    #[arg(value_parser = argument::word)]
    workspace: String,
    #[command(flatten)]
    range: Range,
}

/// From when, and until before when.
#[derive(Args, Debug)]
pub(super) struct Range {
    /// Only from this time on, e.g. 2026-11-22T00:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time)]
    start: Option<OffsetDateTime>,
    /// Only before this time
    #[arg(long, value_name = "TIME", value_parser = time)]
    end: Option<OffsetDateTime>,
}

fn time(text: &str) -> Result<OffsetDateTime, &'static str> {
    OffsetDateTime::parse(text, &Rfc3339).map_err(|_| "is not a time like 2026-11-22T00:00:00Z")
}

impl Range {
    fn bounds(&self) -> (Option<Timestamp>, Option<Timestamp>) {
        let stamp = |at: OffsetDateTime| Timestamp {
            seconds: at.unix_timestamp(),
            nanos: i32::try_from(at.nanosecond()).unwrap_or(0),
        };
        (self.start.map(stamp), self.end.map(stamp))
    }
}

impl Audit {
    pub(super) async fn run(self, target: &Target) -> Result<(), Failure> {
        match self {
            Self::List(command) => list(command, target).await,
            Self::Usage(command) => usage(command, target).await,
            Self::Verify(command) => command.run(target).await,
        }
    }
}

async fn list(command: OfWorkspace, target: &Target) -> Result<(), Failure> {
    let connection = target.connect(Role::Admin, &command.workspace).await?;
    let (mut keys, mut shown) = (connection.keys(), Events::default());
    every_page(async |page_token| {
        let (start_time, end_time) = command.range.bounds();
        let workspace_id = command.workspace.clone();
        let page_size = PAGE_SIZE;
        let request = v1::ListAuditEventsRequest {
            workspace_id,
            start_time,
            end_time,
            page_size,
            page_token,
        };
        let page = answer(keys.list_audit_events(request)).await?;
        shown.extend(page.events);
        Ok(page.next_page_token)
    })
    .await?;
    output::answer(target.output, &shown)?;
    Ok(())
}

async fn usage(command: OfWorkspace, target: &Target) -> Result<(), Failure> {
    let connection = target.connect(Role::Viewer, &command.workspace).await?;
    let (mut keys, mut shown) = (connection.keys(), UsageRows::default());
    every_page(async |page_token| {
        let (start_time, end_time) = command.range.bounds();
        let workspace_id = command.workspace.clone();
        let page_size = PAGE_SIZE;
        let request = v1::ListKeyUsageRequest {
            workspace_id,
            start_time,
            end_time,
            page_size,
            page_token,
        };
        let page = answer(keys.list_key_usage(request)).await?;
        shown.extend(page.usage);
        Ok(page.next_page_token)
    })
    .await?;
    output::answer(target.output, &shown)?;
    Ok(())
}

/// `byokd platform audit`.
pub(super) async fn platform(
    range: Range,
    target: &Target,
    connection: &Connection,
) -> Result<(), Failure> {
    let (mut platform, mut shown) = (connection.platform(), Events::default());
    every_page(async |page_token| {
        let (start_time, end_time) = range.bounds();
        let page_size = PAGE_SIZE;
        let request = v1::ListPlatformAuditEventsRequest {
            start_time,
            end_time,
            page_size,
            page_token,
        };
        let page = answer(platform.list_platform_audit_events(request)).await?;
        shown.extend(page.events);
        Ok(page.next_page_token)
    })
    .await?;
    output::answer(target.output, &shown)?;
    Ok(())
}
