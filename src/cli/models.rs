//! `byokd models`: the models that a workspace can use, or all with the reason why not.
//!
//! The providers are asked once, with the first page: asking again with each would
//! cost a test call a page and could change the list half way.
//!
//! Absent: paging for people; that is what a pager is for.

use std::fmt;

use clap::Args;
use serde::Serialize;
use time::OffsetDateTime;

use super::{
    argument,
    failure::Failure,
    output,
    pages::every_page,
    target::Target,
    view::{self, ModelView},
};
use crate::{client::answer, contract::v1, domain::caller::Role};

const PAGE_SIZE: u32 = 1000;

#[derive(Args, Debug)]
pub(super) struct Models {
    /// The workspace
    #[arg(value_parser = argument::word)]
    workspace: String,
    /// Only this provider's models
    #[arg(long, default_value = "", hide_default_value = true, value_parser = argument::provider)]
    provider: String,
    /// Also those that cannot be used, with the reason
    #[arg(long)]
    all: bool,
    /// Ask the providers for their lists first
    #[arg(long)]
    refresh: bool,
}

impl Models {
    pub(super) async fn run(self, target: &Target) -> Result<(), Failure> {
        let connection = target.connect(Role::Viewer, &self.workspace).await?;
        let mut keys = connection.keys();
        let mut shown = Listed {
            models: Vec::new(),
            as_of: None,
        };
        every_page(async |page_token| {
            let request = v1::ListModelsRequest {
                workspace_id: self.workspace.clone(),
                provider: self.provider.clone(),
                include_unavailable: self.all,
                // Once is enough.
                refresh: self.refresh && page_token.is_empty(),
                page_size: PAGE_SIZE,
                page_token,
            };
            let page = answer(keys.list_models(request)).await?;
            shown
                .models
                .extend(page.models.into_iter().map(ModelView::from));
            shown.as_of = view::older(shown.as_of, view::moment(page.as_of));
            Ok(page.next_page_token)
        })
        .await?;
        output::answer(target.output, &shown)?;
        if shown.models.is_empty() && !self.all {
            target.note("no model can be used: `--all` lists them with the reasons");
        }
        Ok(())
    }
}

#[derive(Serialize)]
struct Listed {
    models: Vec<ModelView>,
    #[serde(with = "time::serde::rfc3339::option")]
    as_of: Option<OffsetDateTime>,
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", view::Models(&self.models))?;
        match self.as_of {
            Some(at) => writeln!(f, "\nThe providers' lists are of {}.", view::when(Some(at))),
            None => Ok(()),
        }
    }
}
