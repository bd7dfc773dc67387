//! The faults of a catalog text.

use std::fmt;

/// The faults of a catalog, one line each.
#[derive(Debug)]
pub struct CatalogFaults(pub Vec<String>);

impl fmt::Display for CatalogFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for CatalogFaults {}

/// Collects faults, so that a load reports all of them at once.
pub(super) struct Faults(pub(super) Vec<String>);

impl Faults {
    pub(super) fn unless(&mut self, holds: bool, place: &str, fault: &str) {
        if !holds {
            self.0.push(format!("{place}: {fault}"));
        }
    }

    pub(super) fn name<T>(&mut self, place: &str, parsed: Result<T, &'static str>) -> Option<T> {
        parsed
            .map_err(|fault| self.0.push(format!("{place}: the name {fault}")))
            .ok()
    }
}
