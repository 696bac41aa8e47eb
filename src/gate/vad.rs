//! The voice detector: voiced or not, hop by hop, behind a trait so that tests can script it.

use earshot::Detector;
use webrtc_vad::{SampleRate, VadMode};

use crate::audio::HOP_FRAMES;
use crate::config::agent::{Listen, VadKind};

/// A voice detector with memory of its own: give it every hop, in order, once.
///
/// Not `Send`: the library behind the real one owns a raw pointer. A gate and its detector are built in the
/// thread that runs them, so no unsafe promise is needed.
pub trait Vad {
    /// Whether the hop (`[160 frames, 1 channel] S16 @ 16 kHz`) sounds like voice.
    fn is_voiced(&mut self, frames: &[i16; HOP_FRAMES]) -> bool;
}

/// The detector that `listen.vad` names. One per stream: it remembers what it heard.
pub fn of(listen: &Listen) -> Box<dyn Vad> {
    match listen.vad {
        VadKind::WebRtc => Box::new(WebRtc::new(listen.vad_mode)),
        VadKind::Neural => Box::new(Neural::new(NEURAL_THRESHOLD)),
    }
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

/// Frames that [`Neural`] looks at together: 16 ms, what its network was trained on.
const WINDOW_FRAMES: usize = 256;

/// From this score on (0–1) a window is voice: less takes residual echo for it three times as often, more opens later
/// (`benches/VAD.md`).
pub const NEURAL_THRESHOLD: f32 = 0.5;

/// A small recurrent network over 40 mel bands (the crate earshot; its weights are part of the program), eight times the
/// cost of [`WebRtc`]. It does not take hum, fans and clicks for voice.
///
/// Its windows are longer than a hop: a hop in which a window ends has that window's answer, any other hop the answer
/// of the window before. So an answer knows all but the newest 14 ms at most.
pub struct Neural {
    detector: Detector,
    threshold: f32,
    window: [i16; WINDOW_FRAMES],
    filled: usize,
    is_voiced: bool,
}

impl Neural {
    /// A detector for which scores of at least `threshold` (0–1, see [`NEURAL_THRESHOLD`]) are voice.
    pub fn new(threshold: f32) -> Neural {
        let window = [0; WINDOW_FRAMES];
        Neural { detector: Detector::default(), threshold, window, filled: 0, is_voiced: false }
    }
}

impl Vad for Neural {
    fn is_voiced(&mut self, frames: &[i16; HOP_FRAMES]) -> bool {
        let (first, rest) = frames.split_at((WINDOW_FRAMES - self.filled).min(HOP_FRAMES));
        self.window[self.filled..self.filled + first.len()].copy_from_slice(first);
        self.filled += first.len();
        if self.filled == WINDOW_FRAMES {
            self.is_voiced = self.detector.predict_i16(&self.window) >= self.threshold;
            self.window[..rest.len()].copy_from_slice(rest);
            self.filled = rest.len();
        }
        self.is_voiced
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
    use crate::gate::tests::listen;

    /// How many of 100 hops of vowels (a buzz with formants that swells four times a second) are voice.
    fn voiced_hops(vad: &mut dyn Vad) -> usize {
        let sound = |t: f32| {
            let swell = 1.0 + (t * std::f32::consts::TAU * 4.0).sin();
            let strength = |hz: f32| {
                let near = |formant: f32, width: f32| 1.0 / (1.0 + ((hz - formant) / width).powi(2));
                near(700.0, 90.0) + 0.5 * near(1200.0, 120.0) + 0.2 * near(2500.0, 200.0) + 0.02
            };
            let buzz =
                |n: u8| strength(140.0 * f32::from(n)) * (t * std::f32::consts::TAU * 140.0 * f32::from(n)).sin();
            1500.0 * swell * (1..=24).map(buzz).sum::<f32>()
        };
        (0..100)
            .filter(|hop| {
                let frames = std::array::from_fn(|i| sound((hop * HOP_FRAMES + i) as f32 / 16_000.0) as i16);
                vad.is_voiced(&frames)
            })
            .count()
    }

    #[test]
    fn zeros_are_not_voice() {
        for mode in 0..=4 {
            let mut vad = WebRtc::new(mode);
            assert!((0..200).all(|_| !vad.is_voiced(&[0; HOP_FRAMES])), "mode {mode}");
        }
        let mut vad = Neural::new(NEURAL_THRESHOLD);
        assert!((0..200).all(|_| !vad.is_voiced(&[0; HOP_FRAMES])), "neural");
    }

    #[test]
    fn vowels_are_voice() {
        for kind in [VadKind::WebRtc, VadKind::Neural] {
            let voiced = voiced_hops(&mut *of(&Listen { vad: kind, ..listen() }));
            assert!(voiced > 50, "{kind:?}: {voiced} of 100");
        }
    }

    #[test]
    fn the_network_does_not_take_a_hum_for_a_voice() {
        let hum = |at: usize| (3000.0 * (at as f32 / 16_000.0 * std::f32::consts::TAU * 100.0).sin()) as i16;
        let mut vad = Neural::new(NEURAL_THRESHOLD);
        let voiced = (0..500).filter(|hop| vad.is_voiced(&std::array::from_fn(|i| hum(hop * HOP_FRAMES + i)))).count();
        assert!(voiced < 50, "{voiced} of 500");
    }

    #[test]
    fn windows_longer_than_hops_lose_no_frame() {
        // The same sound, given to the library in its own windows.
        let sound: Vec<i16> = (0..HOP_FRAMES * 80).map(|i| ((i * i) % 20_011) as i16 - 10_000).collect();
        let mut library = Detector::default();
        let scores: Vec<f32> = sound.chunks_exact(WINDOW_FRAMES).map(|window| library.predict_i16(window)).collect();
        let mut sorted = scores.clone();
        sorted.sort_by(f32::total_cmp);
        let median = sorted[sorted.len() / 2];
        assert!(sorted[0] < median, "scores that are all the same show nothing");
        let mut vad = Neural::new(median);
        for (number, hop) in sound.as_chunks::<HOP_FRAMES>().0.iter().enumerate() {
            let windows = (number + 1) * HOP_FRAMES / WINDOW_FRAMES;
            let expected = windows.checked_sub(1).is_some_and(|window| scores[window] >= median);
            assert_eq!(vad.is_voiced(hop), expected, "hop {number}");
        }
    }
}
