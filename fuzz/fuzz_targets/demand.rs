//! Traces of demand, and sizes of machines, as `operator simulate` takes them.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::demand(data));
