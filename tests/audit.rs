//! What is put on record, and that it stays as it was written.

mod crash;
mod disk_full;
mod lines;
mod listing;
mod rotation;
mod tampering;
mod usage;
mod verifying;
