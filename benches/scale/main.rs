//! The cost of many workspaces: `tests/services.sh cargo bench --bench scale`.
//!
//! A PostgreSQL of its own is filled, step by step, with a million workspaces that brought a key, each sealed in its
//! place. At each step byokd, as a process on the first processor, answers calls whose workspaces follow Zipf's law;
//! then as many replicas as the table says, and one that keeps all workspaces in memory. PostgreSQL itself counts the
//! statements (`pg_stat_statements`), byokd's metrics count the rest. The figures are printed and written to
//! `docs/performance.md`, with the picture beside it.
//!
//! `-- --workspaces N` tries it with fewer, and writes nothing. The memory that is kept for workspaces is then a tenth
//! of them, as in the whole run.
//!
//! Load goes to loopback only; a run is over within `LONGEST`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::string_slice,
    missing_docs,
    reason = "a program that measures and prints; it fails by panicking"
)]

mod calls;
#[path = "../support/catalog.rs"]
mod catalog;
#[path = "../support/chart.rs"]
mod chart;
#[path = "../support/client.rs"]
#[allow(dead_code, reason = "each program uses its part")]
mod client;
mod cold;
mod deployment;
mod fleet;
mod measure;
#[path = "../support/page.rs"]
#[allow(dead_code, reason = "each program uses its part")]
mod page;
mod postgres;
mod replica;
mod report;
mod seed;
#[path = "../support/site.rs"]
#[allow(dead_code, reason = "each program uses its part")]
mod site;
mod statements;
mod steady;
mod steps;
mod zipf;

use std::{process::ExitCode, time::Duration};

use measure::Measured;

/// How long a run may take; one on two quiet processors takes half of it.
const LONGEST: Duration = Duration::from_secs(30 * 60);
/// Workspaces of the run whose figures count.
const WORKSPACES: usize = 1_000_000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test` runs benches too, to see that they build.
    if !arguments.iter().any(|argument| argument == "--bench") {
        return ExitCode::SUCCESS;
    }
    if cfg!(debug_assertions) {
        eprintln!(
            "this is a debug build, whose figures mean nothing; run `cargo bench --bench scale`"
        );
        return ExitCode::FAILURE;
    }
    let named = arguments
        .iter()
        .skip_while(|argument| *argument != "--workspaces")
        .nth(1);
    let workspaces = named.map_or(Ok(WORKSPACES), |number| number.parse());
    let Some(workspaces) = workspaces
        .ok()
        .filter(|count| (10_000..=WORKSPACES).contains(count))
    else {
        eprintln!("--workspaces must be 10000 to {WORKSPACES}");
        return ExitCode::FAILURE;
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let run = async {
        let measured = Measured::take(workspaces, workspaces == WORKSPACES).await;
        println!("\n{}", report::tables(&measured));
        if workspaces == WORKSPACES {
            report::write(&measured);
        }
    };
    match runtime.block_on(async { tokio::time::timeout(LONGEST, run).await }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => {
            eprintln!("the run took longer than {LONGEST:?} and was given up");
            ExitCode::FAILURE
        }
    }
}
