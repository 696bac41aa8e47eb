//! Automatic activity detection, in the audio's own time: loud enough is speech, long quiet ends the turn.

use std::collections::VecDeque;

use super::Voice;
use crate::units::{Frames, Hertz};

/// Step of the detector, ms.
const HOP_MS: u32 = 10;
/// Above this a hop counts as speech: -40 dBFS, over a quiet room and under soft speech.
const LOUD_RMS: f64 = 327.0;
/// Loud hops that make a beginning: 50 ms, longer than a click.
const ONSET_HOPS: u32 = 5;
/// Sound kept from before the beginning, ms.
const LOOK_BACK_MS: u32 = 300;

/// The longest turn that is kept, s; a turn this long ends by itself.
pub(super) const VOICE_MAX_S: u32 = 600;

/// What the ear noticed.
#[derive(Debug, PartialEq)]
pub(super) enum Noticed {
    Started,
    Ended(Voice),
}

/// The detector.
pub(super) struct Ear {
    rate: Hertz,
    silence_hops: u32,
    /// Frames of a hop that is not full yet.
    rest: Vec<i16>,
    recent: VecDeque<i16>,
    loud_hops: u32,
    /// The turn's sound and the quiet hops at its end, while somebody talks.
    speech: Option<(Vec<i16>, u32)>,
}

impl Ear {
    pub(super) fn new(rate: Hertz, silence_ms: u32) -> Ear {
        Ear {
            rate,
            silence_hops: silence_ms.div_ceil(HOP_MS),
            rest: Vec::new(),
            recent: VecDeque::new(),
            loud_hops: 0,
            speech: None,
        }
    }

    pub(super) fn rate(&self) -> Hertz {
        self.rate
    }

    /// Listens to more sound: `[frames, 1 channel] S16` at the ear's rate.
    pub(super) fn listen(&mut self, frames: &[i16]) -> Vec<Noticed> {
        let mut noticed = Vec::new();
        let mut sound = std::mem::take(&mut self.rest);
        sound.extend_from_slice(frames);
        let hops = sound.chunks_exact(self.rate.frames_in_ms(HOP_MS).max(1));
        self.rest = hops.remainder().to_vec();
        for hop in hops {
            noticed.extend(self.hear(hop));
        }
        noticed
    }

    /// What was said so far of a turn that will not end.
    pub(super) fn cut(self) -> Option<Voice> {
        self.speech.map(|(frames, _)| Voice { rate: self.rate, frames: frames.into() })
    }

    fn hear(&mut self, hop: &[i16]) -> Option<Noticed> {
        let loud = rms(hop) >= LOUD_RMS;
        let Some((speech, quiet_hops)) = &mut self.speech else {
            self.loud_hops = if loud { self.loud_hops + 1 } else { 0 };
            self.recent.extend(hop);
            let excess = self.recent.len().saturating_sub(self.rate.frames_in_ms(LOOK_BACK_MS));
            self.recent.drain(..excess);
            if self.loud_hops < ONSET_HOPS {
                return None;
            }
            self.loud_hops = 0;
            self.speech = Some((self.recent.drain(..).collect(), 0));
            return Some(Noticed::Started);
        };
        speech.extend_from_slice(hop);
        *quiet_hops = if loud { 0 } else { *quiet_hops + 1 };
        let too_long = Frames(speech.len() as u64).as_ms(self.rate) >= u64::from(VOICE_MAX_S) * 1000;
        if *quiet_hops < self.silence_hops && !too_long {
            return None;
        }
        let (frames, _) = self.speech.take()?;
        Some(Noticed::Ended(Voice { rate: self.rate, frames: frames.into() }))
    }
}

fn rms(hop: &[i16]) -> f64 {
    let power: f64 = hop.iter().map(|sample| f64::from(*sample).powi(2)).sum();
    (power / hop.len().max(1) as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A square wave of the given peak: `[ms, 1 channel] S16 @ 16 kHz`.
    fn sound(peak: i16, ms: usize) -> Vec<i16> {
        (0..ms * 16).map(|n| if n % 32 < 16 { peak } else { -peak }).collect()
    }

    #[test]
    fn speech_then_quiet_is_one_turn_whatever_the_size_of_the_pieces() {
        let stream = [sound(3, 500), sound(4000, 600), sound(3, 300), sound(4000, 200), sound(3, 900)].concat();
        for piece in [1, 7, 160, 512, 16_000] {
            let mut ear = Ear::new(Hertz(16_000), 800);
            let noticed: Vec<_> = stream.chunks(piece).flat_map(|frames| ear.listen(frames)).collect();
            let [Noticed::Started, Noticed::Ended(voice)] = noticed.as_slice() else {
                panic!("pieces of {piece}: {noticed:?}")
            };
            // From 250 ms before the speech (the look-back less the onset) to 800 ms after it.
            assert_eq!(voice.frames.len(), (250 + 600 + 300 + 200 + 800) * 16, "pieces of {piece}");
        }
    }

    #[test]
    fn a_click_and_a_quiet_room_are_no_speech() {
        let mut ear = Ear::new(Hertz(16_000), 800);
        assert_eq!(ear.listen(&[sound(100, 2000), sound(9000, 30), sound(100, 2000)].concat()), []);
    }

    #[test]
    fn endless_noise_ends_at_the_limit() {
        let mut ear = Ear::new(Hertz(8000), 800);
        let mut ended = 0;
        for _ in 0..VOICE_MAX_S + 1 {
            let noise: Vec<i16> = (0..8000).map(|n| if n % 2 == 0 { 5000 } else { -5000 }).collect();
            ended += ear.listen(&noise).iter().filter(|noticed| matches!(noticed, Noticed::Ended(_))).count();
        }
        assert_eq!(ended, 1);
    }
}
