//! What the wake word's matcher looks at: mel cepstra and how they move, one row of numbers for every hop.
//!
//! The usual recipe of template matching (Davis and Mermelstein 1980; Young et al., The HTK Book, 5.4 and 5.9):
//! pre-emphasis, 25 ms windows every 10 ms, a bank of triangular mel filters, logarithm, cosine transform, sine
//! lifter, then a slope over five rows. Coefficient 0, the loudness, is left out: the word counts, not how loud.

use std::collections::VecDeque;
use std::f32::consts::PI;
use std::sync::Arc;

use realfft::num_complex::Complex32;
use realfft::{RealFftPlanner, RealToComplex};

use crate::audio::{HOP_FRAMES, UPLINK_RATE};

/// Cepstral coefficients 1 to 12.
pub const CEPSTRA: usize = 12;
/// Numbers in a row: the cepstra, then the slope of each.
pub const DIMS: usize = 2 * CEPSTRA;
/// Rows that a row comes after its hop: its slope looks so far ahead, and half its window lies there too.
pub const DELAY_HOPS: usize = SLOPE_REACH;

/// `[cepstra, then slopes]` of one hop.
pub type Row = [f32; DIMS];

const WINDOW_FRAMES: usize = 400; // 25 ms: two periods of the deepest voice
const FFT_FRAMES: usize = 512;
const BINS: usize = FFT_FRAMES / 2 + 1;
const BANDS: usize = 26;
/// Below lies hum, above the microphone's and the resampler's edge.
const BAND_HZ: (f32, f32) = (120.0, 6800.0);
const PRE_EMPHASIS: f32 = 0.97;
const LIFTER: f32 = 22.0;
/// Rows on either side that a slope is fitted to.
const SLOPE_REACH: usize = 2;
/// A slope is smaller than a cepstrum; with this both weigh about the same in a distance.
const SLOPE_WEIGHT: f32 = 2.5;
/// Added to the power in a band: what 16 bits cannot show is not told apart from silence. Masking whatever lies 25 dB
/// below the loudest was tried as well: noise then moves a row less, but strange words look like the owner's (false
/// finds in other people's speech went from none to 46 an hour at the usual threshold).
const POWER_FLOOR: f32 = 1e3;

/// Turns hops into rows. Allocates only when made.
pub struct FrontEnd {
    fft: Arc<dyn RealToComplex<f32>>,
    /// The newest window's frames after pre-emphasis, oldest first.
    frames: [f32; WINDOW_FRAMES],
    last_frame: f32,
    window: Vec<f32>,
    filters: Vec<Filter>,
    cosines: Vec<[f32; BANDS]>,
    time: Vec<f32>,
    spectrum: Vec<Complex32>,
    scratch: Vec<Complex32>,
    /// The newest cepstra, oldest first, as many as a slope needs.
    recent: VecDeque<[f32; CEPSTRA]>,
}

/// A triangular filter: the first bin it touches, and its weights from there.
struct Filter {
    first: usize,
    weights: Vec<f32>,
}

impl Default for FrontEnd {
    fn default() -> FrontEnd {
        FrontEnd::new()
    }
}

impl FrontEnd {
    /// A front end that has heard silence.
    pub fn new() -> FrontEnd {
        let fft = RealFftPlanner::new().plan_fft_forward(FFT_FRAMES);
        FrontEnd {
            frames: [0.0; WINDOW_FRAMES],
            last_frame: 0.0,
            window: hamming(),
            filters: filters(),
            cosines: cosines(),
            time: fft.make_input_vec(),
            spectrum: fft.make_output_vec(),
            scratch: fft.make_scratch_vec(),
            fft,
            recent: VecDeque::with_capacity(2 * SLOPE_REACH + 2),
        }
    }

