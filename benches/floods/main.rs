//! Calls of honest clients while others flood the server: `cargo bench --bench floods`.
//!
//! The real server runs as a process of its own, on a loopback port, with its default limits but that
//! 256 calls run at once. Honest callers resolve
//! all the time; before, during and after each flood their calls and latencies are counted, and the server's memory is
//! read. Server, callers and attackers share the machine, so part of what is lost is lost to the attackers' own work:
//! the row "as many polite callers" shows how much another load of the same size takes.
//!
//! Load goes to loopback only, and each row takes some seconds.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a program that measures and prints; it fails by panicking"
)]

mod attacks;
mod callers;
#[path = "../support/site.rs"]
#[allow(dead_code, reason = "each program uses its part")]
mod site;

use std::time::{Duration, Instant};

use attacks::Attack;
use callers::{Callers, What};
use site::{Site, Start};

/// How long each row is measured.
const ROW: Duration = Duration::from_secs(4);
/// Calls at once that the server allows.
const CALLS: usize = 256;
/// Honest callers: connections, and calls at once on each.
const HONEST: (usize, usize) = (4, 4);

#[tokio::main]
async fn main() {
    // `cargo test` runs benches too, to see that they build.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let site = Site::start(Start {
        env: vec![("BYOKD__LIMITS__CALLS", CALLS.to_string())],
        ..Start::default()
    })
    .await;
    println!(
        "byokd {}, {} processors\n",
        env!("CARGO_PKG_VERSION"),
        std::thread::available_parallelism().unwrap()
    );
    println!(
        "| flood | honest calls/s | of undisturbed | p50 ms | p99 ms | failed | the flood | refused after ms, p50 / p99 | memory MB, before / most / after |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    // The first calls make data keys and fill caches.
    Callers::run(&site.target, What::Resolves, HONEST, ROW / 4).await;
    for attack in Attack::ALL {
        let before = site.memory();
        let undisturbed = Callers::run(&site.target, What::Resolves, HONEST, ROW).await;
        let flood = attack.begin(&site);
        let (disturbed, most) = tokio::join!(
            Callers::run(&site.target, What::Resolves, HONEST, ROW),
            most_memory(&site)
        );
        let done = flood.end().await;
        let after = settled_memory(&site).await;
        println!(
            "| {attack} | {:.0} | {:.2} | {:.2} | {:.2} | {} | {done} | {} | {before:.0} / {most:.0} / {after:.0} |",
            disturbed.per_second(),
            disturbed.per_second() / undisturbed.per_second(),
            disturbed.percentile(0.50),
            disturbed.percentile(0.99),
            disturbed.failed(),
            done.refusals(),
        );
    }
}

/// The most that the server has in memory while a row is measured, in MB.
async fn most_memory(site: &Site) -> f64 {
    let began = Instant::now();
    let mut most = site.memory();
    while began.elapsed() < ROW {
        tokio::time::sleep(Duration::from_millis(50)).await;
        most = most.max(site.memory());
    }
    most
}

/// What it has once the flood's connections are gone.
async fn settled_memory(site: &Site) -> f64 {
    tokio::time::sleep(Duration::from_secs(2)).await;
    site.memory()
}
