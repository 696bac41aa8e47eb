//! What the loudspeaker leaves in a signal, band by band: learned while nobody speaks, expected afterwards.
//!
//! The power in a band is expected to be a sum of four parts, each a gain times something that is known of the far end:
//! what it plays in that band now (the direct sound), what it played in the last 20 ms and in the last 90 ms (the room's
//! reverberation), and the square of its power in all bands (what a loudspeaker that is driven hard adds where
//! nothing was played). The gains follow the upper end of what was left. How far what was left strayed above that
//! is learned too: a band that surprises often must surprise more to count.
//!
//! A voice stands out of this although the loudspeaker is as loud as it: nearly always there are bands in which
//! the one speaks and the other does not.

use super::spectrum::{BANDS, Bands};

/// How much of an average of the far end is kept from hop to hop: reverberation that fades by 2 and by 0.5 dB a hop.
const FADES: [f32; 2] = [0.63, 0.89];

/// What the far end plays is taken in these parts.
const PARTS: usize = 4;

/// How fast a gain follows, dB a hop, up and down: at rest one hop of seven lies above what is expected.
const GAIN_UP_DB: f32 = 0.13;
const GAIN_DOWN_DB: f32 = 0.023;
/// At the start so much faster, and for how many hops.
const EAGER: f32 = 8.0;
const EAGER_HOPS: f32 = 30.0;
/// A gain is never further from one than this, as a ratio of powers.
const GAIN_MIN: f32 = 1e-7;
const GAIN_MAX: f32 = 1e4;

/// How fast the margin follows, dB a hop: at rest one hop of a hundred lies above it.
const MARGIN_UP_DB: f32 = 0.4;
const MARGIN_DOWN_DB: f32 = 0.004;
/// What is added to a margin, and its limits, dB.
const MARGIN_ABOVE_DB: f32 = 1.0;
const MARGIN_START_DB: f32 = 3.0;
const MARGIN_MAX_DB: f32 = 25.0;

/// So far above its margin a band counts in full, dB: two bands in full are a voice's, one is a whistle's.
const FULL_DB: f32 = 8.0;

/// How much of what a driven loudspeaker adds is left a hop later: the room fades by 1 dB a hop.
const DRIVEN_FADES: f32 = 0.8;

/// The power of the far end in all bands whose square is as loud as itself: a reply at full volume, S16².
const LOUD: f32 = 1e7;

/// Noise is taken this much louder than it is on average: a window of 20 ms swings.
const NOISE_SWINGS: f32 = 1.4;

/// … and so is what a driven loudspeaker adds, which depends on more than power.
const DRIVEN_SWINGS: f32 = 2.0;

/// What the far end plays, by the parts that it leaves in a signal.
#[derive(Clone, Copy, Debug)]
pub struct Sources {
    loudest: Bands,
    faded: [Bands; 2],
    driven: f32,
}

impl Sources {
    /// Nothing was played.
    pub const SILENT: Sources = Sources { loudest: [0.0; BANDS], faded: [[0.0; BANDS]; 2], driven: 0.0 };

    /// Takes what bears on the next hop of the signal: the loudest of the far end's hops that may be heard in it, and the
    /// one that is, as far as is known.
    pub fn handle_hop(&mut self, loudest: &Bands, now: &Bands) {
        self.loudest = *loudest;
        for (faded, keep) in self.faded.iter_mut().zip(FADES) {
            for (faded, now) in faded.iter_mut().zip(now) {
                *faded = *faded * keep + now * (1.0 - keep);
            }
        }
        let all = loudest.iter().sum::<f32>() / LOUD;
        self.driven = (LOUD / BANDS as f32 * all * all).max(self.driven * DRIVEN_FADES);
    }

    fn of(&self, band: usize) -> [f32; PARTS] {
        [self.loudest[band], self.faded[0][band], self.faded[1][band], self.driven]
    }
}

