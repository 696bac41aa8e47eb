//! What is tried with inputs that a fuzzer makes: one function a target, which panics where a promise is broken.
//!
//! They are apart from libFuzzer so that `tests/fuzz.rs` can try every kept input with an ordinary toolchain.

pub mod agent_file;
pub mod client_message;
pub mod close_reason;
pub mod emulator_script;
pub mod server_message;
