//! The stand-in Live server: a script and client messages in, raw JSON out.
//!
//! It speaks the wire with `serde_json` values and shares no type with `live/`, so that a mistake in a struct
//! there cannot be confirmed by its twin here. It refuses every message the service is known to refuse, with
//! the code and reason of the service, and says in its log what would be right. In five places it is stricter than the
//! service, which there swallows a mistake in silence: `mediaChunks`, `parametersJsonSchema`, an audio MIME
//! type without a rate, an answer to a call that was never made, and two answers to one call.
//!
//! [`Emulator`] is one connection, without I/O and without a clock: hand it messages and the time, then drain
//! [`Emulator::poll_output`] until [`Output::Timeout`]; when its socket is gone, say so ([`Emulator::handle_end`]).
//! The connections of one service share its [`Sessions`]. [`run`] puts them behind sockets.

mod calls;
mod check;
mod ear;
mod fields;
mod input;
mod lifetime;
mod machine;
mod parse;
mod reply;
pub mod run;
pub mod script;
mod sessions;
mod setup;
mod sight;
pub mod sounds;
#[cfg(test)]
mod tests;
pub mod tokens;
mod usage;

use std::fmt;
use std::sync::Arc;

pub use machine::Emulator;
pub use script::{FrameKind, Script};
pub use sessions::Sessions;
pub use sounds::{Sound, Sounds};

use crate::units::{Hertz, Time};

/// Version of the API that the client's path names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Api {
    /// `v1beta`.
    #[default]
    V1beta,
    /// `v1alpha`: knows `proactivity` too.
    V1alpha,
    /// `v1`: where the Python SDK 3.4.0 goes unless told otherwise; taken to know what `v1beta` knows.
    V1,
}

impl Api {
    /// As it stands in the path.
    pub const fn name(self) -> &'static str {
        match self {
            Api::V1beta => "v1beta",
            Api::V1alpha => "v1alpha",
            Api::V1 => "v1",
        }
    }
}

/// The key that the emulator calls invalid, whatever else it is told: for trying a refused key.
pub const BAD_KEY: &str = "bad-key";

/// What a connection begins with.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The key or token the client came with, from header or query.
    pub key: Option<String>,
    /// The API version in its path.
    pub api: Api,
    /// Number of the connection, no other's; part of the resumption handles of the session that it begins.
    pub session: u64,
    /// Turn of the script that comes first, from 0, unless a session is resumed.
    pub first_turn: usize,
}

/// What the shell does next.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Write this into one WebSocket frame.
    Send {
        /// JSON, unless the script wants garbage.
        body: String,
        /// Which frame.
        frame: FrameKind,
    },
    /// The user's turn has ended; this was heard. For recordings.
    Heard(Voice),
    /// The connection has ended in the middle of the user's turn; this much was heard, and is lost. For recordings.
    Cut(Voice),
    /// Tell a person.
    Log(Line),
    /// Write a close frame and end the connection; with 1006, end it without one.
    Close {
        /// Close code.
        code: u16,
        /// Reason, at most 123 bytes.
        reason: String,
    },
    /// Nothing more now: come back at that time, or with a message. Ends the drain.
    Timeout(Option<Time>),
}

/// Speech of one turn: `[frames, 1 channel] S16 @ rate`.
#[derive(Clone, Debug, PartialEq)]
pub struct Voice {
    /// Rate that the client declared.
    pub rate: Hertz,
    /// The frames.
    pub frames: Arc<[i16]>,
}

/// Who did what a [`Line`] tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The client.
    Client,
    /// The emulated service.
    Service,
    /// The emulator itself: why it refuses, what it skipped.
    Note,
}

/// One line for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Whose deed.
    pub side: Side,
    /// One sentence without a full stop.
    pub text: String,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let arrow = match self.side {
            Side::Client => "→",
            Side::Service => "←",
            Side::Note => "!",
        };
        write!(f, "{arrow} {}", self.text)
    }
}

/// Why a client's message ends the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Refusal {
    code: u16,
    /// What the service says.
    reason: String,
    /// What a person needs to know.
    why: String,
}

impl Refusal {
    fn new(code: u16, reason: impl Into<String>, why: impl Into<String>) -> Refusal {
        Refusal { code, reason: reason.into(), why: why.into() }
    }
}
