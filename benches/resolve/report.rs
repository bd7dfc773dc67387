//! The tables for `docs/performance.md`.

use std::{fmt, fs, process::ExitCode};

use crate::{instructions::Counted, measure::Measured, page, picture, rounds::Spread};

/// By how much the instructions of a call may exceed what the page has.
const GROWTH: f64 = 1.02;
/// How far two bare servers may be apart for the run to say anything.
const NOISE: f64 = 0.03;
/// How the line of the instructions begins.
const INSTRUCTIONS: &str = "| user instructions for each call, against bare";

/// One line of the table.
fn line(what: &str, goal: &str, met: bool, measured: impl fmt::Display) -> String {
    format!(
        "| {what} | {goal} | {measured} | {} |\n",
        if met { "yes" } else { "no" }
    )
}

pub(crate) fn table(measured: &Measured) -> String {
    let at_least = |what, goal: f64, spread: Spread| {
        line(what, &format!("≥ {goal:.2}"), spread.median >= goal, spread)
    };
    let at_most = |what, goal: f64, spread: Spread| {
        line(what, &format!("≤ {goal:.2}"), spread.median <= goal, spread)
    };
    let counted = &measured.instructions;
    let mut text =
        String::from("| what | goal | median (least to most) | met |\n|---|---|---|---|\n");
    text += &at_least("requests/s against bare", 0.95, measured.plain[0]);
    text += &at_least("the same over mTLS", 0.90, measured.encrypted[0]);
    text += &line(
        INSTRUCTIONS.trim_start_matches("| "),
        "≤ 1.12",
        counted.ratio() <= 1.12,
        format!(
            "**{:.3}** ({:.0} against {:.0})",
            counted.ratio(),
            counted.byokd,
            counted.bare
        ),
    );
    text += &at_most(
        "p50 at half of bare's most, against bare",
        1.05,
        measured.moderate[0],
    );
    text += &at_most("p99 at the same load", 1.15, measured.moderate[1]);
    text += &at_least(
        "requests/s with audit `durable`, against `buffered`",
        0.60,
        measured.durable,
    );
    text += "\n| for comparison | median (least to most) |\n|---|---|\n";
    let also = |text: &mut String, what: &str, spread: Spread| {
        *text += &format!("| {what} | {spread} |\n")
    };
    also(
        &mut text,
        "the second bare server against the first: requests/s",
        measured.control,
    );
    also(
        &mut text,
        "the same: p50 at half load",
        measured.moderate_control[0],
    );
    also(
        &mut text,
        "the same: p99 at half load",
        measured.moderate_control[1],
    );
    let allocations = &measured.allocations;
    text += &format!(
        "| allocations for each call: byokd, bare | **{:.1}**, {:.1} |\n",
        allocations.byokd, allocations.bare
    );
    also(
        &mut text,
        "processor time for each call, against bare",
        measured.plain[1],
    );
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
    let how = format!("{} rounds", measured.rounds);
    let drawing = picture::latency(&measured.curves);
    page::write("resolve", &how, &table(measured), ("latency.svg", &drawing));
}

/// Whether a call costs no more instructions, against the bare server's, than the page says.
pub(crate) fn gate(counted: Counted) -> ExitCode {
    let text = fs::read_to_string(page::page()).unwrap();
    let line = text
        .lines()
        .find(|line| line.starts_with(INSTRUCTIONS))
        .expect("the instructions' line");
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
    format!(
        "user instructions for each call: byokd {byokd:.0}, bare {bare:.0}, ratio {:.3}",
        counted.ratio()
    )
}
