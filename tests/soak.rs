//! Tests that take minutes, over services: `./tests/run soak`.

mod chaos;
mod kills;
mod revocation;
