//! Files of readings: CSV, JSON, gzip, zstd.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::readings(data));
