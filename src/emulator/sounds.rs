//! What the emulated model can say: sounds by name, tones, and its rate.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::audio::{DOWNLINK_RATE, resample};
use crate::units::Hertz;

/// The longest sound a script may say; a client's speaker holds a minute.
pub const SOUND_MAX: Duration = Duration::from_secs(60);

/// Level of a tone's peak: -12 dBFS, as loud as speech.
const TONE_PEAK: f64 = 8231.0;

/// Fade at both ends of a tone, so that it starts and ends without a click.
const TONE_FADE_FRAMES: usize = 240; // 10 ms at 24 kHz

/// A recording and what is said in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Sound {
    /// Its rate.
    pub rate: Hertz,
    /// `[frames, 1 channel] S16 @ rate`.
    pub frames: Arc<[i16]>,
    /// What is said in it; empty where nothing is.
    pub text: String,
}

/// The sounds that a script may name.
#[derive(Clone, Debug, Default)]
pub struct Sounds(BTreeMap<String, Sound>);

impl Sounds {
    /// No sounds yet.
    pub fn new() -> Sounds {
        Sounds::default()
    }

    /// Adds a sound, or replaces the one of that name. A name is one word: `lamp_on`, `hello.wav`.
    pub fn insert(&mut self, name: impl Into<String>, sound: Sound) {
        self.0.insert(name.into(), sound);
    }

    /// The sound of that name.
    pub fn get(&self, name: &str) -> Option<&Sound> {
        self.0.get(name)
    }

    /// All names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

/// `frames` (`[frames, 1 channel] S16 @ rate`) at the rate of the downlink, band-limited.
/// A rate the resampler refuses gives no sound.
pub(super) fn to_downlink(frames: &[i16], rate: Hertz) -> Arc<[i16]> {
    if rate == DOWNLINK_RATE || frames.is_empty() {
        return frames.into();
    }
    resample::whole(frames, rate, DOWNLINK_RATE).unwrap_or_default().into()
}

/// A sine of `pitch`, audible and easily told from another: `[frames, 1 channel] S16 @ 24 kHz`.
pub(super) fn tone(pitch: Hertz, length: Duration) -> Arc<[i16]> {
    let len = frames_in(length);
    let step = std::f64::consts::TAU * f64::from(pitch.0) / f64::from(DOWNLINK_RATE.0);
    let sample = |index: usize| {
        let fade = index.min(len - 1 - index).min(TONE_FADE_FRAMES) as f64 / TONE_FADE_FRAMES as f64;
        (TONE_PEAK * fade * (step * index as f64).sin()).round() as i16
    };
    (0..len).map(sample).collect()
}

/// Zeros: `[frames, 1 channel] S16 @ 24 kHz`.
pub(super) fn silence(length: Duration) -> Arc<[i16]> {
    std::iter::repeat_n(0, frames_in(length)).collect()
}

/// Frames at the downlink's rate in `length`.
pub(super) fn frames_in(length: Duration) -> usize {
    DOWNLINK_RATE.frames_in(length) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Strength of `pitch` in `frames`, as an amplitude.
    fn amplitude(frames: &[i16], pitch: f64, rate: f64) -> f64 {
        let (mut re, mut im) = (0.0, 0.0);
        for (index, sample) in frames.iter().enumerate() {
            let angle = std::f64::consts::TAU * pitch * index as f64 / rate;
            re += f64::from(*sample) * angle.cos();
            im += f64::from(*sample) * angle.sin();
        }
        2.0 * re.hypot(im) / frames.len() as f64
    }

    #[test]
    fn a_voice_keeps_its_pitch_its_level_and_its_length_on_the_way_to_24_khz() {
        for rate in [8_000_u32, 16_000, 44_100, 48_000] {
            let second: Vec<i16> = (0..rate)
                .map(|n| (10_000.0 * (std::f64::consts::TAU * 1000.0 * f64::from(n) / f64::from(rate)).sin()) as i16)
                .collect();
            let out = to_downlink(&second, Hertz(rate));
            assert!(out.len().abs_diff(24_000) <= 1, "from {rate} Hz: {}", out.len());
            let middle = &out[2400..21_600];
            assert!((amplitude(middle, 1000.0, 24_000.0) - 10_000.0).abs() < 100.0, "from {rate} Hz");
            assert!(amplitude(middle, 7000.0, 24_000.0) < 20.0, "an image from {rate} Hz");
        }
    }

    #[test]
    fn a_tone_has_its_pitch_and_neither_end_clicks() {
        let tone = tone(Hertz(440), Duration::from_millis(500));
        assert_eq!(tone.len(), 12_000);
        assert_eq!((tone[0], tone[11_999]), (0, 0));
        assert!(amplitude(&tone[1200..10_800], 440.0, 24_000.0) > 8000.0);
    }

    #[test]
    fn nothing_stays_nothing() {
        assert!(to_downlink(&[], Hertz(16_000)).is_empty());
        assert!(tone(Hertz(440), Duration::ZERO).is_empty());
        assert_eq!(silence(Duration::from_millis(20)).len(), 480);
    }
}
