//! PCM without devices: hops, chunks, resampling, levels, figures of a recording, WAV files and the policy for PCM
//! trouble.

pub mod level;
pub mod measure;
pub mod meter;
pub mod resample;
pub mod trouble;
pub mod wav;

use crate::units::{Hertz, Time};

/// The rate at which the user's speech travels, from the resampler behind the microphone to the server.
pub const UPLINK_RATE: Hertz = Hertz(16_000); // Gemini Live's native input rate, live-protocol.md 4.1

/// The rate at which the model's speech arrives unless its MIME type says otherwise.
pub const DOWNLINK_RATE: Hertz = Hertz(24_000); // live-protocol.md 4.2

/// Frames in a hop: 10 ms at [`UPLINK_RATE`], the step of every detector.
pub const HOP_FRAMES: usize = 160;

/// Length of a hop in milliseconds.
pub const HOP_MS: u32 = 10;

/// Ten milliseconds from the microphone: `[160 frames, 1 channel] S16 @ 16 kHz`.
#[derive(Clone, Copy)]
pub struct Hop {
    /// When its newest frame was captured.
    pub at: Time,
    /// The frames.
    pub frames: [i16; HOP_FRAMES],
}

/// Frames in the longest piece of speech that is sent in one message (40 ms at 16 kHz).
pub const SPEECH_FRAMES_MAX: usize = 4 * HOP_FRAMES;

/// A piece of the user's speech on its way to the server: `[≤ 640 frames, 1 channel] S16 @ 16 kHz`.
///
/// Of fixed size, so that the gate can hand it over without allocating.
#[derive(Clone, Copy)]
pub struct Speech {
    /// When its newest frame was captured.
    pub at: Time,
    len: u16,
    frames: [i16; SPEECH_FRAMES_MAX],
}

impl Speech {
    /// A piece with no frames yet.
    pub const fn empty() -> Speech {
        Speech { at: Time::ZERO, len: 0, frames: [0; SPEECH_FRAMES_MAX] }
    }

    /// Appends a hop; answers false, changing nothing, where it does not fit.
    pub fn push(&mut self, hop: &Hop) -> bool {
        let start = usize::from(self.len);
        let Some(room) = self.frames.get_mut(start..start + HOP_FRAMES) else { return false };
        room.copy_from_slice(&hop.frames);
        self.len += HOP_FRAMES as u16;
        self.at = hop.at;
        true
    }

    /// The frames that are filled.
    pub fn frames(&self) -> &[i16] {
        &self.frames[..usize::from(self.len)]
    }

    /// Whether no frame is in it.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl std::fmt::Debug for Speech {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Speech({} frames at {})", self.len, self.at)
    }
}

/// The mean of one frame's channels, `[1 frame, channels] S16`.
pub fn mean(frame: &[i16]) -> i16 {
    let sum: i32 = frame.iter().map(|&sample| i32::from(sample)).sum();
    (sum / frame.len().max(1) as i32) as i16
}

/// A piece of the model's speech: `[frames, 1 channel] S16 @ rate`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Its rate, read from the MIME type.
    pub rate: Hertz,
    /// The frames.
    pub frames: Vec<i16>,
}
