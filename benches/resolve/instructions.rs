//! How many user instructions one call costs a server: what two runs of different length differ by.
//!
//! cachegrind counts them, on one worker, and without a cache model; a count can be repeated where a time cannot. It
//! knows no AVX-512, so the ciphers cost more here than in the field.

use std::{fs, path::PathBuf};

use tempfile::TempDir;

use crate::{
    bare::Bare,
    client::{Call, Until, Where},
    servers::{Byokd, Setting},
};

/// Calls of the shorter run, and how many more the longer one has.
const FEW: usize = 500;
const MORE: usize = 4_000;
/// Connections, and calls at once on each.
const SHAPE: (usize, usize) = (4, 4);

/// Instructions for each call.
#[derive(Clone, Copy)]
pub(crate) struct Instructions {
    pub(crate) bare: f64,
    pub(crate) byokd: f64,
}

impl Instructions {
    pub(crate) async fn count(collector: &crate::collector::Collector) -> Self {
        let mut totals = [[0.0; 2]; 2];
        for (run, calls) in [FEW, FEW + MORE].into_iter().enumerate() {
            let counter = Counter::new();
            let setting = Setting { under: &counter.words, collector: Some(collector), ..Setting::default() };
            let byokd = Byokd::start(setting).await;
            send(&byokd.call, &byokd.at(), calls).await;
            let (call, answer) = (byokd.call.clone(), byokd.answer.clone());
            byokd.end();
            totals[1][run] = counter.total();
            let counter = Counter::new();
            let bare = Bare::start(&counter.words, &answer, None).await;
            send(&call, &bare.at(), calls).await;
            bare.end();
            totals[0][run] = counter.total();
        }
        let [bare, byokd] = totals.map(|[few, more]| (more - few) / MORE as f64);
        Self { bare, byokd }
    }

    pub(crate) fn ratio(&self) -> f64 {
        self.byokd / self.bare
    }
}

async fn send(call: &Call, to: &Where, calls: usize) {
    let felt = call.flood(to, SHAPE.0, SHAPE.1, Until::Calls(calls / (SHAPE.0 * SHAPE.1))).await;
    assert_eq!(felt.failed, 0, "calls failed");
}

/// cachegrind around one run.
struct Counter {
    words: Vec<String>,
    out: PathBuf,
    _folder: TempDir,
}

impl Counter {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("counts");
        let words =
            ["env", "TOKIO_WORKER_THREADS=1", "valgrind", "-q", "--tool=cachegrind", "--cache-sim=no"];
        let mut words = words.map(str::to_owned).to_vec();
        words.push(format!("--cachegrind-out-file={}", out.display()));
        if let Ok(keep) = std::env::var("XKEEP") {
            words = ["env", "TOKIO_WORKER_THREADS=1", "valgrind", "-q", "--tool=callgrind"]
                .map(str::to_owned)
                .to_vec();
            words.push(format!(
                "--callgrind-out-file={keep}/cg.{}",
                std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis()
            ));
        }
        Self { words, out, _folder: folder }
    }

    /// All instructions of the run, once it has ended.
    fn total(&self) -> f64 {
        if std::env::var("XKEEP").is_ok() {
            return 1.0;
        }
        let counts = fs::read_to_string(&self.out).unwrap();
        let summary = counts.lines().find_map(|line| line.strip_prefix("summary: "));
        summary.expect("a summary of cachegrind's").trim().parse().unwrap()
    }
}
