//! Texts with a grammar of their own: templates, URLs, durations, limits, times, cron expressions.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::texts(data));
