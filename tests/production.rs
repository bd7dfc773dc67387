//! Replicas over a real PostgreSQL and a real KMS. Each test here needs services: `./tests/run services`.

mod database_outage;
mod freshness;
mod key_usage;
mod kms_outage;
mod kms_return;
mod old_binaries;
mod plaintext;
mod postgres;
mod postgres_faults;
mod reseal;
mod rewrap;
mod trace;
