//! Power by bands of frequency, one row for each hop: what tells two voices apart that speak at once.

use std::f32::consts::TAU;
use std::sync::Arc;

use realfft::num_complex::Complex32;
use realfft::{RealFftPlanner, RealToComplex};

use super::align::Frames;
use crate::audio::HOP_FRAMES;

/// Two hops, 20 ms: short enough to see a syllable begin.
const WINDOW_FRAMES: usize = 2 * HOP_FRAMES;

/// Where each band begins and the last one ends, in steps of 50 Hz: 100 Hz wide up to 2 kHz, where a voice's
/// harmonics stand apart, then wider up to 7 kHz.
const EDGES: [usize; BANDS + 1] = [
    2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 32, 34, 36, 38, 40, 44, 48, 54, 60, 68, 76, 86, 98, 112,
    128, 141,
];

/// How many bands there are.
pub const BANDS: usize = 30;

/// Power in each band, mean square of S16, lowest band first.
pub type Bands = [f32; BANDS];

/// Turns hops into rows. Allocates only when made.
pub struct Spectrum {
    fft: Arc<dyn RealToComplex<f32>>,
    last: Frames,
    window: Vec<f32>,
    time: Vec<f32>,
    bins: Vec<Complex32>,
    scratch: Vec<Complex32>,
}

impl Spectrum {
    /// A spectrum that has heard silence.
    pub fn new() -> Spectrum {
        let fft = RealFftPlanner::new().plan_fft_forward(WINDOW_FRAMES);
        // A Hann window whose square has a sum of one: bands add up to the mean square.
        let hann = |n: usize| 0.5 - 0.5 * (TAU * (n as f32 + 0.5) / WINDOW_FRAMES as f32).cos();
        let scale = (2.0 / (WINDOW_FRAMES as f32 * 0.375 * WINDOW_FRAMES as f32)).sqrt();
        Spectrum {
            last: [0.0; HOP_FRAMES],
            window: (0..WINDOW_FRAMES).map(|n| scale * hann(n)).collect(),
            time: fft.make_input_vec(),
            bins: fft.make_output_vec(),
            scratch: fft.make_scratch_vec(),
            fft,
        }
    }

    /// Takes a hop (`[160 frames, 1 channel] f32 @ 16 kHz`, in units of S16); answers the powers in it and the one before.
    pub fn bands(&mut self, hop: &Frames) -> Bands {
        let (first, second) = self.time.split_at_mut(HOP_FRAMES);
        first.copy_from_slice(&self.last);
        second.copy_from_slice(hop);
        self.last = *hop;
        self.time.iter_mut().zip(&self.window).for_each(|(frame, weight)| *frame *= weight);
        // The only errors are lengths that do not fit, and all were made by the plan.
        let _ = self.fft.process_with_scratch(&mut self.time, &mut self.bins, &mut self.scratch);
        let bins = &self.bins;
        std::array::from_fn(|band| bins[EDGES[band]..EDGES[band + 1]].iter().map(Complex32::norm_sqr).sum())
    }
}

impl Default for Spectrum {
    fn default() -> Spectrum {
        Spectrum::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_is_in_its_band_with_its_power() {
        for (hz, band) in [(250.0, 1), (1050.0, 9), (3200.0, 23), (6700.0, 29)] {
            let mut spectrum = Spectrum::new();
            let mut bands = [0.0; BANDS];
            for hop in 0..3 {
                let tone = |i: usize| 1000.0 * (TAU * hz * (hop * HOP_FRAMES + i) as f32 / 16_000.0).sin();
                bands = spectrum.bands(&std::array::from_fn(tone));
            }
            let all: f32 = bands.iter().sum();
            assert!((all / 5e5 - 1.0).abs() < 0.05, "{hz} Hz: {all}");
            assert!(bands[band] > 0.7 * all, "{hz} Hz: {bands:?}");
        }
    }
}
