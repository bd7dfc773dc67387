//! The services that other tests use, each proven once: a fault must be real before a test relies on it.
//!
//! Not here: byokd. These tests use plain SQL and plain HTTP.

mod kms;
mod network;
mod postgres;
