//! What a recording tells of a microphone, of a loudspeaker, and of the way between the two.
//!
//! Pure figures for `mynah doctor`. The test sound is a sweep: its energy is spread over time, so that it is found
//! far below the noise of a room, and its place is found to a fraction of a frame, so that two of them some seconds
//! apart tell two clocks apart by less than a part in a million.

use std::f64::consts::PI;
use std::time::Duration;

use super::level::{FLOOR, rms_dbfs};
use crate::units::{Decibel, Hertz, Time};

/// A block whose level is looked at by itself: the noise floor is the level of the quiet ones.
const BLOCK_MS: u32 = 20;
/// Share of blocks that are taken for quiet ones: the tenth part.
const QUIET_SHARE: usize = 10;
/// From here a sample is taken for clipped: converters stop a little short of the end.
const CLIPPED: u16 = 32_700;
/// Length of the sweep's rise and fall: a sound that begins at once clicks, and a click is everywhere in frequency.
const EDGE: f64 = 0.1;
/// How alike a recording and the sweep must be at the place where they are most alike, from 0 to 1. Of noise alone
/// it is 0.1 for a sweep of 200 ms; a loudspeaker in a live room gives 0.3 to 0.7, because its reflections count as
/// noise.
const LIKENESS_MIN: f64 = 0.2;

/// What one microphone gave for a while, with nobody speaking.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quiet {
    /// The loudest sample.
    pub peak: Decibel,
    /// RMS, without what is constant.
    pub rms: Decibel,
    /// Level of the quiet parts: the room, and the microphone's own noise.
    pub floor: Decibel,
    /// What is constant, percent of full scale, signed.
    pub dc_percent: f32,
    /// Share of samples at the end of the scale, percent.
    pub clipped_percent: f32,
    /// Difference of the greatest and the least sample.
    pub spread: u32,
}

impl Quiet {
    /// Measures `samples` (`[frames, 1 channel] S16 @ rate`).
    pub fn of(samples: &[i16], rate: Hertz) -> Quiet {
        let count = samples.len().max(1) as f64;
        let mean = samples.iter().map(|&sample| f64::from(sample)).sum::<f64>() / count;
        let centred: Vec<i16> = samples
            .iter()
            .map(|&sample| (f64::from(sample) - mean).round().clamp(-32_768.0, 32_767.0) as i16)
            .collect();
        let mut levels: Vec<f32> =
            centred.chunks_exact(rate.frames_in_ms(BLOCK_MS).max(1)).map(|block| rms_dbfs(block).0).collect();
        levels.sort_by(f32::total_cmp);
        let clipped = samples.iter().filter(|sample| sample.unsigned_abs() >= CLIPPED).count();
        let (least, most) = (samples.iter().min(), samples.iter().max());
        let peak = samples.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or(0);
        Quiet {
            peak: Decibel((20.0 * (f32::from(peak) / 32_768.0).log10()).max(FLOOR.0)),
            rms: rms_dbfs(&centred),
            floor: Decibel(levels.get(levels.len() / QUIET_SHARE).copied().unwrap_or(FLOOR.0)),
            dc_percent: (mean / 327.68) as f32,
            clipped_percent: (clipped as f64 / count * 100.0) as f32,
            spread: least.zip(most).map_or(0, |(least, most)| u32::from(most.abs_diff(*least))),
        }
    }
}

/// A tone that rises from 300 Hz to 4 kHz (what any loudspeaker of such a device can play), `[frames, 1 channel] S16`.
/// `share` of full scale.
pub fn sweep(rate: Hertz, length: Duration, share: f64) -> Vec<i16> {
    let (low, high) = (300.0, 4000.0);
    let frames = rate.frames_in(length);
    let seconds = length.as_secs_f64();
    let sample = |frame: u64| {
        let part = frame as f64 / frames as f64;
        let time = part * seconds;
        let phase = 2.0 * PI * (low * time + (high - low) * time * time / (2.0 * seconds));
        let edge = (part.min(1.0 - part) / EDGE).min(1.0);
        let rise = 0.5 - 0.5 * (PI * edge).cos();
        (32_767.0 * share * rise * phase.sin()) as i16
    };
    (0..frames).map(sample).collect()
}

/// Where a sound was found in a recording.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Found {
    /// The recording's frame at which the sound begins, with its fraction.
    pub at_frames: f64,
    /// How alike the two are there, from 0 to 1.
    pub likeness: f64,
}

