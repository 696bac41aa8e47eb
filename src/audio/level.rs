//! How loud a run of samples is, in dBFS.

use crate::units::Decibel;

/// What silence is called: the quietest level that 16 bits can show.
pub const FLOOR: Decibel = Decibel(-96.0);

/// RMS level of `samples` (`[frames, 1 channel] S16`); a full-scale square wave is 0, a full-scale sine −3.
/// [`FLOOR`] for silence and for nothing.
pub fn rms_dbfs(samples: &[i16]) -> Decibel {
    let power: i64 = samples.iter().map(|&s| i64::from(s) * i64::from(s)).sum();
    let amplitude = (power as f64 / samples.len().max(1) as f64).sqrt() / 32_768.0;
    Decibel((20.0 * amplitude.log10() as f32).max(FLOOR.0)) // the logarithm of nothing is −∞
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(level: Decibel, expected: f32) -> bool {
        (level.0 - expected).abs() < 0.05
    }

    #[test]
    fn known_signals_have_known_levels() {
        let square: Vec<i16> = (0..480).map(|n| if n % 2 == 0 { i16::MAX } else { i16::MIN }).collect();
        let sine: Vec<i16> =
            (0..4800).map(|n| (32_767.0 * (std::f64::consts::TAU * f64::from(n) / 48.0).sin()) as i16).collect();
        assert!(close(rms_dbfs(&square), 0.0));
        assert!(close(rms_dbfs(&sine), -3.01));
        assert!(close(rms_dbfs(&[3277; 160]), -20.0));
    }

    #[test]
    fn silence_and_nothing_are_at_the_floor() {
        for samples in [&[][..], &[0; 160][..]] {
            assert_eq!(rms_dbfs(samples), FLOOR);
        }
        assert!(rms_dbfs(&[1, 0, 0, 0, 0, 0, 0, 0]).0 >= FLOOR.0);
    }
}