/// What stands out of a hop.
#[derive(Clone, Copy, Debug)]
pub struct Excess {
    /// Bands that stand out, each counted in full from 8 dB above its margin on; 0 to 30.
    pub bands: f32,
    /// How far each band lies above what is expected, dB.
    pub above_db: Bands,
}

/// What is expected of one signal.
pub struct Leak {
    gains: [Bands; PARTS],
    margins_db: Bands,
    margin_min_db: f32,
    parts: [Bands; PARTS],
    learned: Bands,
    noise: Noise,
}

impl Leak {
    /// Nothing learned; at first the signal is expected to hold `gain` of what is played (a ratio of powers). No band
    /// stands out by less than `margin_min_db`.
    pub fn new(gain: f32, margin_min_db: f32) -> Leak {
        Leak {
            gains: [gain, 0.1 * gain, 0.1 * gain, 0.01 * gain].map(|gain| [gain; BANDS]),
            margins_db: [MARGIN_START_DB; BANDS],
            margin_min_db,
            parts: [[0.0; BANDS]; PARTS],
            learned: [0.0; BANDS],
            noise: Noise::default(),
        }
    }

    /// Compares the signal's powers in the next hop with what is to be expected of what was played.
    pub fn compare(&mut self, powers: &Bands, sources: &Sources) -> Excess {
        let mut excess = Excess { bands: 0.0, above_db: [0.0; BANDS] };
        for (band, &power) in powers.iter().enumerate() {
            let mut expected = 0.0;
            for (part, source) in sources.of(band).into_iter().enumerate() {
                self.parts[part][band] = self.gains[part][band] * source;
                expected += self.parts[part][band];
            }
            expected += (DRIVEN_SWINGS - 1.0) * self.parts[PARTS - 1][band] + NOISE_SWINGS * self.noise.powers[band];
            let above_db = db(power) - db(expected);
            let margin_db = self.margin_min_db.max(self.margins_db[band] + MARGIN_ABOVE_DB);
            excess.above_db[band] = above_db;
            excess.bands += ((above_db - margin_db) / FULL_DB).clamp(0.0, 1.0);
        }
        excess
    }

    /// The power that the loudspeaker was expected to leave in the hop compared last, mean square of S16.
    pub fn echo(&self) -> f32 {
        self.parts.iter().flatten().sum()
    }

    /// Learns the gains from the hop compared last, in which nobody spoke.
    pub fn learn(&mut self, excess: &Excess) {
        for band in 0..BANDS {
            let echo: f32 = self.parts.iter().map(|part| part[band]).sum();
            // Where the noise covers the echo, the noise would be learned.
            if echo <= NOISE_SWINGS * self.noise.powers[band] {
                continue;
            }
            let eager = 1.0 + EAGER * (-self.learned[band] / EAGER_HOPS).exp();
            self.learned[band] += 1.0;
            let step_db = eager * if excess.above_db[band] > 0.0 { GAIN_UP_DB } else { -GAIN_DOWN_DB };
            for (gains, part) in self.gains.iter_mut().zip(&self.parts) {
                // Each part as far as it had a part in it.
                let by = 10f32.powf(step_db * part[band] / echo / 10.0);
                gains[band] = (gains[band] * by).clamp(GAIN_MIN, GAIN_MAX);
            }
        }
    }

    /// Learns how far bands stray from a hop in which nobody spoke.
    pub fn learn_margins(&mut self, above_db: &Bands) {
        for (margin_db, &above_db) in self.margins_db.iter_mut().zip(above_db) {
            *margin_db += if above_db > *margin_db { MARGIN_UP_DB } else { -MARGIN_DOWN_DB };
            *margin_db = margin_db.clamp(0.0, MARGIN_MAX_DB);
        }
    }

    /// Learns the noise from a hop in which the loudspeaker cannot be heard.
    pub fn learn_noise(&mut self, powers: &Bands) {
        self.noise.learn(powers);
    }
}

