//! The tables and the chart for `docs/performance.md`.

use std::fmt;

use crate::{
    chart::{Chart, Line},
    measure::Measured,
    page,
    steady::CACHE_AGE,
    steps::Step,
};

pub(crate) fn tables(measured: &Measured) -> String {
    let picture = "\n![What a call costs, against the number of workspaces](scale.svg)\n";
    goals(measured) + &steps(measured) + picture + &replicas(measured)
}

fn goals(measured: &Measured) -> String {
    let mut text = String::from("| what | goal | measured | met |\n|---|---|---|---|\n");
    let mut line = |what: String, goal: &str, met: bool, found: String| {
        text += &format!(
            "| {what} | {goal} | {found} | {} |\n",
            if met { "yes" } else { "no" }
        );
    };
    let (memory, cold, kms) = (&measured.memory, &measured.cold, &measured.kms);
    let each = (memory.after - memory.before) / measured.workspaces as f64;
    let count = thousands(measured.workspaces);
    line(
        format!("resident memory for each cached workspace, at {count}"),
        "≤ 500 bytes",
        each <= 500.0,
        format!("**{each:.0}** bytes"),
    );
    line(
        "the whole process then".to_owned(),
        "≤ 600 MB",
        memory.after <= 600e6,
        format!(
            "**{:.0}** MB ({:.0} MB before)",
            memory.after / 1e6,
            memory.before / 1e6
        ),
    );
    let listening = spread(measured.starts.iter().map(|start| start.listening));
    let processor = spread(measured.starts.iter().map(|start| start.processor));
    let ready = spread(measured.starts.iter().map(|start| start.ready));
    let from = format!("from exec to listening, {count} workspaces in the database");
    line(
        from,
        "≤ 300 ms",
        listening.1 <= 300.0,
        format!(
            "{}; {:.0} ms of processor time",
            said(listening, "ms"),
            processor.1
        ),
    );
    let to = "from exec to ready, 256 data keys on moto".to_owned();
    line(to, "≤ 3000 ms", ready.1 <= 3_000.0, said(ready, "ms"));
    line(
        format!("statements for each cold resolve, over {}", cold.calls),
        "1",
        cold.statements.reads as usize == cold.calls,
        format!(
            "**{:.3}**",
            cold.statements.reads as f64 / cold.calls as f64
        ),
    );
    line(
        "calls to the KMS for each".to_owned(),
        "0",
        cold.kms_calls == 0.0,
        format!("**{}**", cold.kms_calls),
    );
    line(
        format!(
            "calls to the KMS of {} replicas in {:.1} minutes",
            kms.replicas,
            kms.window.as_secs_f64() / 60.0
        ),
        &format!("≤ {:.0}", kms.goal()),
        kms.calls <= kms.goal(),
        format!("**{}**", kms.calls),
    );
    text += &format!(
        "\nThe other {} statements of the {:.1} s in which cold resolves were counted are the log's, which is looked at \
         twice a second. What calls to the KMS may be at the most is 2 × data keys × replicas / {} minutes.\n",
        cold.statements.others,
        cold.seconds,
        CACHE_AGE.as_secs() / 60,
    );
    text += &format!(
        "A workspace that is read from the database costs {:.0} µs of processor time.\n",
        memory.per_call
    );
    if measured.refused > 0.0 {
        text += &format!(
            "**The machine was busy with something else**: {:.2} % of all calls were refused.\n",
            measured.refused * 100.0
        );
    }
    text
}

fn steps(measured: &Measured) -> String {
    let mut text = format!(
        "\nCalls by Zipf's law (exponent 1); {} workspaces stay in memory:\n\n\
         | workspaces | found in memory | requests/s, at the most | µs of processor time | statements/s | \
         statements/s at 1,000 requests/s | p50 ms | p99 ms |\n|---|---|---|---|---|---|---|---|\n",
        thousands(measured.kept)
    );
    for step in &measured.steps {
        text += &format!(
            "| {} | {:.1} % | {:.0} | {:.1} | {:.0} | {:.0} | {:.2} | {:.2} |\n",
            thousands(step.workspaces),
            step.hits * 100.0,
            step.per_second,
            step.per_call,
            step.statements,
            step.statements_at_rate,
            step.p50,
            step.p99,
        );
    }
    text
}

fn replicas(measured: &Measured) -> String {
    let mut text = String::from(
        "\nReplicas on one database, each with empty memory at first, that share 60,000 such calls:\n\n\
         | replicas | calls to the KMS until ready | statements/s, not called | statements for each call |\n\
         |---|---|---|---|\n",
    );
    for replicas in &measured.replicas {
        let (count, kms_calls, idle) = (replicas.count, replicas.kms_calls, replicas.idle);
        text += &format!(
            "| {count} | {kms_calls} | {idle:.1} | {:.3} |\n",
            replicas.per_call
        );
    }
    text
}

/// Writes the page's own part and the picture.
pub(crate) fn write(measured: &Measured) {
    let how = format!("{} workspaces", thousands(measured.workspaces));
    page::write(
        "scale",
        &how,
        &tables(measured),
        ("scale.svg", &picture(&measured.steps)),
    );
}

/// What a call costs, against workspaces.
fn picture(steps: &[Step]) -> String {
    let line = |name: &str, colour, dashes, of: fn(&Step) -> f64| Line {
        name: name.to_owned(),
        colour,
        dashes,
        points: steps
            .iter()
            .map(|step| (step.workspaces as f64, of(step)))
            .collect(),
    };
    let lines = vec![
        line("p50 at 1,000 requests/s", "#0b6e4f", "none", |step| {
            step.p50
        }),
        line("p99 at 1,000 requests/s", "#0b6e4f", "5 4", |step| step.p99),
        line("processor time for each call", "#888888", "none", |step| {
            step.per_call / 1e3
        }),
    ];
    let marks = steps
        .iter()
        .map(|step| (step.workspaces as f64, thousands(step.workspaces)))
        .collect();
    Chart {
        right: "workspaces in the database",
        marks,
        powers: true,
        unit: "ms",
        lines,
    }
    .draw()
}

/// The least, the median and the most.
fn spread(figures: impl Iterator<Item = f64>) -> (f64, f64, f64) {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    (
        figures[0],
        figures[figures.len() / 2],
        figures[figures.len() - 1],
    )
}

fn said((least, median, most): (f64, f64, f64), unit: impl fmt::Display) -> String {
    format!("**{median:.0}** {unit} ({least:.0} to {most:.0})")
}

/// With commas.
fn thousands(count: usize) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
