//! Readings in Parquet.
#![no_main]

libfuzzer_sys::fuzz_target!(
    init: fuzz::let_dependencies_panic(),
    |data: &[u8]| fuzz::parquet(data)
);