/// Looks for `sound` in `recording` (both `[frames, 1 channel] S16` of one rate): where they are most alike.
pub fn find(recording: &[i16], sound: &[i16]) -> Option<Found> {
    if sound.is_empty() || recording.len() < sound.len() {
        return None;
    }
    let recording = without_constant(recording);
    let sound = without_constant(sound);
    let power = |frames: &[f32]| frames.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>();
    let own = power(&sound);
    let mut beside = power(&recording[..sound.len()]);
    let mut likenesses = Vec::with_capacity(recording.len() - sound.len() + 1);
    for at in 0..=recording.len() - sound.len() {
        let piece = &recording[at..at + sound.len()];
        let product: f64 = f64::from(piece.iter().zip(&sound).map(|(a, b)| a * b).sum::<f32>());
        likenesses.push(product / (own * beside).sqrt().max(1.0));
        if let Some(next) = recording.get(at + sound.len()) {
            beside = (beside + f64::from(*next).powi(2) - f64::from(piece[0]).powi(2)).max(0.0);
        }
    }
    let (at, likeness) = likenesses.iter().enumerate().max_by(|a, b| a.1.abs().total_cmp(&b.1.abs()))?;
    let likeness = likeness.abs(); // a loudspeaker may be wired the wrong way round
    (likeness >= LIKENESS_MIN).then(|| Found { at_frames: at as f64 + fraction(&likenesses, at), likeness })
}

fn without_constant(samples: &[i16]) -> Vec<f32> {
    let mean = samples.iter().map(|&sample| f64::from(sample)).sum::<f64>() / samples.len().max(1) as f64;
    samples.iter().map(|&sample| f32::from(sample) - mean as f32).collect()
}

/// How far the top of the parabola through the largest value and its neighbours lies beside it.
fn fraction(values: &[f64], at: usize) -> f64 {
    let (Some(before), Some(after)) = (at.checked_sub(1).and_then(|n| values.get(n)), values.get(at + 1)) else {
        return 0.0;
    };
    let bend = before - 2.0 * values[at] + after;
    if bend.abs() < 1e-12 { 0.0 } else { (0.5 * (before - after) / bend).clamp(-0.5, 0.5) }
}

/// When each frame of a stream passed, from many observations with errors of a millisecond and more each.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line {
    /// When frame 0 passed, seconds.
    pub began_s: f64,
    /// Seconds from frame to frame.
    pub frame_s: f64,
}

impl Line {
    /// The line nearest to all observations (frame, when it passed); none for fewer than two.
    pub fn through(seen: &[(f64, Time)]) -> Option<Line> {
        let count = seen.len() as f64;
        let time = |at: &Time| at.as_us() as f64 / 1e6;
        let mean_frame = seen.iter().map(|(frame, _)| frame).sum::<f64>() / count;
        let mean_s = seen.iter().map(|(_, at)| time(at)).sum::<f64>() / count;
        let spread = seen.iter().map(|(frame, _)| (frame - mean_frame).powi(2)).sum::<f64>();
        let slope = seen.iter().map(|(frame, at)| (frame - mean_frame) * (time(at) - mean_s)).sum::<f64>() / spread;
        (seen.len() > 1 && slope.is_finite() && slope > 0.0)
            .then_some(Line { began_s: mean_s - slope * mean_frame, frame_s: slope })
    }

    /// When `frame` passed, seconds.
    pub fn at_s(&self, frame: f64) -> f64 {
        self.began_s + self.frame_s * frame
    }

    /// How much faster than `rate` the device's clock is, parts in a million, by this machine's clock.
    pub fn fast_ppm(&self, rate: Hertz) -> f64 {
        (1.0 / (self.frame_s * f64::from(rate.0)) - 1.0) * 1e6
    }
}

