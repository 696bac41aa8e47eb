//! libFuzzer's way into `emulator_script`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mynah_fuzz::emulator_script::run(bytes));
