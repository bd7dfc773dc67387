//! What a company deploys: many replicas over a PostgreSQL and a KMS key of theirs. These tests bring the store that they
//! are about with them, so they run once, whatever store the others run on.

mod chaos;
mod disk_full;
mod fleet;
mod freshness;
mod kills;
mod level_1;
mod no_file;
mod old_binaries;
mod outage;
mod postgres;
mod reseal;
mod revocation;
mod rewrap;
mod trace;
