//! The demo's recordings: what the user asks and what the emulated model answers.
//!
//! Made by `sounds/make.sh` from two synthetic voices, so they are free to ship.

use std::io::Cursor;

use crate::audio::wav::{self, WavTrouble};
use crate::units::Hertz;

/// A recording in the binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recording {
    /// Its name in scripts; the user's begin with `ask_`, the model's with `say_`.
    pub name: &'static str,
    /// What is said in it.
    pub text: &'static str,
    /// The WAV file: 16 bit, mono.
    pub wav: &'static [u8],
}

macro_rules! recording {
    ($name:literal, $text:literal) => {
        Recording { name: $name, text: $text, wav: include_bytes!(concat!("sounds/", $name, ".wav")) }
    };
}

/// All recordings.
pub const RECORDINGS: [Recording; 10] = [
    recording!("ask_hello", "Hello! What can you do?"),
    recording!("ask_lamp", "Please switch on the lamp."),
    recording!("ask_bird", "Tell me something about the mynah bird."),
    recording!("ask_stop", "Thank you, that is enough. Goodbye!"),
    recording!("say_hello", "Hello! I can talk, and I can switch the lamp."),
    recording!("say_lamp", "The lamp is on now."),
    recording!(
        "say_bird",
        "The mynah is a bird of the starling family. It lives in Asia, and it is famous for its voice: a tame \
         mynah repeats what people say, and nobody can tell who spoke."
    ),
    recording!("say_goodbye", "Goodbye! See you soon."),
    recording!("ask_see", "What do you see?"),
    recording!("say_see", "I see a lamp and a clock."),
];

/// The recording of that name.
pub fn named(name: &str) -> Option<&'static Recording> {
    RECORDINGS.iter().find(|recording| recording.name == name)
}

impl Recording {
    /// Its sound: `[frames, 1 channel] S16 @ rate`. Errors are those of a WAV that is none; the tests read all.
    pub fn frames(&self) -> Result<(Vec<i16>, Hertz), WavTrouble> {
        wav::decode(Cursor::new(self.wav), self.name).map(|sound| (sound.frames, sound.rate))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn every_recording_is_speech_of_the_right_kind() {
        for recording in RECORDINGS {
            let spec = hound::WavReader::new(Cursor::new(recording.wav)).unwrap().spec();
            assert_eq!((spec.channels, spec.bits_per_sample), (1, 16), "{}", recording.name);
            let (frames, rate) = recording.frames().unwrap();
            let is_user = recording.name.starts_with("ask_");
            assert_eq!(rate, Hertz(if is_user { 16_000 } else { 24_000 }), "{}", recording.name);
            let seconds = frames.len() as f64 / f64::from(rate.0);
            // A person says two to four words a second.
            let words = recording.text.split_whitespace().count() as f64;
            assert!((0.2..0.8).contains(&(seconds / words)), "{}: {seconds} s, {words} words", recording.name);
            let peak = frames.iter().map(|sample| sample.unsigned_abs()).max().unwrap();
            let expected = if is_user { 11_627 } else { 23_198 };
            assert!(peak.abs_diff(expected) < 200, "{}: {peak}", recording.name);
        }
    }

    #[test]
    fn all_recordings_together_stay_small() {
        assert!(RECORDINGS.iter().map(|recording| recording.wav.len()).sum::<usize>() < 1_000_000);
    }
}
