//! The schema's history. Expand and contract only: a binary that is one step older keeps working on a newer schema.
//!
//! Invariants: a migration is never edited once it has been released. `LEVEL` counts the migrations that this binary
//! knows; the database records its own level and the oldest level that may still use it.
//!
//! Absent: going down. A schema is only ever expanded, and contracted when no binary needs the old form.

mod m0001_initial;
mod m0002_rotation;
mod m0003_audit;

use sea_orm_migration::prelude::*;

/// The schema level that this binary knows.
pub(super) const LEVEL: i32 = 3;

/// All migrations, in order.
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