/// How much faster the microphone's clock is than the loudspeaker's, parts in a million: two sounds that were played
/// `played_frames` of a clock apart were heard `heard_frames` of the other apart, both counted at one rate.
pub fn drift_ppm(played_frames: f64, heard_frames: f64) -> f64 {
    (heard_frames / played_frames - 1.0) * 1e6
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const RATE: Hertz = Hertz(16_000);

    /// Noise of an RMS, always the same.
    fn noise(frames: usize, rms: f64) -> Vec<f64> {
        let mut bits = 1u64;
        let mut next = || {
            bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (bits >> 40) as f64 / f64::from(1 << 23) - 1.0
        };
        (0..frames).map(|_| next() * rms * 3f64.sqrt()).collect()
    }

    fn samples(values: impl Iterator<Item = f64>) -> Vec<i16> {
        values.map(|value| value.round().clamp(-32_768.0, 32_767.0) as i16).collect()
    }

    /// The sweep at `at` frames, with its fraction, `gain` times as loud, in noise.
    fn recorded(at: &[f64], gain: f64, noise_rms: f64) -> Vec<i16> {
        let length = 0.2;
        let mut heard = noise(3 * 16_000, noise_rms);
        for at in at {
            for (frame, heard) in heard.iter_mut().enumerate() {
                let part = (frame as f64 - at) / (length * 16_000.0);
                if (0.0..1.0).contains(&part) {
                    let time = part * length;
                    let phase = 2.0 * PI * (300.0 * time + 3700.0 * time * time / (2.0 * length));
                    let edge = (part.min(1.0 - part) / EDGE).min(1.0);
                    *heard += gain * 16_383.5 * (0.5 - 0.5 * (PI * edge).cos()) * phase.sin();
                }
            }
        }
        samples(heard.into_iter())
    }

    fn the_sweep() -> Vec<i16> {
        sweep(RATE, Duration::from_millis(200), 0.5)
    }

    #[test]
    fn level_floor_constant_and_clipping_are_found() {
        let near =
            |found: f32, expected: f32, by: f32| assert!((found - expected).abs() <= by, "{found}, not {expected}");
        let quiet = Quiet::of(&samples(noise(32_000, 100.0).into_iter()), RATE);
        near(quiet.rms.0, -50.3, 0.3);
        near(quiet.floor.0, -50.6, 0.6);
        near(quiet.dc_percent, 0.0, 0.01);
        near(quiet.clipped_percent, 0.0, 0.0);

        let shifted = Quiet::of(&samples(noise(32_000, 100.0).into_iter().map(|x| x + 3276.8)), RATE);
        near(shifted.dc_percent, 10.0, 0.05);
        near(shifted.rms.0, -50.3, 0.3);

        let speech = noise(32_000, 10.0).into_iter().enumerate().map(|(n, x)| if n > 16_000 { 100.0 * x } else { x });
        near(Quiet::of(&samples(speech), RATE).floor.0, -70.3, 1.0);

        let loud = Quiet::of(&samples(noise(32_000, 32_767.0).into_iter()), RATE);
        near(loud.peak.0, 0.0, 0.01);
        near(loud.clipped_percent, 42.4, 1.0); // what lies beyond 1/√3 of an even spread

        let flat = Quiet::of(&[700; 1600], RATE);
        assert_eq!((flat.spread, flat.rms, flat.floor), (0, FLOOR, FLOOR));
        assert_eq!(Quiet::of(&[], RATE).peak, FLOOR);
    }

    #[test]
    fn a_sweep_is_found_in_noise_to_a_fraction_of_a_frame() {
        for (at, gain, noise_rms) in
            [(0.0, 1.0, 0.0), (12_345.25, 0.1, 30.0), (777.5, -0.02, 100.0), (30_000.75, 0.5, 2000.0)]
        {
            let found = find(&recorded(&[at], gain, noise_rms), &the_sweep()).unwrap();
            assert!((found.at_frames - at).abs() < 0.3, "{found:?}, not {at}");
        }
        assert_eq!(find(&recorded(&[], 0.0, 300.0), &the_sweep()), None, "there is none in noise");
        assert_eq!(find(&[0; 48_000], &the_sweep()), None, "nor in silence");
        assert_eq!(find(&[0; 10], &the_sweep()), None, "nor in what is shorter");
    }

    #[test]
    fn the_drift_of_two_clocks_is_found_by_two_sweeps() {
        for ppm in [-100.0, 0.0, 3.0, 50.0, 150.0] {
            let played = 40_000.0;
            let heard = played * (1.0 + ppm * 1e-6);
            let recording = recorded(&[1000.0, 1000.0 + heard], 0.2, 50.0);
            let first = find(&recording[..16_000], &the_sweep()).unwrap().at_frames;
            let second = find(&recording[32_000..], &the_sweep()).unwrap().at_frames + 32_000.0;
            let found = drift_ppm(played, second - first);
            assert!((found - ppm).abs() < 5.0, "{found} ppm, not {ppm}");
        }
    }

    #[test]
    fn a_line_through_late_observations_tells_when_a_frame_passed_and_how_fast_the_clock_is() {
        let lateness = noise(500, 300.0);
        for ppm in [-80.0, 0.0, 120.0] {
            let frame_s = 1.0 / (16_000.0 * (1.0 + ppm * 1e-6));
            let seen: Vec<(f64, Time)> = lateness
                .iter()
                .enumerate()
                .map(|(n, late_us)| {
                    let frame = n as f64 * 160.0;
                    (frame, Time::from_us((2e6 + frame * frame_s * 1e6 + late_us) as u64))
                })
                .collect();
            let line = Line::through(&seen).unwrap();
            assert!((line.began_s - 2.0).abs() < 0.0002, "{line:?}");
            assert!((line.fast_ppm(RATE) - ppm).abs() < 20.0, "{} ppm, not {ppm}", line.fast_ppm(RATE));
            assert!((line.at_s(16_000.0) - 2.0 - 16_000.0 * frame_s).abs() < 0.0002);
        }
        assert_eq!(Line::through(&[(0.0, Time::ZERO)]), None);
        assert_eq!(Line::through(&[(5.0, Time::ZERO), (5.0, Time::from_ms(1))]), None);
    }
}
