//! What the black-box tests stand on: fakes made at the wire.

pub(crate) mod fake_provider;
pub(crate) mod reply;
