//! The table of the device's own sounds: the built-in figures, each of which the owner may replace by a recording.

use super::figure;
use crate::audio::{Chunk, DOWNLINK_RATE, resample};
use crate::flow::Cue;
use crate::units::{Frames, Hertz};

/// Longest recording, ms: cues are not cut, and no flush ends one; longer would be talking over people.
pub const SOUND_MS_MAX: u64 = 1000;
/// A recording whose loudest frame lies below this, about −46 dBFS, is not heard: it is a mistake.
const PEAK_MIN: u16 = 164;

/// Each cue with the name of the file that replaces it, without `.wav`.
pub const NAMES: [(Cue, &str); 12] = [
    (Cue::Listening, "listening"),
    (Cue::Heard, "heard"),
    (Cue::Thinking, "thinking"),
    (Cue::Error, "error"),
    (Cue::Offline, "offline"),
    (Cue::Muted, "muted"),
    (Cue::Unmuted, "unmuted"),
    (Cue::Reset, "reset"),
    (Cue::Again, "again"),
    (Cue::Lost, "lost"),
    (Cue::Spent, "spent"),
    (Cue::Ring, "ring"),
];

/// Why a recording cannot be one of the device's sounds; each is the end of a sentence that begins with the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SoundTrouble {
    /// It is too long.
    #[error("lasts {ms} ms, and a sound of the device lasts {SOUND_MS_MAX} ms at most: cut it")]
    TooLong {
        /// Its length.
        ms: u64,
    },
    /// Nothing is to be heard in it.
    #[error("is as good as silent: record it louder, or take it away")]
    Silent,
    /// Its rate.
    #[error("cannot be used: {0}")]
    Rate(#[from] resample::ResampleTrouble),
}

/// What each cue sounds like. Allocates only when a recording is put in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sounds {
    /// In the order of [`NAMES`]: `[frames, 1 channel] S16 @ 24 kHz`, the rate at which nearly every turn is played.
    recorded: [Option<Box<[i16]>>; NAMES.len()],
}

impl Sounds {
    /// Lets `cue` sound like `recording`, as loud as that is (a built-in figure peaks at −15 dBFS).
    ///
    /// # Errors
    /// A recording that is too long, silent, or of a rate that cannot be resampled; the sound stays as it is.
    pub fn replace(&mut self, cue: Cue, recording: &Chunk) -> Result<(), SoundTrouble> {
        let ms = Frames(recording.frames.len() as u64).as_ms(Hertz(recording.rate.0.max(1)));
        if ms > SOUND_MS_MAX {
            return Err(SoundTrouble::TooLong { ms });
        }
        if recording.frames.iter().all(|frame| frame.unsigned_abs() < PEAK_MIN) {
            return Err(SoundTrouble::Silent);
        }
        let frames = resample::whole(&recording.frames, recording.rate, DOWNLINK_RATE)?;
        self.recorded[place(cue)] = Some(frames.into_boxed_slice());
        Ok(())
    }

    /// Length of what `cue` sounds like, in frames at `rate`.
    pub fn length(&self, cue: Cue, rate: Hertz) -> usize {
        match &self.recorded[place(cue)] {
            None => figure::length(cue, rate),
            Some(frames) => (frames.len() as u64 * u64::from(rate.0)).div_ceil(u64::from(DOWNLINK_RATE.0)) as usize,
        }
    }

    /// The frame `at` of what `cue` sounds like (`S16 @ rate`); 0 past its end. At a rate other than the recording's it
    /// lies on the straight line between two frames: good enough for a second of sound in a turn of a rare rate.
    pub fn sample(&self, cue: Cue, at: usize, rate: Hertz) -> i16 {
        let Some(frames) = &self.recorded[place(cue)] else { return figure::sample(cue, at, rate) };
        let scaled = at as u64 * u64::from(DOWNLINK_RATE.0);
        let (whole, rest) = ((scaled / u64::from(rate.0)) as usize, scaled % u64::from(rate.0));
        let frame = |n: usize| frames.get(n).map_or(0.0, |&frame| f64::from(frame));
        let part = rest as f64 / f64::from(rate.0);
        (frame(whole) + (frame(whole + 1) - frame(whole)) * part).round() as i16
    }
}

