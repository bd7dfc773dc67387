//! The audit stream as an auditor reads it: whole lines, as JSON.

use std::{fs, path::Path};

use byokd::audit::{ChainKey, Report, Verifier};
use serde_json::Value;

use super::{Byokd, until};

/// The whole lines of a file; none if it is not there.
pub(crate) fn lines(file: &Path) -> Vec<Value> {
    let text = fs::read(file).unwrap_or_default();
    let text = String::from_utf8(text).unwrap();
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The lines of a running byokd, once they are as expected.
pub(crate) async fn lines_until(
    byokd: &Byokd,
    what: &str,
    expected: impl Fn(&[Value]) -> bool,
) -> Vec<Value> {
    let file = byokd.config.audit_file().unwrap();
    until(what, async || {
        Some(lines(&file)).filter(|lines| expected(lines))
    })
    .await
}

/// The verifier's report on these files, without a database.
pub(crate) fn verified(key: &Path, files: &[&Path]) -> Report {
    let key = ChainKey::open(key).unwrap();
    let mut verifier = Verifier::new(&key, Vec::new(), true);
    for file in files {
        verifier.read(file).unwrap();
    }
    verifier.report()
}
