//! libFuzzer's entry to [`byokd_fuzz::token`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| byokd_fuzz::token::run(data));
