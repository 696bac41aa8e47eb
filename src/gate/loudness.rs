//! How loud a hop is: against the level under which there is only silence, and against the noise in the room.

use crate::audio::HOP_FRAMES;

/// Full scale of a sample.
const FULL_SCALE: f64 = 32_768.0;

/// Compares hops with `silence_db` without taking a logarithm per hop.
#[derive(Clone, Copy, Debug)]
pub struct Loudness {
    /// Sum of squares of a hop that is exactly as loud as the threshold.
    threshold: u64,
}

impl Loudness {
    /// Hops of at least `silence_db` (RMS, dBFS) are loud.
    pub fn new(silence_db: f32) -> Loudness {
        let rms = FULL_SCALE * 10f64.powf(f64::from(silence_db) / 20.0);
        Loudness { threshold: (rms * rms * HOP_FRAMES as f64).ceil() as u64 }
    }

    /// Whether a hop (`[160 frames, 1 channel] S16`) is loud. A constant offset, which cheap microphones have, is not
    /// loudness.
    pub fn is_loud(self, frames: &[i16; HOP_FRAMES]) -> bool {
        energy(frames) >= self.threshold
    }
}

/// How far above the noise a hop must be to stand out, as a ratio of energies: 6 dB. Speech at 10 dB over
/// pink noise does, the noise's own swing seldom does for as long as an onset (tests/gate/noise*.wav).
const STANDS_OUT: u64 = 4;

/// Blocks over which the quietest moment is remembered, and hops in each: 2.5 s. Nobody speaks for so long
/// without a pause of 50 ms, and a fan that is switched on is noise after that.
const BLOCKS: usize = 10;
const BLOCK_HOPS: u32 = 25;

/// Hops that make a moment: 50 ms. A moment is as loud as its loudest hop, or the dips of noise would count.
const MOMENT_HOPS: usize = 5;

/// The noise in the room: the quietest moment of the last seconds.
///
/// The detector takes steady noise for voice (hum always, pink noise in one hop of eight), and without this
/// a fan would open the gate, or keep it open until the longest turn.
#[derive(Clone, Copy, Debug)]
pub struct NoiseFloor {
    moment: [u64; MOMENT_HOPS],
    next: usize,
    quietest: [u64; BLOCKS],
    block: usize,
    hops: u32,
    /// Hops until the first moment is whole.
    until_whole: usize,
}

impl NoiseFloor {
    /// A floor that has heard nothing yet: what comes first is taken for noise.
    pub fn new() -> NoiseFloor {
        NoiseFloor {
            moment: [0; MOMENT_HOPS],
            next: 0,
            quietest: [u64::MAX; BLOCKS],
            block: 0,
            hops: 0,
            until_whole: MOMENT_HOPS - 1,
        }
    }

    /// Takes the next hop (`[160 frames, 1 channel] S16`); answers whether it stands out of the noise.
    pub fn handle_hop(&mut self, frames: &[i16; HOP_FRAMES]) -> bool {
        self.handle_energy(energy(frames))
    }

    /// Takes the next hop's power, mean square of S16.
    pub fn handle_power(&mut self, power: f32) {
        self.handle_energy((power * HOP_FRAMES as f32) as u64);
    }

    /// The noise, mean square of S16; nothing before anything was heard.
    pub fn power(&self) -> Option<f32> {
        let floor = self.floor();
        (floor < u64::MAX).then_some(floor as f32 / HOP_FRAMES as f32)
    }

    /// Whether a hop stands out of the noise that is known, without learning from it.
    pub fn is_above(&self, frames: &[i16; HOP_FRAMES]) -> bool {
        energy(frames) >= self.floor().saturating_mul(STANDS_OUT)
    }

    fn floor(&self) -> u64 {
        self.quietest.iter().copied().min().unwrap_or(0)
    }

    fn handle_energy(&mut self, energy: u64) -> bool {
        self.moment[self.next] = energy;
        self.next = (self.next + 1) % MOMENT_HOPS;
        if self.hops == BLOCK_HOPS {
            self.hops = 0;
            self.block = (self.block + 1) % BLOCKS;
            self.quietest[self.block] = u64::MAX;
        }
        self.hops += 1;
        if self.until_whole > 0 {
            self.until_whole -= 1; // what begins may fade in
            return false;
        }
        let loudest = self.moment.iter().copied().max().unwrap_or(energy);
        self.quietest[self.block] = self.quietest[self.block].min(loudest);
        energy >= self.floor().saturating_mul(STANDS_OUT)
    }
}

impl Default for NoiseFloor {
    fn default() -> NoiseFloor {
        NoiseFloor::new()
    }
}

/// Sum of squares around the mean, of `[160 frames, 1 channel] S16`.
fn energy(frames: &[i16; HOP_FRAMES]) -> u64 {
    let mut sum = 0i64;
    let mut squares = 0u64;
    for &frame in frames {
        let frame = i64::from(frame);
        sum += frame;
        squares += (frame * frame) as u64;
    }
    squares.saturating_sub(sum.unsigned_abs().pow(2) / HOP_FRAMES as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn square_wave(amplitude: i16, offset: i16) -> [i16; HOP_FRAMES] {
        let mut frames = [offset; HOP_FRAMES];
        for (i, frame) in frames.iter_mut().enumerate() {
            *frame += if i % 2 == 0 { amplitude } else { -amplitude };
        }
        frames
    }

    #[test]
    fn a_square_wave_is_as_loud_as_its_amplitude() {
        let loudness = Loudness::new(-40.0); // 327.7 of 32768
        assert!(loudness.is_loud(&square_wave(328, 0)));
        assert!(!loudness.is_loud(&square_wave(327, 0)));
    }

    #[test]
    fn an_offset_is_not_loud() {
        let loudness = Loudness::new(-40.0);
        assert!(!loudness.is_loud(&square_wave(100, 9_000)));
        assert!(loudness.is_loud(&square_wave(400, -9_000)));
    }

    #[test]
    fn what_is_steady_does_not_stand_out() {
        let mut floor = NoiseFloor::new();
        let heard = |floor: &mut NoiseFloor, amplitude, hops| {
            (0..hops).filter(|_| floor.handle_hop(&square_wave(amplitude, 0))).count()
        };
        assert_eq!(heard(&mut floor, 100, 300), 0, "noise from the start");
        assert_eq!(heard(&mut floor, 199, 10), 0, "less than twice the noise");
        assert_eq!(heard(&mut floor, 200, 10), 10, "a voice above it");
        assert_eq!(heard(&mut floor, 100, 300), 0);
        let fan = heard(&mut floor, 1000, 1000);
        assert!((225..=275).contains(&fan), "a fan is noise after {fan} hops");
        heard(&mut floor, 100, 20);
        assert_eq!(heard(&mut floor, 1000, 10), 10, "and the room is quiet again at once");
    }

    #[test]
    fn the_extremes_do_not_overflow() {
        assert!(Loudness::new(-20.0).is_loud(&std::array::from_fn(|i| if i % 2 == 0 { i16::MIN } else { i16::MAX })));
        assert!(!Loudness::new(-90.0).is_loud(&[i16::MIN; HOP_FRAMES]));
    }
}
