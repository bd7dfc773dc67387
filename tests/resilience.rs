//! Limits and outages: admission, probe limits, stale answers.

mod admission;
mod freshness;
mod probe_limits;
