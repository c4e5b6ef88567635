//! Models as pickle and joblib write them, compressed or not.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::model(data));
