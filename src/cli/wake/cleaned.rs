//! Sound as the wake word's detector gets it while the device listens: through the gate's ears.
//!
//! What the canceller's high pass, noise suppression and gain control do to a voice is part of how the word sounds to
//! the detector. So the word is learned, and tried, behind the same settings of `[echo]`.

use crate::audio::{HOP_FRAMES, HOP_MS, Hop};
use crate::config::agent::Echo;
use crate::gate::ears::Ears;
use crate::units::Time;

/// Ears in a room in which no loudspeaker plays.
pub struct Cleaned {
    ears: Ears,
    hops: u64,
}

impl Cleaned {
    /// Ears made as `echo` says, that know nothing of the room yet.
    pub fn new(echo: &Echo) -> Cleaned {
        Cleaned { ears: Ears::new(echo), hops: 0 }
    }

    /// The next hop (`[160 frames, 1 channel] S16 @ 16 kHz`), cleaned.
    pub fn hear(&mut self, frames: &[i16; HOP_FRAMES]) -> [i16; HOP_FRAMES] {
        self.hops += 1;
        let at = Time::from_ms(self.hops * u64::from(HOP_MS));
        self.ears.hear(&Hop { at, frames: *frames }, false).hop.frames
    }

    /// A whole recording (`[frames, 1 channel] S16 @ 16 kHz`), cleaned; less than a hop at its end is left out.
    pub fn hear_all(&mut self, frames: &[i16]) -> Vec<i16> {
        frames.as_chunks().0.iter().flat_map(|hop| self.hear(hop)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::level::rms_dbfs;
    use crate::config::agent::{Agent, Canceller, NoiseSuppression};

    /// Three seconds of hiss.
    fn hiss() -> Vec<i16> {
        let mut seed = 1u32;
        let mut draw = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 20) as i16 - 2048
        };
        (0..3 * 16_000).map(|_| draw()).collect()
    }

    #[test]
    fn a_recording_is_cleaned_as_the_agent_file_says() {
        let off = Echo { canceller: Canceller::Off, noise_suppression: NoiseSuppression::Off, ..Agent::default().echo };
        assert_eq!(Cleaned::new(&off).hear_all(&hiss()), hiss(), "nothing is asked for");
        let strong = Echo { noise_suppression: NoiseSuppression::High, ..off };
        let cleaned = Cleaned::new(&strong).hear_all(&hiss());
        let late = |frames: &[i16]| rms_dbfs(&frames[frames.len() - 16_000..]).0;
        assert!(late(&cleaned) < late(&hiss()) - 12.0, "{} {}", late(&cleaned), late(&hiss()));
    }
}
