//! libFuzzer's way into `client_message`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mynah_fuzz::client_message::run(bytes));
