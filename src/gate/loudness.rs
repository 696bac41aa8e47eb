//! How loud a hop is: above the level under which there is only silence, or not.

use crate::audio::{HOP_FRAMES, Hop};

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

    /// Whether the hop is loud. A constant offset, which cheap microphones have, is not loudness.
    pub fn is_loud(self, hop: &Hop) -> bool {
        energy(&hop.frames) >= self.threshold
    }
}

/// Sum of squares around the mean, of `[160 frames, 1 channel] S16`.
fn energy(frames: &[i16; HOP_FRAMES]) -> u64 {
    let mut sum = 0i64;
    let mut squares = 0u64;
    for &frame in frames {
        sum += i64::from(frame);
        squares += u64::from(frame.unsigned_abs()).pow(2);
    }
    squares.saturating_sub(sum.unsigned_abs().pow(2) / HOP_FRAMES as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Time;

    fn square_wave(amplitude: i16, offset: i16) -> Hop {
        let mut frames = [offset; HOP_FRAMES];
        for (i, frame) in frames.iter_mut().enumerate() {
            *frame += if i % 2 == 0 { amplitude } else { -amplitude };
        }
        Hop { at: Time::ZERO, frames }
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
    fn the_extremes_do_not_overflow() {
        assert!(Loudness::new(-20.0).is_loud(&Hop {
            at: Time::ZERO,
            frames: std::array::from_fn(|i| if i % 2 == 0 { i16::MIN } else { i16::MAX }),
        }));
        assert!(!Loudness::new(-90.0).is_loud(&Hop { at: Time::ZERO, frames: [i16::MIN; HOP_FRAMES] }));
    }
}
