//! What the simulated microphone hears: noise from a seed, and sounds laid onto one time axis.

use std::collections::VecDeque;
use std::time::Duration;

use super::time_of;
use crate::audio::resample;
use crate::units::{Decibel, Hertz, Time};

/// Longest stock of sound waiting to be spoken: more is a mistake of the caller, not a conversation.
const QUEUE_MAX_S: u64 = 120;
/// Sounds in the stock.
const SOUNDS_MAX: usize = 64;

/// Why nothing was said.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SayTrouble {
    /// Too much is waiting.
    #[error("the simulated microphone has {QUEUE_MAX_S} s of sound waiting: say the next sound when these were heard")]
    Full,
    /// Not a rate that a recording has.
    #[error("a sound at {0} cannot be spoken: give a recording of 8000 to 192000 Hz")]
    Rate(Hertz),
}

struct Sound {
    starts: Time,
    ends: Time,
    /// `[frames, 1 channel] S16` at the microphone's rate.
    frames: Vec<i16>,
}

/// A recording at the microphone's rate.
pub(super) struct Recording {
    length: Duration,
    /// `[frames, 1 channel] S16` at the microphone's rate.
    frames: Vec<i16>,
}

impl Recording {
    /// Brings `frames` from `rate` to the microphone's. On a slow machine this takes as long as the sound itself:
    /// do it before the voice is locked and the time is read, or the microphone overruns and the sound is past
    /// before it is heard.
    pub(super) fn new(frames: &[i16], rate: Hertz, microphone: Hertz) -> Result<Recording, SayTrouble> {
        if !super::RATES.contains(&rate.0) {
            return Err(SayTrouble::Rate(rate));
        }
        let length = time_of(frames.len() as u64, rate);
        let frames = resample::whole(frames, rate, microphone).map_err(|_| SayTrouble::Rate(rate))?;
        Ok(Recording { length, frames })
    }
}

/// The sound in the room.
pub(super) struct Voice {
    rate: Hertz,
    noise_peak: i32,
    seed: u64,
    sounds: VecDeque<Sound>,
}

impl Voice {
    pub(super) fn new(rate: Hertz, noise: Decibel, seed: u64) -> Voice {
        // Evenly spread noise between ±peak has an RMS of peak / √3.
        let peak = if noise.0 < -90.0 { 0.0 } else { 32768.0 * 10f32.powf(noise.0.min(0.0) / 20.0) * 3f32.sqrt() };
        Voice { rate, noise_peak: peak.min(32767.0) as i32, seed, sounds: VecDeque::new() }
    }

    /// The microphone's rate.
    pub(super) fn rate(&self) -> Hertz {
        self.rate
    }

    /// Lays a recording onto the time axis, from `now` or from the end of what is said before it.
    pub(super) fn say(&mut self, recording: Recording, now: Time) -> Result<Time, SayTrouble> {
        self.sounds.retain(|sound| sound.ends + time_of(u64::from(self.rate.0), self.rate) > now);
        let starts = self.sounds.back().map_or(now, |last| last.ends.max(now));
        let ends = starts + recording.length;
        if self.sounds.len() >= SOUNDS_MAX || ends.since(now).as_secs() >= QUEUE_MAX_S {
            return Err(SayTrouble::Full);
        }
        self.sounds.push_back(Sound { starts, ends, frames: recording.frames });
        Ok(ends)
    }

    pub(super) fn hush(&mut self) {
        self.sounds.clear();
    }

    /// Fills `samples` (`[frames, channels] S16, interleaved`) with what a microphone that began at `began` heard
    /// from its frame `index` on. All is counted in that microphone's frames, so that neither a sound nor the
    /// noise depends on how one reads.
    pub(super) fn fill(&self, samples: &mut [i16], channels: usize, began: Time, index: u64) {
        for (i, frame) in samples.chunks_exact_mut(channels).enumerate() {
            frame.fill(self.noise(index + i as u64));
        }
        for sound in &self.sounds {
            let after = self.rate.frames_in(sound.starts.since(began)) as i64;
            let before = self.rate.frames_in(began.since(sound.starts)) as i64;
            let offset = after - before - index as i64;
            let (late, skip) = (offset.max(0) as usize, (-offset).max(0) as usize);
            let heard = sound.frames.iter().skip(skip);
            for (frame, &sample) in samples.chunks_exact_mut(channels).skip(late).zip(heard) {
                frame.iter_mut().for_each(|mixed| *mixed = mixed.saturating_add(sample));
            }
        }
    }

    fn noise(&self, index: u64) -> i16 {
        if self.noise_peak == 0 {
            return 0;
        }
        // SplitMix64's finisher over the frame's number: random access to a fixed sequence.
        let mut bits = (self.seed ^ index).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let bits = (bits ^ (bits >> 31)) >> 33;
        (bits as i64 % i64::from(2 * self.noise_peak + 1) - i64::from(self.noise_peak)) as i16
    }
}
