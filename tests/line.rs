//! The line, whole: real binary, real threads, real libasound on a private PulseAudio, real TLS WebSocket.
//!
//! Run by `sh tests/run.sh`, or by hand with `cargo test --locked --test line -- --ignored --test-threads=1`. Each run
//! leaves its files in `target/tmp/line/NAME`. The machine may be busy: bounds of time are wide here, the figures
//! are the benches'.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

#[path = "line/process.rs"]
mod process;
#[path = "line/pulse.rs"]
mod pulse;
#[path = "line/rig.rs"]
mod rig;
#[path = "line/sound.rs"]
mod sound;
#[path = "line/witness.rs"]
mod witness;

#[path = "line/company.rs"]
mod company;
#[path = "line/echoing.rs"]
mod echoing;
#[path = "line/losing.rs"]
mod losing;
#[path = "line/strangers.rs"]
mod strangers;
#[path = "line/talking.rs"]
mod talking;
