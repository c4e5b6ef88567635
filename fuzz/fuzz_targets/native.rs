//! Models in the project's own format.
#![no_main]

libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    fuzz::native(data, size, max_size, seed)
});
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::model(data));
