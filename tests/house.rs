//! The house rules, checked by reading the sources. `deny.toml` has the rules for dependencies.

mod arrows;
mod files;
mod imports;
mod modules;
mod sources;
mod types;
mod words;
