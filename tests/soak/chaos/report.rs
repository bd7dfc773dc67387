//! The figures of the run, as text, and as the page in `docs/`.

use std::{collections::BTreeMap, fmt::Write as _, fs, process::Command, time::Duration};

use super::{
    Ran,
    expected::{Call, Fault, Seen},
    record::{Figures, Recorder},
};

/// One cell: the statuses, their numbers, the latencies.
struct Line {
    seen: BTreeMap<Seen, usize>,
    calls: usize,
    p50: Duration,
    p99: Duration,
    max: Duration,
}

fn line(recorder: &Recorder, fault: Fault, call: Call, struck: bool) -> Option<Line> {
    recorder.cell(fault, call, struck, |stats| {
        stats.took.sort_unstable();
        let calls = stats.took.len();
        let at = |percent: usize| stats.took[(calls * percent / 100).min(calls - 1)];
        Line {
            seen: stats.seen.clone(),
            calls,
            p50: at(50),
            p99: at(99),
            max: at(100),
        }
    })
}

fn statuses(line: &Line) -> String {
    let one = |(seen, count): (&Seen, &usize)| match line.seen.len() {
        1 => seen.word().to_owned(),
        _ => format!("{} ({count})", seen.word()),
    };
    line.seen.iter().map(one).collect::<Vec<_>>().join("; ")
}

fn ms(time: Duration) -> String {
    if time < Duration::from_millis(10) {
        format!("{:.1}", time.as_secs_f64() * 1000.0)
    } else {
        time.as_millis().to_string()
    }
}

/// All cells, one line each.
pub(super) fn text(recorder: &Recorder, ran: &[Ran]) -> String {
    let mut text = String::new();
    let none = (Fault::None, Duration::ZERO, Duration::ZERO);
    let all = ran.iter().map(|ran| (ran.fault, ran.felt, ran.healed));
    for (fault, felt, healed) in std::iter::once(none).chain(all) {
        let _ = writeln!(
            text,
            "{}: felt by all after {felt:.1?}, all well {healed:.1?} after",
            fault.name()
        );
        for struck in [false, true] {
            for call in Call::ALL {
                let Some(line) = line(recorder, fault, call, struck) else {
                    continue;
                };
                let whom = if struck { " (struck)" } else { "" };
                let _ = writeln!(
                    text,
                    "  {:<30}{:>6} calls  p50 {:>6}  p99 {:>6}  max {:>6} ms  {}",
                    format!("{}{whom}", call.name()),
                    line.calls,
                    ms(line.p50),
                    ms(line.p99),
                    ms(line.max),
                    statuses(&line)
                );
            }
        }
    }
    let inner = recorder.inner();
    let _ = writeln!(text, "left out: {:#?}\n{:#?}", inner.starved, inner.figures);
    drop(inner);
    text
}

const HEAD: &str = "\
# Reliability, as measured

