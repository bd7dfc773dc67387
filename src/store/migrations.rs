//! The migrations of the schema.
//!
//! Invariants:
//! - A released migration is never edited.
//! - A migration expands the schema, so that a binary of an older level keeps working. It contracts the schema only when
//!   no binary needs the old form.
//! - `LEVEL` counts the migrations that this binary knows. The database records its own level and the oldest level that
//!   may still use it.
//!
//! Not here: migrating down.

mod m0001_initial;
mod m0002_rotation;
mod m0003_audit;

use sea_orm_migration::prelude::*;

/// The schema level that this binary knows.
pub(super) const LEVEL: i32 = 3;

/// The migrations, in order.
pub(super) struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_initial::Migration),
            Box::new(m0002_rotation::Migration),
            Box::new(m0003_audit::Migration),
        ]
    }
}
