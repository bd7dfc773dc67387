//! Whether the machine has free processors. byokd waits a quarter of a second for its database; on a busy
//! machine such a wait may expire, and that is no fault of byokd.
//!
//! Not here: an excuse on a quiet machine, or on one without `/proc/pressure`.

use std::{
    collections::VecDeque,
    fs,
    time::{Duration, Instant},
};

/// The period …
const WINDOW: Duration = Duration::from_secs(5);
const STEP: Duration = Duration::from_millis(500);
/// … and the share of it in which a process waited for a processor.
const HIGH: f64 = 0.6;

#[derive(Default)]
pub(super) struct Pressure(VecDeque<(Instant, u64)>);

impl Pressure {
    /// Reads, at most twice a second.
    pub(super) fn look(&mut self) {
        if self.0.back().is_none_or(|(at, _)| at.elapsed() >= STEP)
            && let Some(waited) = waited()
        {
            self.0.push_back((Instant::now(), waited));
            while self.0.len() > 2 && self.0[1].0.elapsed() > WINDOW {
                self.0.pop_front();
            }
        }
    }

    pub(super) fn is_high(&self) -> bool {
        let (Some(first), Some(last)) = (self.0.front(), self.0.back()) else {
            return false;
        };
        let time = last.0.duration_since(first.0).as_micros() as f64;
        time > 0.0 && (last.1 - first.1) as f64 / time > HIGH
    }
}

/// The microseconds in which a process waited for a processor, since the machine started.
fn waited() -> Option<u64> {
    let pressure = fs::read_to_string("/proc/pressure/cpu").ok()?;
    pressure
        .lines()
        .find(|line| line.starts_with("some"))?
        .rsplit_once("total=")?
        .1
        .parse()
        .ok()
}
