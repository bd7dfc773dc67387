//! The audit stream: what each line says, and that tampering is found.

mod crash;
mod disk_full;
mod lines;
mod rotation;
mod tampering;
mod verifying;
