//! A key where it does not belong: in every other field of every message, in the metadata, and in the command line.

mod changes;
mod outside;
mod platform;
mod reads;

use super::{captured::Captured, stage::Stage};

/// Sends both secrets in each place.
pub(super) async fn walk(stage: &Stage, captured: &mut Captured, keys: &[&str]) {
    for key in keys {
        changes::of_a_change(stage, captured, key).await;
        reads::of_a_question(stage, captured, key).await;
        platform::of_the_platform(stage, captured, key).await;
        outside::metadata(stage, captured, key).await;
        outside::command_line(stage, captured, key);
    }
}
