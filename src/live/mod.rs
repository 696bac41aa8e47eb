//! All that knows the Gemini Live protocol: messages both ways, what each model takes, what a close means.
//!
//! Facts: the wire as of 2026-11-20. Server words (`activityStart`, `turnComplete` …) live only here and in
//! the emulator.

pub mod client;
pub mod close;
pub mod server;
