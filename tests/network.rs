//! The real binary over bad networks: a fault proxy between `mynah run` and `mynah emulator`, TLS and all.
//!
//! No sound card is needed: the board is simulated, and its microphone runs at 16 kHz, so that what was said and what
//! arrived at the service can be compared sample by sample. Each run leaves its files in `target/tmp/network/NAME`.
//! The machine may be busy: bounds of time are wide here.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

#[path = "network/certificates.rs"]
mod certificates;
#[path = "line/process.rs"]
#[allow(dead_code, reason = "the line's tests use the rest")]
mod process;
#[path = "network/proxy.rs"]
mod proxy;
#[path = "network/rig.rs"]
mod rig;
#[path = "network/voice.rs"]
mod voice;

#[path = "network/faults.rs"]
mod faults;
#[path = "network/lives.rs"]
mod lives;
#[path = "network/papers.rs"]
mod papers;
#[path = "network/soak.rs"]
mod soak;
