//! libFuzzer's entry to [`byokd_fuzz::audit_line`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| byokd_fuzz::audit_line::run(data));
