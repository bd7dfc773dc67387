//! A key where it does not belong: in every other field of every message, in the metadata, and in the command line.

mod changes;
mod outside;
mod platform;
mod reads;

use super::{captured::Told, stage::Stage};

/// Sends both secrets in each place.
pub(super) async fn walk(stage: &Stage, told: &mut Told, keys: &[&str]) {
    for key in keys {
        changes::of_a_change(stage, told, key).await;
        reads::of_a_question(stage, told, key).await;
        platform::of_the_platform(stage, told, key).await;
        outside::metadata(stage, told, key).await;
        outside::command_line(stage, told, key);
    }
}
