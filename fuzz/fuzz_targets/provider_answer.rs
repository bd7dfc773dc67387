//! libFuzzer's entry to [`byokd_fuzz::provider_answer`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| byokd_fuzz::provider_answer::run(data));
