//! The house rules, checked by reading the sources. `deny.toml` has the rules for dependencies.

mod files;
mod imports;
mod sources;
