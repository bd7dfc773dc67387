//! libFuzzer's entry to [`byokd_fuzz::request`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| byokd_fuzz::request::run(data));
