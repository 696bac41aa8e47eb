//! What of a conversation outlives the program: as little as lets it go on.
//!
//! The shell writes it down when told ([`super::Output::Keep`]) and hands it back at the next start with its age.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::live::client::Said;

/// How long a handle is good after its connection has ended (live-protocol.md 6: two hours).
pub const HANDLE_LIFE: Duration = Duration::from_secs(2 * 3600);

/// Everything that is kept. What an older or newer program does not know is ignored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// Where the conversation stands, for the service.
    pub resumable: Option<Resumable>,
    /// What the day has cost.
    pub spent: Spent,
    /// The last words, the oldest first; only where the owner allows it.
    pub said: Vec<Said>,
    /// Loudness that was set by a person, percent; the configured one holds where there is none.
    pub volume_percent: Option<u8>,
    /// Whether a person has closed the microphone.
    pub is_muted: bool,
    /// Mark of the setup that the service took last: where it refuses that one later, nobody here has made a mistake.
    pub proven: Option<u64>,
}

/// A conversation that the service can go on with.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resumable {
    /// The service's handle. Whoever has it and a key hears what was said: treat it as a secret.
    pub handle: String,
    /// Mark of the setup it belongs to: with another model or instruction the conversation is another.
    pub setup: u64,
}

impl std::fmt::Debug for Resumable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Resumable(…)")
    }
}

/// What a day has cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Spent {
    /// The day, counted from 1970.
    pub day: u32,
    /// Tokens.
    pub tokens: u64,
    /// Millionths of a US dollar.
    pub microusd: u64,
}