/// The noise in each band.
#[derive(Default)]
struct Noise {
    powers: Bands,
    hops: u32,
}

/// How fast the noise is followed, dB a hop: who speaks for three seconds raises it by 6 dB.
const NOISE_STEP_DB: f32 = 0.05;
/// The first hops are averaged: 0.3 s.
const NOISE_FIRST_HOPS: u32 = 30;
/// Under this there is no noise: what 16 bits cannot show.
const NOISE_MIN: f32 = 0.3;

impl Noise {
    fn learn(&mut self, powers: &Bands) {
        self.hops = self.hops.saturating_add(1);
        let step = 10f32.powf(NOISE_STEP_DB / 10.0);
        for (noise, &power) in self.powers.iter_mut().zip(powers) {
            if self.hops <= NOISE_FIRST_HOPS {
                *noise += (power - *noise) / self.hops as f32;
            } else {
                *noise *= if power > *noise { step } else { 1.0 / step };
            }
            *noise = noise.max(NOISE_MIN);
        }
    }
}

/// A power in dB; nothing is softer than −30.
fn db(power: f32) -> f32 {
    10.0 * power.max(1e-3).log10()
}

#[cfg(test)]
mod tests {
    use super::super::room::Dice;
    use super::*;

    /// A far end that plays in every third band by turns, at the power of loud speech, and what a room leaves of it.
    fn hop(dice: &mut Dice, sources: &mut Sources, number: usize, gain: f32) -> Bands {
        let loud =
            |band: usize| if (band + number / 20).is_multiple_of(3) { 1e5 * (1.0 + 0.5 * dice.roll()) } else { 10.0 };
        let now: Bands = std::array::from_fn(loud);
        sources.handle_hop(&now, &now);
        now.map(|power| gain * power + 5.0)
    }

    fn learned(gain: f32) -> (Leak, Sources, Dice) {
        let (mut leak, mut sources, mut dice) = (Leak::new(1.0, 3.0), Sources::SILENT, Dice(1));
        (0..100).for_each(|_| leak.learn_noise(&[5.0; BANDS]));
        for number in 0..3000 {
            let powers = hop(&mut dice, &mut sources, number, gain);
            let excess = leak.compare(&powers, &sources);
            leak.learn(&excess);
            leak.learn_margins(&excess.above_db);
        }
        (leak, sources, dice)
    }

    #[test]
    fn what_was_learned_does_not_stand_out_and_a_voice_as_loud_does() {
        for gain in [10.0, 0.3, 0.01] {
            let (mut leak, mut sources, mut dice) = learned(gain);
            let (mut alone, mut over) = (0.0f32, 0.0f32);
            for number in 3000..3200 {
                let mut powers = hop(&mut dice, &mut sources, number, gain);
                alone = alone.max(leak.compare(&powers, &sources).bands);
                // A voice has harmonics everywhere.
                powers.iter_mut().step_by(2).for_each(|power| *power += gain * 1e5);
                over += leak.compare(&powers, &sources).bands / 200.0;
            }
            assert!(alone < 1.0, "gain {gain}: {alone} bands stand out of echo alone");
            assert!(over > 5.0, "gain {gain}: {over} bands of a voice");
        }
    }

    #[test]
    fn the_margin_of_a_band_that_strays_now_and_then_grows() {
        let (mut leak, mut sources, mut dice) = learned(0.3);
        let mut stood_out = [0.0f32; 2];
        for number in 3000..9000 {
            let mut powers = hop(&mut dice, &mut sources, number, 0.3);
            let strays = number % 40 < 2;
            powers[1] *= if strays { 100.0 } else { 1.0 };
            let excess = leak.compare(&powers, &sources);
            leak.learn_margins(&excess.above_db);
            stood_out[usize::from(number >= 8000)] += excess.bands;
        }
        assert!(stood_out[0] > 10.0 && stood_out[1] < 3.0, "{stood_out:?}");
    }
}