    /// Takes a hop (`[160 frames, 1 channel] S16 @ 16 kHz`) and gives the row of the one [`DELAY_HOPS`] before it;
    /// nothing while there are too few.
    pub fn push(&mut self, hop: &[i16; HOP_FRAMES]) -> Option<Row> {
        self.frames.copy_within(HOP_FRAMES.., 0);
        for (frame, &sample) in self.frames[WINDOW_FRAMES - HOP_FRAMES..].iter_mut().zip(hop) {
            let sample = f32::from(sample);
            *frame = sample - PRE_EMPHASIS * self.last_frame;
            self.last_frame = sample;
        }
        if self.recent.len() > 2 * SLOPE_REACH {
            self.recent.pop_front();
        }
        let cepstra = self.cepstra();
        self.recent.push_back(cepstra);
        (self.recent.len() > 2 * SLOPE_REACH).then(|| self.row())
    }

    /// Forgets what was heard.
    pub fn reset(&mut self) {
        self.frames = [0.0; WINDOW_FRAMES];
        self.last_frame = 0.0;
        self.recent.clear();
    }

    fn cepstra(&mut self) -> [f32; CEPSTRA] {
        for ((point, frame), weight) in self.time.iter_mut().zip(&self.frames).zip(&self.window) {
            *point = frame * weight;
        }
        self.time[WINDOW_FRAMES..].fill(0.0);
        // The only errors are lengths that do not fit, and all were made by the plan.
        let _ = self.fft.process_with_scratch(&mut self.time, &mut self.spectrum, &mut self.scratch);
        let mut bands = [0.0; BANDS];
        for (band, filter) in bands.iter_mut().zip(&self.filters) {
            let bins = &self.spectrum[filter.first..];
            *band = bins.iter().zip(&filter.weights).map(|(bin, weight)| bin.norm_sqr() * weight).sum();
        }
        for band in &mut bands {
            *band = (*band + POWER_FLOOR).ln();
        }
        let mut cepstra = [0.0; CEPSTRA];
        for (cepstrum, cosines) in cepstra.iter_mut().zip(&self.cosines) {
            *cepstrum = bands.iter().zip(cosines).map(|(band, cosine)| band * cosine).sum();
        }
        cepstra
    }

    /// The row in the middle of what is kept.
    fn row(&self) -> Row {
        let mut row = [0.0; DIMS];
        row[..CEPSTRA].copy_from_slice(&self.recent[SLOPE_REACH]);
        let norm: f32 = (1..=SLOPE_REACH).map(|reach| 2.0 * (reach * reach) as f32).sum();
        for (n, slope) in row[CEPSTRA..].iter_mut().enumerate() {
            let rise = |reach: usize| self.recent[SLOPE_REACH + reach][n] - self.recent[SLOPE_REACH - reach][n];
            let sum: f32 = (1..=SLOPE_REACH).map(|reach| reach as f32 * rise(reach)).sum();
            *slope = SLOPE_WEIGHT * sum / norm;
        }
        row
    }
}

fn hamming() -> Vec<f32> {
    let step = 2.0 * PI / (WINDOW_FRAMES - 1) as f32;
    (0..WINDOW_FRAMES).map(|n| 0.54 - 0.46 * (step * n as f32).cos()).collect()
}

fn mel(hz: f32) -> f32 {
    1127.0 * (1.0 + hz / 700.0).ln()
}

/// Triangles that overlap by half, evenly spread on the mel scale.
fn filters() -> Vec<Filter> {
    let (low, high) = (mel(BAND_HZ.0), mel(BAND_HZ.1));
    let edge = |n: usize| low + (high - low) * n as f32 / (BANDS + 1) as f32;
    let mel_of = |bin: usize| mel(bin as f32 * UPLINK_RATE.0 as f32 / FFT_FRAMES as f32);
    let filter = |band: usize| {
        let (from, peak, to) = (edge(band), edge(band + 1), edge(band + 2));
        let weight = |bin: usize| ((mel_of(bin) - from) / (peak - from)).min((to - mel_of(bin)) / (to - peak));
        let first = (0..BINS).find(|&bin| weight(bin) > 0.0).unwrap_or(0);
        Filter { first, weights: (first..BINS).map(weight).take_while(|&weight| weight > 0.0).collect() }
    };
    (0..BANDS).map(filter).collect()
}

