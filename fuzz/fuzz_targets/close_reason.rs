//! libFuzzer's way into `close_reason`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mynah_fuzz::close_reason::run(bytes));
