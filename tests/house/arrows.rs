//! Arrows between the files of `src`: a child should not use its parent, and no files should form a circle.
//!
//! The counts may only fall: lower a limit when you remove an arrow. At 0, the rule holds.

use std::collections::{BTreeMap, BTreeSet};

use super::modules::{Module, Path, modules};

/// Uses of a parent's items by a child.
const BACK_UP: usize = 33;
/// Arrows within circles of files.
const IN_CIRCLES: usize = 55;

/// Module → the modules that it uses, each with the name that it uses there.
type Arrows = BTreeMap<Path, BTreeMap<Path, String>>;

fn arrows(modules: &[Module]) -> Arrows {
    let by_path: BTreeMap<&Path, &Module> = modules
        .iter()
        .map(|module| (&module.path, module))
        .collect();
    let mut arrows = Arrows::new();
    for module in modules {
        let targets = arrows.entry(module.path.clone()).or_default();
        for name in &module.names {
            if let Some((target, item)) = resolve(&by_path, name, 0)
                && target != module.path
            {
                targets.insert(target, item);
            }
        }
    }
    arrows
}

/// The module that defines what an absolute path names, through re-exports.
fn resolve(
    modules: &BTreeMap<&Path, &Module>,
    path: &Path,
    depth: usize,
) -> Option<(Path, String)> {
    let length = (0..=path.len())
        .rev()
        .find(|length| modules.contains_key(&path[..*length].to_vec()))?;
    let module = modules[&path[..length].to_vec()];
    let Some(item) = path.get(length) else {
        // A module itself: an arrow to each thing that is used of it, which `names` has too.
        return None;
    };
    if !module.defines.contains(item)
        && depth < 8
        && let Some(imported) = module.imports.get(item)
    {
        let mut onward = imported.clone();
        onward.extend_from_slice(&path[length + 1..]);
        return resolve(modules, &onward, depth + 1);
    }
    Some((module.path.clone(), item.clone()))
}

#[test]
fn no_module_uses_what_its_parent_defines() {
    let mut offenders = Vec::new();
    for (from, targets) in arrows(&modules()) {
        for (to, item) in targets {
            if !to.is_empty() && from.len() > to.len() && from.starts_with(&to) {
                offenders.push(format!(
                    "{} uses {}::{item}",
                    from.join("::"),
                    to.join("::")
                ));
            }
        }
    }
    assert_at_most("arrows back up", BACK_UP, &offenders);
}

#[test]
fn no_files_form_a_circle() {
    let arrows = arrows(&modules());
    let reach: BTreeMap<&Path, BTreeSet<&Path>> = arrows
        .keys()
        .map(|from| (from, reachable(&arrows, from)))
        .collect();
    let mut offenders = Vec::new();
    for (from, targets) in &arrows {
        for (to, item) in targets {
            if reach.get(to).is_some_and(|onward| onward.contains(from)) {
                offenders.push(format!(
                    "{} uses {}::{item}",
                    from.join("::"),
                    to.join("::")
                ));
            }
        }
    }
    assert_at_most("arrows within circles", IN_CIRCLES, &offenders);
}

fn reachable<'a>(arrows: &'a Arrows, from: &Path) -> BTreeSet<&'a Path> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&Path> = arrows[from].keys().collect();
    while let Some(next) = open.pop() {
        if found.insert(next)
            && let Some(targets) = arrows.get(next)
        {
            open.extend(targets.keys());
        }
    }
    found
}

fn assert_at_most(rule: &str, limit: usize, offenders: &[String]) {
    assert!(
        offenders.len() <= limit,
        "{rule}: {} offenders, {limit} at most\n{}",
        offenders.len(),
        offenders.join("\n")
    );
}
