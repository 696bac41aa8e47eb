//! The voice detector: voiced or not, hop by hop, behind a trait so that tests can script it.

use webrtc_vad::{SampleRate, VadMode};

use crate::audio::HOP_FRAMES;

/// A voice detector with memory of its own: give it every hop, in order, once.
///
/// Not `Send`: the library behind the real one owns a raw pointer. A gate and its detector are built in the
/// thread that runs them, so no unsafe promise is needed.
pub trait Vad {
    /// Whether the hop (`[160 frames, 1 channel] S16 @ 16 kHz`) sounds like voice.
    fn is_voiced(&mut self, frames: &[i16; HOP_FRAMES]) -> bool;
}

/// The detector of the WebRTC project: a Gaussian mixture over six bands, about 0.1 % of a small board's core.
///
/// It takes steady noise (hum, fans) for voice in every mode; [`NoiseFloor`](super::loudness::NoiseFloor)
/// makes up for that in hands-free listening.
pub struct WebRtc(webrtc_vad::Vad);

impl WebRtc {
    /// A detector in `mode` 0 (lets most through) to 3 (least); larger numbers mean 3.
    pub fn new(mode: u8) -> WebRtc {
        let mode = match mode {
            0 => VadMode::Quality,
            1 => VadMode::LowBitrate,
            2 => VadMode::Aggressive,
            _ => VadMode::VeryAggressive,
        };
        WebRtc(webrtc_vad::Vad::new_with_rate_and_mode(SampleRate::Rate16kHz, mode))
    }
}

impl Vad for WebRtc {
    fn is_voiced(&mut self, frames: &[i16; HOP_FRAMES]) -> bool {
        // The only error is a length the detector does not know, and the type rules that out.
        self.0.is_voice_segment(frames).unwrap_or(false)
    }
}

/// A detector that calls a hop voiced where its first sample is at least `VOICED_FROM`: for tests and
/// simulations, where the script decides what is voice.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scripted;

/// The smallest first sample that [`Scripted`] calls voice.
pub const VOICED_FROM: i16 = 1000;

impl Vad for Scripted {
    fn is_voiced(&mut self, frames: &[i16; HOP_FRAMES]) -> bool {
        frames[0] >= VOICED_FROM
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_are_not_voice_in_any_mode() {
        for mode in 0..=4 {
            let mut vad = WebRtc::new(mode);
            assert!((0..200).all(|_| !vad.is_voiced(&[0; HOP_FRAMES])), "mode {mode}");
        }
    }

    #[test]
    fn a_buzz_with_vowel_like_overtones_is_voice() {
        let mut vad = WebRtc::new(2);
        let mut voiced = 0;
        for hop in 0..100 {
            let mut frames = [0i16; HOP_FRAMES];
            for (i, frame) in frames.iter_mut().enumerate() {
                let t = (hop * HOP_FRAMES + i) as f32 / 16_000.0;
                let swell = 1.0 + (t * std::f32::consts::TAU * 4.0).sin();
                let tone = |hz: f32| (t * std::f32::consts::TAU * hz).sin();
                *frame = (2000.0 * swell * (tone(140.0) + tone(700.0) + 0.5 * tone(1200.0))) as i16;
            }
            voiced += u32::from(vad.is_voiced(&frames));
        }
        assert!(voiced > 50, "{voiced} of 100");
    }
}
