//! JSON that is read back from the store.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::stored(data));
