//! libFuzzer's way into `server_message`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mynah_fuzz::server_message::run(bytes));
