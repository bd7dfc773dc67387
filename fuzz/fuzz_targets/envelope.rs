//! libFuzzer's entry to [`byokd_fuzz::envelope`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| byokd_fuzz::envelope::run(data));
