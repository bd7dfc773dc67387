//! User instructions and allocations of one call: the difference between two runs of different length.
//!
//! valgrind counts them, on one worker: instructions by cachegrind, without a cache model, allocations by DHAT. A count
//! can be repeated where a time cannot. valgrind knows neither AVX-512 nor the instructions for SHA-256, so that ciphers
//! and hashes cost much more here than in the field.

use std::{fs, path::PathBuf};

use tempfile::TempDir;

use crate::{
    bare::Bare,
    client::{Call, Until, Where},
    collector::Collector,
    servers::{Byokd, Setting},
};

/// Calls of the shorter run, and how many more the longer one has.
const FEW: usize = 480;
const MORE: usize = 4_000;
/// Connections, and calls at once on each.
const SHAPE: (usize, usize) = (4, 4);

/// For each call.
#[derive(Clone, Copy)]
pub(crate) struct Counted {
    pub(crate) bare: f64,
    pub(crate) byokd: f64,
}

impl Counted {
    pub(crate) fn ratio(&self) -> f64 {
        self.byokd / self.bare
    }
}

/// What is counted.
#[derive(Clone, Copy)]
pub(crate) enum What {
    Instructions,
    Allocations,
}

impl What {
    pub(crate) async fn count(self, collector: &Collector) -> Counted {
        let mut totals = [[0.0; 2]; 2];
        for (run, calls) in [FEW, FEW + MORE].into_iter().enumerate() {
            let counter = Counter::of(self);
            let setting = Setting {
                under: &counter.words,
                collector: Some(collector),
                ..Setting::default()
            };
            let byokd = Byokd::start(setting).await;
            send(&byokd.call, &byokd.at(), calls).await;
            let (call, answer) = (byokd.call.clone(), byokd.answer.clone());
            byokd.end();
            totals[1][run] = counter.total();
            let counter = Counter::of(self);
            let bare = Bare::start(&counter.words, &answer, None).await;
            send(&call, &bare.at(), calls).await;
            bare.end();
            totals[0][run] = counter.total();
        }
        let [bare, byokd] = totals.map(|[few, more]| (more - few) / MORE as f64);
        Counted { bare, byokd }
    }

    fn tool(self) -> [&'static str; 2] {
        match self {
            Self::Instructions => ["--tool=cachegrind", "--cache-sim=no"],
            Self::Allocations => ["--tool=dhat", "--mode=heap"],
        }
    }
}

async fn send(call: &Call, to: &Where, calls: usize) {
    let felt = call
        .flood(
            to,
            SHAPE.0,
            SHAPE.1,
            Until::Calls(calls / (SHAPE.0 * SHAPE.1)),
        )
        .await;
    assert_eq!(felt.failed, 0, "calls failed");
}

/// valgrind around one run.
struct Counter {
    what: What,
    words: Vec<String>,
    out: PathBuf,
    _folder: TempDir,
}

impl Counter {
    fn of(what: What) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("counts");
        let [tool, mode] = what.tool();
        let mut words = [
            "env",
            "TOKIO_WORKER_THREADS=1",
            "valgrind",
            "-q",
            tool,
            mode,
        ]
        .map(str::to_owned)
        .to_vec();
        words.push(format!(
            "{}-out-file={}",
            tool.replace("tool=", ""),
            out.display()
        ));
        Self {
            what,
            words,
            out,
            _folder: folder,
        }
    }

    /// All that was counted, once the run has ended.
    fn total(&self) -> f64 {
        let counts = fs::read_to_string(&self.out).unwrap();
        let number = |text: &str| text.trim().trim_end_matches(',').parse::<f64>().unwrap();
        match self.what {
            What::Instructions => {
                let summary = counts
                    .lines()
                    .find_map(|line| line.strip_prefix("summary: "));
                number(summary.expect("cachegrind's summary"))
            }
            // `tbk`: the blocks of one place in the program.
            What::Allocations => counts
                .split("\"tbk\":")
                .skip(1)
                .map(|rest| number(rest.split([',', '}', '\n']).next().unwrap()))
                .sum(),
        }
    }
}
