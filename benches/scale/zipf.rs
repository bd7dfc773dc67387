//! Which workspace calls: few often, most rarely.
//!
//! Zipf's law with exponent 1: the second is called half as often as the first, the third a third as often. The same
//! seed gives the same calls.

use std::sync::Arc;

/// Scatters the ranks over the workspaces, so that those called often do not lie side by side in the database. A prime
/// above every number of workspaces.
const SCATTER: u64 = 1_000_003;

/// The number of the workspace of this rank.
pub(crate) fn numbered(rank: usize, workspaces: usize) -> usize {
    (rank as u64 * SCATTER % workspaces as u64) as usize
}

pub(crate) struct Zipf {
    /// Up to each rank, the part of all calls.
    parts: Arc<[f64]>,
    state: u64,
}

impl Zipf {
    pub(crate) fn new(workspaces: usize, seed: u64) -> Self {
        let mut sum = 0.0;
        let mut parts: Vec<f64> = (1..=workspaces)
            .map(|rank| {
                sum += 1.0 / rank as f64;
                sum
            })
            .collect();
        parts.iter_mut().for_each(|part| *part /= sum);
        Self {
            parts: parts.into(),
            state: seed,
        }
    }

    /// The next caller's number.
    pub(crate) fn draw(&mut self) -> usize {
        let point = (self.random() >> 11) as f64 / (1_u64 << 53) as f64;
        let count = self.parts.len();
        numbered(
            self.parts
                .partition_point(|part| *part <= point)
                .min(count - 1),
            count,
        )
    }

    /// SplitMix64.
    fn random(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