Three processes of byokd over one PostgreSQL and one KMS key (AWS KMS's API, by moto) serve a steady load while one thing
after the other fails. Every answer is judged as it comes: its status by a table of what each call must answer in each
fault, its content by the acknowledgements before.

```sh
tests/services.sh cargo test --test byokd soak::chaos -- --ignored --nocapture          # a few minutes
BYOKD_TESTS_LONG=1 BYOKD_TESTS_WRITE_DOCS=1 tests/services.sh cargo test --test byokd soak::chaos -- --ignored
```

The second command writes this page.
";

const TAIL: &str = "
## Not covered

A network that loses single packets; two faults at once, but for a replica that starts while the KMS is away; a KMS key
that is deleted; a failover to a standby that lags behind (acknowledged writes are as safe as the database's own
replication makes them); more load than a replica can take; clocks that jump. A killed machine: PostgreSQL runs without
fsync here. Latencies are those of this machine and this build, and of a caller on the same machine; they say how
statuses are spread in time, not how fast byokd is.
";

/// `docs/reliability.md`.
pub(super) fn write_page(recorder: &Recorder, ran: &[Ran], form: &str) {
    let figures = recorder.inner().figures;
    let root = env!("CARGO_MANIFEST_DIR");
    let commit = Command::new("git")
        .args(["-C", root, "rev-parse", "--short", "HEAD"])
        .output()
        .unwrap();
    let commit = String::from_utf8_lossy(&commit.stdout).trim().to_owned();
    let mut page = format!(
        "{HEAD}\nCommit `{commit}`, {form}, {}.\n\n## Statuses and latencies\n",
        machine()
    );
    page.push_str(
        "\nIn each cell: the statuses that were seen (with counts where there are several), and p50 / p99 / maximum in \
         milliseconds.\n*Warm* workspaces are known to every replica and change never; *just changed* ones change all \
         the time; *cold* ones were\nnever asked for on that replica. Where one replica is struck, its answers are in \
         a row of their own.\n\n",
    );
    let names: Vec<&str> = Call::ALL.iter().map(|call| call.name()).collect();
    let _ = writeln!(
        page,
        "| Fault | {} |\n|---|{}",
        names.join(" | "),
        "---|".repeat(names.len())
    );
    for fault in std::iter::once(Fault::None).chain(ran.iter().map(|ran| ran.fault)) {
        for struck in [false, true] {
            let cells: Vec<_> = Call::ALL
                .iter()
                .map(|call| line(recorder, fault, *call, struck))
                .collect();
            if cells.iter().all(Option::is_none) {
                continue;
            }
            let whom = if struck { ": the struck replica" } else { "" };
            let _ = write!(page, "| {}{whom} |", fault.name());
            for cell in cells {
                let cell = cell.map_or_else(String::new, |line| {
                    let statuses = statuses(&line).replace("UNAVAILABLE / ", "");
                    format!(
                        "{statuses}<br>{} / {} / {}",
                        ms(line.p50),
                        ms(line.p99),
                        ms(line.max)
                    )
                });
                let _ = write!(page, " {cell} |");
            }
            page.push('\n');
        }
    }
    page.push_str("\nThe reasons with `UNAVAILABLE` in their names go with the status `UNAVAILABLE`, and so does \
                   `PROVIDER_UNREACHABLE`.\n\n## Recovery\n\n| Fault | felt by every replica after | every call on every replica OK again after |\n|---|---|---|\n");
    for Ran {
        fault,
        felt,
        healed,
    } in ran
    {
        let _ = writeln!(page, "| {} | {felt:.1?} | {healed:.1?} |", fault.name());
    }
    page.push_str("\nThe last column has a second of rest in it, in which nothing may fail.\n");
    page.push_str(&invariants(&figures));
    page.push_str(TAIL);
    fs::create_dir_all(format!("{root}/docs")).unwrap();
    fs::write(format!("{root}/docs/reliability.md"), page).unwrap();
}

fn invariants(figures: &Figures) -> String {
    let Figures {
        calls,
        resolves,
        reads,
        acknowledged,
        in_doubt,
        refused,
        settled,
        starved,
        ..
    } = figures;
    format!(
        "\n## Invariants\n\n{calls} calls, {starved} of them left out of the judgement: a wait of a quarter of a second for the \
         database ran out while\nothers had taken all processors of the machine. None of these was broken:\n\n\
         * **No acknowledged write is lost.** {acknowledged} changes were acknowledged, {refused} refused for good, \
         {in_doubt} in doubt at\n  first; {reads} reads under load and {settled} after the faults showed the last \
         acknowledged state or one in doubt.\n\
         * **Never two active keys**, nor half a change, in the rows of any workspace, after each fault.\n\
         * **No foreign key, and no wrong payer.** {resolves} answers of ResolveCredentials were checked: the \
         credential is the asked\n  workspace's own with `BYO`, or the platform's with `CREDITS`, as the workspace's \
         toggle says.\n\
         * **Freshness.** The oldest state that a resolve showed had been replaced {} ms before it was asked for, in \
         health (5 s is\n  the limit here), and {:.1} s while a fault lasted or was being healed (35 s).\n",
        figures.lag_in_health.as_millis(),
        figures.lag_in_faults.as_secs_f64()
    )
}

fn machine() -> String {
    let processors = std::thread::available_parallelism().unwrap();
    let build = if cfg!(debug_assertions) {
        "a build without optimisation"
    } else {
        "an optimised build"
    };
    format!("on a virtual machine with {processors} processors that all of it shares, {build}")
}