/// Where in [`NAMES`] a cue stands.
const fn place(cue: Cue) -> usize {
    match cue {
        Cue::Listening => 0,
        Cue::Heard => 1,
        Cue::Thinking => 2,
        Cue::Error => 3,
        Cue::Offline => 4,
        Cue::Muted => 5,
        Cue::Unmuted => 6,
        Cue::Reset => 7,
        Cue::Again => 8,
        Cue::Lost => 9,
        Cue::Spent => 10,
        Cue::Ring => 11,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn tone(rate: u32, ms: u32, hz: f64) -> Chunk {
        let rate = Hertz(rate);
        let step = std::f64::consts::TAU * hz / f64::from(rate.0);
        Chunk { rate, frames: (0..rate.frames_in_ms(ms)).map(|n| (9000.0 * (step * n as f64).sin()) as i16).collect() }
    }

    fn sounding(sounds: &Sounds, cue: Cue, rate: Hertz) -> Vec<i16> {
        (0..sounds.length(cue, rate)).map(|at| sounds.sample(cue, at, rate)).collect()
    }

    #[test]
    fn every_cue_has_its_place_and_its_file() {
        for (at, (cue, name)) in NAMES.iter().enumerate() {
            assert_eq!(place(*cue), at, "{name}");
            assert_eq!(*name, format!("{cue:?}").to_lowercase());
        }
    }

    #[test]
    fn a_recording_of_any_rate_sounds_the_same_in_turns_of_any_rate() {
        for from in [8000, 16_000, 22_050, 24_000, 44_100, 48_000] {
            for at in [16_000, 24_000, 48_000].map(Hertz) {
                let mut sounds = Sounds::default();
                sounds.replace(Cue::Heard, &tone(from, 200, 1000.0)).unwrap();
                let sound = sounding(&sounds, Cue::Heard, at);
                assert!(sound.len().abs_diff(at.frames_in_ms(200)) <= 2, "{from} at {at}: {} frames", sound.len());
                let rises = sound.windows(2).filter(|pair| pair[0] < 0 && pair[1] >= 0).count();
                assert!((198..=201).contains(&rises), "{from} at {at}: {rises} periods of 1 kHz in 200 ms");
                let peak = sound[sound.len() / 4..sound.len() / 2].iter().max().unwrap();
                assert!((8400..=9300).contains(peak), "{from} at {at}: a peak of {peak}");
                assert_eq!(sounds.sample(Cue::Heard, sound.len() + 1, at), 0, "and is over");
            }
        }
    }

    #[test]
    fn at_its_own_rate_it_is_what_was_recorded_and_the_others_stay() {
        let mut sounds = Sounds::default();
        let recording = tone(24_000, 100, 800.0);
        sounds.replace(Cue::Lost, &recording).unwrap();
        assert_eq!(sounding(&sounds, Cue::Lost, DOWNLINK_RATE), recording.frames);
        assert_eq!(sounds.sample(Cue::Again, 500, DOWNLINK_RATE), figure::sample(Cue::Again, 500, DOWNLINK_RATE));
    }

    #[test]
    fn what_is_too_long_silent_or_of_no_rate_is_refused_and_the_figure_stays() {
        let mut sounds = Sounds::default();
        let long = sounds.replace(Cue::Error, &tone(48_000, 1001, 800.0));
        assert_eq!(long, Err(SoundTrouble::TooLong { ms: 1001 }));
        let silent = Chunk { rate: Hertz(48_000), frames: vec![30; 4800] };
        assert_eq!(sounds.replace(Cue::Error, &silent), Err(SoundTrouble::Silent));
        let odd = Chunk { rate: Hertz(0), frames: vec![9000; 100] };
        assert!(matches!(sounds.replace(Cue::Error, &odd), Err(SoundTrouble::TooLong { .. } | SoundTrouble::Rate(_))));
        assert_eq!(sounds, Sounds::default());
    }
}