/// The rows of the cosine transform, each times its lifter, which lets high coefficients weigh as much as low ones.
fn cosines() -> Vec<[f32; BANDS]> {
    let scale = (2.0 / BANDS as f32).sqrt();
    let row = |n: usize| {
        let lifter = 1.0 + LIFTER / 2.0 * (PI * n as f32 / LIFTER).sin();
        std::array::from_fn(|band| scale * lifter * (PI * n as f32 / BANDS as f32 * (band as f32 + 0.5)).cos())
    };
    (1..=CEPSTRA).map(row).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// Rows of a vowel-like buzz of `hz` with formants there, at `level`.
    fn rows(formants: [f32; 2], level: f32) -> Vec<Row> {
        let mut front = FrontEnd::new();
        let sample = |n: usize| {
            let t = n as f32 / 16_000.0;
            let overtone = |k: usize| {
                let hz = 120.0 * k as f32;
                let near = formants.iter().map(|f| (-((hz - f) / 150.0).powi(2)).exp()).sum::<f32>() + 0.01;
                near * (2.0 * PI * hz * t).sin()
            };
            (level * (1..50).map(overtone).sum::<f32>()) as i16
        };
        (0..30).filter_map(|hop| front.push(&std::array::from_fn(|n| sample(hop * HOP_FRAMES + n)))).collect()
    }

    fn distance(a: &Row, b: &Row) -> f32 {
        a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f32>().sqrt()
    }

    #[test]
    fn loudness_is_not_in_a_row_and_the_vowel_is() {
        let (soft, loud) = (rows([700.0, 1200.0], 2000.0), rows([700.0, 1200.0], 6000.0));
        let other = rows([300.0, 2300.0], 2000.0);
        let same = distance(&soft[15], &loud[15]);
        let different = distance(&soft[15], &other[15]);
        assert!(different > 10.0 * same, "{same} {different}");
    }

    #[test]
    fn a_row_comes_two_hops_after_its_hop_and_a_steady_sound_has_no_slope() {
        let mut front = FrontEnd::new();
        let given: Vec<bool> = (0..7).map(|_| front.push(&[0; HOP_FRAMES]).is_some()).collect();
        assert_eq!(given, [false, false, false, false, true, true, true]);
        // The same hop again and again is the same window again and again, once a window has passed.
        let hop: [i16; HOP_FRAMES] = std::array::from_fn(|n| ((n * 7919) % 2000) as i16 - 1000);
        let rows: Vec<Row> = (0..12).filter_map(|_| front.push(&hop)).collect();
        let slope = |row: &Row| row[CEPSTRA..].iter().map(|x| x.abs()).fold(0.0, f32::max);
        assert!(slope(&rows[1]) > 1.0 && slope(&rows[11]) < 0.01, "{} {}", slope(&rows[1]), slope(&rows[11]));
    }

    #[test]
    fn every_filter_has_weight_and_none_reaches_beyond_the_spectrum() {
        for filter in filters() {
            assert!(!filter.weights.is_empty() && filter.first + filter.weights.len() <= BINS);
        }
    }

    #[test]
    fn what_was_reset_gives_the_same_rows_again() {
        let mut front = FrontEnd::new();
        let hop: [i16; HOP_FRAMES] = std::array::from_fn(|n| ((n * 7919) % 2000) as i16 - 1000);
        let mut play = || (0..9).filter_map(|_| front.push(&hop)).collect::<Vec<Row>>();
        let first = play();
        front.reset();
        let again: Vec<Row> = (0..9).filter_map(|_| front.push(&hop)).collect();
        assert_eq!(first, again);
    }
}
