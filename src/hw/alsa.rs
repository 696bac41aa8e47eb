//! The ALSA driver: microphones and loudspeakers through libasound.
//!
//! Plain `readi` and `writei` on non-blocking PCMs with a poll of our own: mmap does not work on every board, and
//! blocking calls cannot be left. Each call is one step; what went wrong is reported as what to do about it
//! ([`PcmTrouble`]), and nothing is retried here.
//!
//! Rates: the device's nearest to 48 kHz unless the profile names one, in both directions. Asking a microphone for
//! 16 kHz would save the resampler (a tenth of a percent of a core), but many codecs share one clock between both
//! directions and refuse the loudspeaker another rate then, and cheap USB microphones fold what lies above 8 kHz
//! back. A plug's own conversion (linear) is kept out unless the profile's rate needs it.

mod capture;
mod errors;
pub mod offer;
mod playback;
mod setup;
mod stream;

use crate::audio::trouble::PcmTrouble;
use crate::config::board;
use crate::hw::{Capture, Playback};

/// Opens the microphone that `wanted` describes and starts it.
pub fn open_capture(wanted: &board::Pcm) -> Result<Box<dyn Capture>, PcmTrouble> {
    Ok(Box::new(capture::AlsaCapture::open(wanted)?))
}

/// Opens the loudspeaker that `wanted` describes; it stands until it is written to.
pub fn open_playback(wanted: &board::Pcm) -> Result<Box<dyn Playback>, PcmTrouble> {
    Ok(Box::new(playback::AlsaPlayback::open(wanted)?))
}
