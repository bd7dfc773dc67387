//! A warm `ResolveCredentials` against the limit: `cargo bench --bench resolve`.
//!
//! The limit is a bare tonic server that receives the same calls and returns the same bytes. It and byokd run side by
//! side, each on the first processor, with the client on another one; they are measured in turns, and what counts is the
//! ratio within a turn. A second bare server is measured along with them: how far it is from the first says what a ratio
//! of this run is worth. What was measured is printed and written to `docs/performance.md`, with the pictures beside it.
//!
//! `-- --ghz PROGRAM` lets another client compare the two.
//! `-- --workers` compares two threads on the one processor with one.
//! `-- --load` only keeps byokd busy for `LOADED` and says its process, for a profiler.
//! `-- --instructions` counts instructions only, `-- --gate` compares them with those that the page has, and ends with
//! an error if a call has become dearer. `-- --try` measures three rounds and writes nothing.
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

mod bare;
#[path = "../../tests/support/ca.rs"]
#[allow(dead_code, reason = "tests need more of it")]
mod ca;
#[path = "../support/catalog.rs"]
#[allow(dead_code, reason = "each program uses its part")]
mod catalog;
mod certificates;
#[path = "../support/chart.rs"]
mod chart;
#[path = "../support/client.rs"]
#[allow(dead_code, reason = "each program uses its part")]
mod client;
mod collector;
mod foreign;
mod instructions;
mod measure;
#[path = "../support/page.rs"]
mod page;
mod picture;
mod report;
mod rounds;
mod servers;
#[path = "../support/site.rs"]
#[allow(dead_code, reason = "each program uses its part")]
mod site;

use std::{path::Path, process::ExitCode, time::Duration};

use collector::Collector;
use instructions::What;
use measure::Measured;

/// How long a run may take.
const LONGEST: Duration = Duration::from_secs(15 * 60);
const LOADED: Duration = Duration::from_secs(30);
/// Rounds of a run whose figures count, and of one to try.
const ROUNDS: usize = 9;
const ROUNDS_TO_TRY: usize = 3;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let said = |word: &str| arguments.iter().any(|argument| argument == word);
    if let [first, folder] = &arguments[..]
        && first == "--bare"
    {
        bare::run(Path::new(folder));
        return ExitCode::SUCCESS;
    }
    // `cargo test` runs benches too, to see that they build.
    if !said("--bench") {
        return ExitCode::SUCCESS;
    }
    if cfg!(debug_assertions) {
        eprintln!(
            "this is a debug build, whose figures mean nothing; run `cargo bench --bench resolve`"
        );
        return ExitCode::FAILURE;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let run = async {
        if said("--instructions") || said("--gate") {
            let collector = Collector::start().await;
            let counted = What::Instructions.count(&collector).await;
            println!("{}", report::instructions(counted));
            return if said("--gate") {
                report::gate(counted)
            } else {
                ExitCode::SUCCESS
            };
        }
        if said("--load") {
            measure::load(LOADED).await;
            return ExitCode::SUCCESS;
        }
        if let Some(ghz) = arguments
            .iter()
            .skip_while(|argument| *argument != "--ghz")
            .nth(1)
        {
            println!("{}", measure::by_ghz(ghz, ROUNDS).await);
            return ExitCode::SUCCESS;
        }
        if said("--workers") {
            println!("{}", measure::two_workers(ROUNDS).await);
            return ExitCode::SUCCESS;
        }
        let rounds = if said("--try") { ROUNDS_TO_TRY } else { ROUNDS };
        let measured = Measured::take(rounds).await;
        println!("{}", report::table(&measured));
        if !said("--try") {
            report::write(&measured);
        }
        ExitCode::SUCCESS
    };
    match runtime.block_on(async { tokio::time::timeout(LONGEST, run).await }) {
        Ok(code) => code,
        Err(_) => {
            eprintln!("the run took longer than {LONGEST:?} and was given up");
            ExitCode::FAILURE
        }
    }
}
