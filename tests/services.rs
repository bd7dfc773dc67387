//! The services that the tests stand on, each proven once: a test that leans on a fault must know that the fault is real.
//!
//! Absent: byokd. Here plain SQL and plain HTTP ask.

mod kms;
mod network;
mod postgres;
