//! `byokd models`: the models that a workspace can use, or all models with the reason against each.
//!
//! Invariant: the providers are asked with the first page only. Asking again would cost a call for each page, and could
//! change the list between two pages.

use clap::Args;

use super::{
    argument,
    failure::Failure,
    global::GlobalArgs,
    pages::{PAGE_SIZE, every_page},
    view,
};
use crate::{client::answer, contract::v1, domain::caller::Role};

#[derive(Args, Debug)]
pub(super) struct ModelsArgs {
    /// The workspace
    #[arg(value_parser = argument::word)]
    workspace: String,
    /// Only this provider's models
    #[arg(long, default_value = "", hide_default_value = true, value_parser = argument::provider)]
    provider: String,
    /// Also the models that cannot be used, with the reason
    #[arg(long)]
    all: bool,
    /// Fetch the providers' lists first
    #[arg(long)]
    refresh: bool,
}

impl ModelsArgs {
    pub(super) async fn run(self, global: &GlobalArgs) -> Result<(), Failure> {
        let connection = global.connect(Role::Viewer, &self.workspace).await?;
        let mut all = v1::ListModelsResponse::default();
        every_page(async |page_token| {
            let request = v1::ListModelsRequest {
                workspace_id: self.workspace.clone(),
                provider: self.provider.clone(),
                include_unavailable: self.all,
                refresh: self.refresh && page_token.is_empty(),
                page_size: PAGE_SIZE,
                page_token,
            };
            let page = answer(connection.keys().list_models(request)).await?;
            all.models.extend(page.models);
            // The lists are as old as the oldest page.
            let oldest = all.as_of.into_iter().chain(page.as_of);
            all.as_of = oldest.min_by_key(|at| (at.seconds, at.nanos));
            Ok(page.next_page_token)
        })
        .await?;
        global.show_message(&all, text)?;
        if all.models.is_empty() && !self.all {
            global.note("no model can be used: `--all` lists them with the reasons");
        }
        Ok(())
    }
}

fn text(response: &v1::ListModelsResponse) -> String {
    let mut text = view::models(&response.models);
    if response.as_of.is_some() {
        let at = view::when(response.as_of);
        text.push_str(&format!("\nThe providers' lists are of {at}.\n"));
    }
    text
}
