//! libFuzzer's way into `agent_file`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mynah_fuzz::agent_file::run(bytes));
