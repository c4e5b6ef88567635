//! Models as skops writes them.
#![no_main]

libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    fuzz::skops(data, size, max_size, seed)
});
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::model(data));
