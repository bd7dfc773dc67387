//! What was measured, as the page `docs/performance.md` has it.
//!
//! The page is written by people but for what stands between two marks, which is this program's.

use std::{fmt, fs, path::PathBuf, process::Command, process::ExitCode};

use crate::{instructions::Counted, measure::Measured, picture, rounds::Spread};

const BEGIN: &str = "<!-- measured by `cargo bench --bench resolve` -->\n";
const END: &str = "<!-- end of what was measured -->\n";
/// By how much the instructions of a call may exceed what the page has.
const GROWTH: f64 = 1.02;
/// How far two bare servers may be apart for the run to say anything.
const NOISE: f64 = 0.03;
/// How the line of the instructions begins.
const INSTRUCTIONS: &str = "| user instructions for each call, against bare";

fn page() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "docs", "performance.md"].iter().collect()
}

/// One line of the table.
fn line(what: &str, goal: &str, met: bool, measured: impl fmt::Display) -> String {
    format!("| {what} | {goal} | {measured} | {} |\n", if met { "yes" } else { "no" })
}

pub(crate) fn table(measured: &Measured) -> String {
    let at_least =
        |what, goal: f64, spread: Spread| line(what, &format!("≥ {goal:.2}"), spread.median >= goal, spread);
    let at_most =
        |what, goal: f64, spread: Spread| line(what, &format!("≤ {goal:.2}"), spread.median <= goal, spread);
    let counted = &measured.instructions;
    let mut text = String::from("| what | goal | median (least to most) | met |\n|---|---|---|---|\n");
    text += &at_least("requests/s against bare", 0.95, measured.plain[0]);
    text += &at_least("the same over mTLS", 0.90, measured.encrypted[0]);
    text += &line(
        INSTRUCTIONS.trim_start_matches("| "),
        "≤ 1.12",
        counted.ratio() <= 1.12,
        format!("**{:.3}** ({:.0} to {:.0})", counted.ratio(), counted.byokd, counted.bare),
    );
    text += &at_most("p50 at half of bare's most, against bare", 1.05, measured.moderate[0]);
    text += &at_most("p99 at the same load", 1.15, measured.moderate[1]);
    text += &at_least("requests/s with audit `durable`, against `buffered`", 0.60, measured.durable);
    text += "\n| for comparison | median (least to most) |\n|---|---|\n";
    let also = |text: &mut String, what: &str, spread: Spread| *text += &format!("| {what} | {spread} |\n");
    also(&mut text, "the second bare server against the first: requests/s", measured.control);
    also(&mut text, "the same: p50 at half load", measured.moderate_control[0]);
    also(&mut text, "the same: p99 at half load", measured.moderate_control[1]);
    let allocations = &measured.allocations;
    text += &format!(
        "| allocations for each call: byokd, bare | **{:.1}**, {:.1} |\n",
        allocations.byokd, allocations.bare
    );
    also(&mut text, "processor time for each call, against bare", measured.plain[1]);
    also(&mut text, "the same over mTLS", measured.encrypted[1]);
    let absolute =
        |[rate, each]: [Spread; 2]| format!("{:.0} requests/s, {:.1} µs", rate.median, each.median);
    text += &format!(
        "\nOn one processor of this machine: bare {}; byokd {} of processor time for each call.\n",
        absolute(measured.bare),
        absolute(measured.byokd)
    );
    if (measured.control.median - 1.0).abs() > NOISE {
        text += "\n**The machine was too noisy to conclude**: two bare servers differ by more than 3 %.\n";
    }
    text
}

/// Writes the page's own part and the picture.
pub(crate) fn write(measured: &Measured) {
    let mut text = fs::read_to_string(page()).unwrap();
    let begin = text.find(BEGIN).expect("the mark in docs/performance.md") + BEGIN.len();
    let end = text.find(END).expect("the other mark in docs/performance.md");
    let stamp = format!(
        "\nCommit `{}`, {} rounds, {}.\n\n",
        said("git", &["describe", "--always", "--dirty", "--abbrev=10"]),
        measured.rounds,
        said("sh", &["-c", "sed -n 's/^model name.*: //p' /proc/cpuinfo | head -1; nproc; rustc --version"])
            .replacen('\n', " × ", 1)
            .replace('\n', ", "),
    );
    text.replace_range(begin..end, &format!("{stamp}{}\n", table(measured)));
    fs::write(page(), text).unwrap();
    let picture = page().with_file_name("latency.svg");
    fs::write(&picture, picture::latency(&measured.curves)).unwrap();
    println!("written: {} and {}", page().display(), picture.display());
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Whether a call costs no more instructions, against the bare server's, than the page says.
pub(crate) fn gate(counted: Counted) -> ExitCode {
    let text = fs::read_to_string(page()).unwrap();
    let line = text.lines().find(|line| line.starts_with(INSTRUCTIONS)).expect("the instructions' line");
    let committed: f64 = line.split("**").nth(1).unwrap().parse().unwrap();
    if counted.ratio() <= committed * GROWTH {
        println!("docs/performance.md says {committed:.3}: passed");
        return ExitCode::SUCCESS;
    }
    println!("docs/performance.md says {committed:.3}: a call has become dearer by more than 2 %");
    ExitCode::FAILURE
}

/// What was counted, as a line.
pub(crate) fn instructions(counted: Counted) -> String {
    let Counted { bare, byokd } = counted;
    format!("user instructions for each call: byokd {byokd:.0}, bare {bare:.0}, ratio {:.3}", counted.ratio())
}
