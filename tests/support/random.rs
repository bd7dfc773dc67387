//! Random moments that can be repeated: the seed is printed, and `BYOKD_TEST_SEED` sets it.

use std::time::Duration;

/// splitmix64.
pub(crate) struct Random {
    pub(crate) seed: u64,
    state: u64,
}

impl Random {
    #[expect(
        clippy::print_stderr,
        reason = "a test's output is shown when it fails"
    )]
    pub(crate) fn new() -> Self {
        let seed = match std::env::var("BYOKD_TEST_SEED") {
            Ok(seed) => seed.parse().unwrap(),
            Err(_) => u64::from(uuid::Uuid::new_v4().as_fields().0),
        };
        eprintln!("BYOKD_TEST_SEED={seed}");
        Self { seed, state: seed }
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    pub(crate) fn part_of(&mut self, time: Duration) -> Duration {
        Duration::from_nanos(self.below(u64::try_from(time.as_nanos()).unwrap().max(1)))
    }
}
