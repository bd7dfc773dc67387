//! libFuzzer's entry to [`byokd_fuzz::base_url`].
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| byokd_fuzz::base_url::run(text));
