//! A mono, stateful, band-limited resampler that takes input of any length.
//!
//! `rubato` does the work; here its block size is chosen. A block is as short as the two rates and a filter
//! of 80 points allow, and divides 10 ms where it can, so that a 10 ms period gives 10 ms at once
//! and the filter's delay (half a block) stays within 5 ms. Rates with too small a common divisor (44 099 Hz)
//! would need a block of up to a second: they get the slower sinc interpolator instead.

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Async, Fft, FixedAsync, FixedSync, SincInterpolationParameters, WindowFunction};

use crate::units::Hertz;

/// Rates that are taken, in Hz: below and above there is no sound card, only a mistake in a file.
pub const RATES: std::ops::RangeInclusive<u32> = 1_000..=768_000;

/// Shortest filter, in points at the lower rate. With a Blackman-Harris window the pass band then reaches
/// 0.9 of the lower Nyquist frequency (7.2 kHz at 16 kHz) and what lies above is 90 dB down.
const TAPS_MIN: usize = 80;
/// Longest block the FFT may need, ms: 11.025 → 16 kHz needs 40.
const BLOCK_MS_MAX: usize = 40;
/// Filter length of the sinc interpolator, in points at the lower rate.
const SINC_TAPS: usize = 96;

/// Why there is no resampler between two rates.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResampleTrouble {
    /// A rate that no device has.
    #[error("sound at {0} cannot be resampled: rates from 1000 to 768000 Hz can")]
    Rate(Hertz),
    /// The library refuses; its sentence.
    #[error("no resampler from {from} to {to}: {why}")]
    Refused {
        /// Rate in.
        from: Hertz,
        /// Rate out.
        to: Hertz,
        /// The library's words.
        why: String,
    },
}

/// Carries `[frames, 1 channel] S16` from one rate to another. Allocates only when made.
pub struct Resampler {
    from: Hertz,
    to: Hertz,
    engine: Option<Engine>,
}

/// The library's resampler with the buffers around it; absent where the rates are equal.
struct Engine {
    inner: Box<dyn rubato::Resampler<f32>>,
    /// One block of input; the first `filled` are waiting.
    block: Vec<f32>,
    filled: usize,
    result: Vec<f32>,
    samples: Vec<i16>,
}

impl Resampler {
    /// Makes a resampler; equal rates pass through without delay.
    pub fn new(from: Hertz, to: Hertz) -> Result<Resampler, ResampleTrouble> {
        for rate in [from, to] {
            if !RATES.contains(&rate.0) {
                return Err(ResampleTrouble::Rate(rate));
            }
        }
        let engine = if from == to { None } else { Some(Engine::new(from, to)?) };
        Ok(Resampler { from, to, engine })
    }

    /// The rate of what is pushed.
    pub fn from_rate(&self) -> Hertz {
        self.from
    }

    /// The rate of what comes out.
    pub fn to_rate(&self) -> Hertz {
        self.to
    }

    /// Takes `input`, of any length, and hands what is ready to `sink`, in order, a block at a time.
    pub fn push(&mut self, input: &[i16], mut sink: impl FnMut(&[i16])) {
        match &mut self.engine {
            None => sink(input),
            Some(engine) => engine.push(input, &mut sink),
        }
    }

    /// How much later a sound comes out than it went in, in frames at the rate out: the filter's delay.
    pub fn delay_frames(&self) -> usize {
        self.engine.as_ref().map_or(0, |engine| engine.inner.output_delay())
    }

    /// Frames that went in and wait for their block to fill, at the rate in.
    pub fn pending_frames(&self) -> usize {
        self.engine.as_ref().map_or(0, |engine| engine.filled)
    }

    /// The most frames that come out when `input_frames` are pushed.
    pub fn output_frames_max(&self, input_frames: usize) -> usize {
        match &self.engine {
            None => input_frames,
            Some(engine) => (input_frames / engine.block.len() + 1) * engine.result.len(),
        }
    }

    /// Forgets what it heard: the next frame is the first.
    pub fn reset(&mut self) {
        if let Some(engine) = &mut self.engine {
            engine.inner.reset();
            engine.filled = 0;
        }
    }
}

/// A whole sound, `frames` (`[frames, 1 channel] S16 @ from`), at the rate `to`: as long as before, without delay.
pub fn whole(frames: &[i16], from: Hertz, to: Hertz) -> Result<Vec<i16>, ResampleTrouble> {
    let mut resampler = Resampler::new(from, to)?;
    let delay = resampler.delay_frames();
    let length = (frames.len() as u64 * u64::from(to.0)).div_ceil(u64::from(from.0)) as usize;
    let mut out = Vec::with_capacity(delay + length);
    resampler.push(frames, |part| out.extend_from_slice(part));
    while out.len() < delay + length {
        resampler.push(&[0; 64], |part| out.extend_from_slice(part)); // pushes out what the filter holds
    }
    out.drain(..delay);
    out.truncate(length);
    Ok(out)
}

impl Engine {
    fn new(from: Hertz, to: Hertz) -> Result<Engine, ResampleTrouble> {
        let refused =
            |why: rubato::ResamplerConstructionError| ResampleTrouble::Refused { from, to, why: why.to_string() };
        let window = WindowFunction::BlackmanHarris;
        let (rate_in, rate_out) = (from.0 as usize, to.0 as usize);
        let inner: Box<dyn rubato::Resampler<f32>> = match fft_block(from, to) {
            Some(block) => Box::new(
                Fft::<f32>::new_custom(rate_in, rate_out, block, 1, 1, window, FixedSync::Both).map_err(refused)?,
            ),
            None => {
                let ratio = rate_out as f64 / rate_in as f64;
                let parameters = SincInterpolationParameters::new(sinc_taps(from, to), window);
                let block = (rate_in / 100).max(1);
                Box::new(Async::<f32>::new_sinc(ratio, 1.0, &parameters, block, 1, FixedAsync::Input).map_err(refused)?)
            }
        };
        let block = vec![0.0; inner.input_frames_max()];
        let result = vec![0.0; inner.output_frames_max()];
        let samples = vec![0; result.len()];
        Ok(Engine { inner, block, filled: 0, result, samples })
    }

    fn push(&mut self, mut input: &[i16], sink: &mut impl FnMut(&[i16])) {
        while !input.is_empty() {
            let room = &mut self.block[self.filled..];
            let (now, later) = input.split_at(input.len().min(room.len()));
            for (place, &sample) in room.iter_mut().zip(now) {
                *place = f32::from(sample);
            }
            self.filled += now.len();
            input = later;
            if self.filled == self.block.len() {
                self.filled = 0;
                let frames = self.run_block();
                sink(&self.samples[..frames]);
            }
        }
    }

    /// Resamples the full block; answers the frames that are now in `samples`.
    fn run_block(&mut self) -> usize {
        let (frames_in, frames_out) = (self.block.len(), self.result.len());
        let done = match (
            InterleavedSlice::new(&self.block[..], 1, frames_in),
            InterleavedSlice::new_mut(&mut self.result[..], 1, frames_out),
        ) {
            (Ok(input), Ok(mut output)) => self.inner.process_into_buffer(&input, &mut output, None),
            _ => return 0, // cannot be: both slices are as long as they say
        };
        debug_assert!(done.is_ok(), "the buffers have the sizes the resampler asked for");
        let frames = done.map_or(0, |(_, written)| written);
        for (sample, &value) in self.samples.iter_mut().zip(&self.result[..frames]) {
            *sample = value.round() as i16; // the cast saturates
        }
        frames
    }
}

/// The shortest good block for the FFT, in frames at the rate in, or none where the rates allow only long ones.
fn fft_block(from: Hertz, to: Hertz) -> Option<usize> {
    let (rate_in, rate_out) = (from.0 as usize, to.0 as usize);
    let common = greatest_common_divisor(rate_in, rate_out);
    let (unit_in, unit_low) = (rate_in / common, rate_in.min(rate_out) / common);
    if common.is_multiple_of(100) {
        let units = common / 100; // in 10 ms
        let wanted = |count: &usize| units.is_multiple_of(*count) && count * unit_low >= TAPS_MIN;
        let count = (1..=units).find(wanted).unwrap_or(units);
        return Some(count * unit_in);
    }
    let count = TAPS_MIN.div_ceil(unit_low);
    (count * 1000 <= BLOCK_MS_MAX * common).then_some(count * unit_in)
}

/// Filter length of the sinc interpolator in points at the rate in, so that it has [`SINC_TAPS`] at the lower rate.
fn sinc_taps(from: Hertz, to: Hertz) -> usize {
    if from <= to { SINC_TAPS } else { (SINC_TAPS * from.0 as usize).div_ceil(to.0 as usize).min(4096) }
}

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use proptest::prelude::*;

    fn sine(hz: f64, amplitude: f64, rate: u32, frames: usize) -> Vec<i16> {
        let step = std::f64::consts::TAU * hz / f64::from(rate);
        (0..frames).map(|n| (amplitude * (step * n as f64).sin()).round() as i16).collect()
    }

    fn sweep(rate: u32, frames: usize) -> Vec<i16> {
        let (mut phase, mut out) = (0.0f64, Vec::with_capacity(frames));
        for n in 0..frames {
            phase += std::f64::consts::TAU * (100.0 + 6000.0 * n as f64 / frames as f64) / f64::from(rate);
            out.push((9000.0 * phase.sin()) as i16);
        }
        out
    }

    fn in_pieces(from: u32, to: u32, input: &[i16], pieces: &[usize]) -> Vec<i16> {
        let mut resampler = Resampler::new(Hertz(from), Hertz(to)).unwrap();
        let (mut out, mut at, mut turn) = (Vec::new(), 0, 0);
        while at < input.len() {
            let end = (at + pieces[turn % pieces.len()]).min(input.len());
            resampler.push(&input[at..end], |frames| out.extend_from_slice(frames));
            (at, turn) = (end, turn + 1);
        }
        out
    }

    fn rms(samples: &[i16]) -> f64 {
        (samples.iter().map(|&s| f64::from(s).powi(2)).sum::<f64>() / samples.len() as f64).sqrt()
    }

    fn db(ratio: f64) -> f64 {
        20.0 * ratio.max(1e-9).log10()
    }

    #[test]
    fn ten_milliseconds_in_give_ten_out_at_the_usual_rates() {
        for from in [8000, 16_000, 24_000, 32_000, 44_100, 48_000, 96_000] {
            for to in [16_000, 24_000, 44_100, 48_000] {
                let mut resampler = Resampler::new(Hertz(from), Hertz(to)).unwrap();
                for period in 0..20 {
                    let mut frames = 0;
                    resampler.push(&vec![100; from as usize / 100], |out| frames += out.len());
                    assert_eq!(frames, to as usize / 100, "{from} → {to}, period {period}");
                }
                let delay_ms = resampler.delay_frames() as f64 * 1000.0 / f64::from(to);
                assert!(delay_ms <= 5.0, "{from} → {to}: {delay_ms} ms");
            }
        }
    }

    #[test]
    fn the_delay_is_as_stated() {
        for (from, to) in [(48_000, 16_000), (24_000, 48_000), (44_100, 16_000), (22_050, 16_000), (44_099, 16_000)] {
            let mut input = vec![0i16; from as usize / 2];
            let at = from as usize / 4;
            // Half a raised cosine of 2 ms: its peak is easy to find and it lies in every pass band.
            let width = from as usize / 500;
            for n in 0..width {
                let x = std::f64::consts::TAU * n as f64 / width as f64;
                input[at - width / 2 + n] = (10_000.0 * (1.0 - x.cos())) as i16;
            }
            let out = in_pieces(from, to, &input, &[from as usize / 100]);
            let peak = out.iter().enumerate().max_by_key(|(_, s)| **s).unwrap().0 as f64;
            let stated = Resampler::new(Hertz(from), Hertz(to)).unwrap().delay_frames() as f64;
            let expected = at as f64 * f64::from(to) / f64::from(from) + stated;
            assert!((peak - expected).abs() <= 2.0, "{from} → {to}: peak at {peak}, expected {expected}");
        }
    }

    #[test]
    fn the_microphones_delay_is_small() {
        let resampler = Resampler::new(Hertz(48_000), Hertz(16_000)).unwrap();
        assert_eq!(resampler.delay_frames(), 40, "2.5 ms");
    }

    #[test]
    fn a_tone_above_the_new_nyquist_frequency_is_gone() {
        let tone = sine(10_000.0, 20_000.0, 48_000, 48_000);
        let out = in_pieces(48_000, 16_000, &tone, &[480]);
        let rest = db(rms(&out[1600..]) / rms(&tone));
        assert!(rest < -60.0, "{rest} dB");
    }

    #[test]
    fn a_tone_in_the_pass_band_keeps_its_level() {
        for (from, to) in [(48_000, 16_000), (44_100, 16_000), (22_050, 16_000), (24_000, 48_000), (44_099, 16_000)] {
            for hz in [200.0, 1000.0, 5000.0] {
                let tone = sine(hz, 20_000.0, from, from as usize);
                let out = in_pieces(from, to, &tone, &[from as usize / 100]);
                let change = db(rms(&out[out.len() / 4..]) / rms(&tone));
                assert!(change.abs() < 0.3, "{from} → {to} at {hz} Hz: {change} dB");
            }
        }
    }

    #[test]
    fn no_frame_is_won_or_lost_in_a_minute() {
        for (from, to) in [(48_000, 16_000), (44_100, 16_000), (22_050, 16_000), (24_000, 44_100), (44_099, 16_000)] {
            let mut resampler = Resampler::new(Hertz(from), Hertz(to)).unwrap();
            let (mut frames, period) = (0usize, vec![0i16; from as usize / 50]);
            let pushed = 50 * 60 * period.len();
            (0..50 * 60).for_each(|_| resampler.push(&period, |out| frames += out.len()));
            let expected = pushed as f64 * f64::from(to) / f64::from(from);
            let slack = f64::from(to) * BLOCK_MS_MAX as f64 / 1000.0 + 64.0; // what may still wait for its block
            assert!((expected - frames as f64).abs() <= slack, "{from} → {to}: {frames} of {expected}");
        }
    }

    #[test]
    fn equal_rates_pass_through() {
        let input = sweep(16_000, 1000);
        assert_eq!(in_pieces(16_000, 16_000, &input, &[7]), input);
        assert_eq!(Resampler::new(Hertz(16_000), Hertz(16_000)).unwrap().delay_frames(), 0);
    }

    #[test]
    fn loud_steps_saturate_and_do_not_wrap() {
        let input: Vec<i16> = (0..4800).map(|n| if n / 240 % 2 == 0 { i16::MAX } else { i16::MIN }).collect();
        let out = in_pieces(48_000, 16_000, &input, &[480]);
        let wrapped = out.windows(2).filter(|w| (i32::from(w[0]) - i32::from(w[1])).abs() > 50_000).count();
        assert_eq!(wrapped, 0);
        assert!(out.contains(&i16::MAX));
    }

    #[test]
    fn a_whole_sound_keeps_its_length_and_its_place_in_time() {
        for (from, to) in [(48_000, 16_000), (16_000, 24_000), (22_050, 48_000), (44_099, 16_000), (16_000, 16_000)] {
            let mut input = vec![0; from as usize / 3];
            let at = input.len() - from as usize / 100; // so late that the filter still holds it at the end
            input[at - 20..at + 20].fill(8000);
            let out = whole(&input, Hertz(from), Hertz(to)).unwrap();
            let expected = input.len() as f64 * f64::from(to) / f64::from(from);
            assert!((out.len() as f64 - expected).abs() <= 1.0, "{from} → {to}: {} of {expected}", out.len());
            let weight: f64 = out.iter().map(|&s| f64::from(s)).sum();
            let middle = out.iter().enumerate().map(|(n, &s)| n as f64 * f64::from(s)).sum::<f64>() / weight;
            let off = middle - (at as f64 - 0.5) * f64::from(to) / f64::from(from);
            assert!(off.abs() < 2.0, "{from} → {to}: {off} frames off");
        }
        assert_eq!(whole(&[], Hertz(48_000), Hertz(16_000)), Ok(Vec::new()));
    }

    #[test]
    fn reset_forgets_the_past() {
        let mut resampler = Resampler::new(Hertz(24_000), Hertz(48_000)).unwrap();
        resampler.push(&sine(440.0, 20_000.0, 24_000, 1234), |_| ());
        resampler.reset();
        let mut after = Vec::new();
        resampler.push(&[0; 2400], |out| after.extend_from_slice(out));
        assert!(after.iter().all(|&s| s == 0));
    }

    #[test]
    fn rates_no_device_has_are_refused() {
        assert_eq!(Resampler::new(Hertz(0), Hertz(16_000)).err(), Some(ResampleTrouble::Rate(Hertz(0))));
        assert!(Resampler::new(Hertz(16_000), Hertz(4_000_000_000)).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn the_border_between_chunks_is_not_heard(
            rates in prop::sample::select(vec![(48_000, 16_000), (44_100, 16_000), (24_000, 48_000), (22_050, 16_000), (44_099, 48_000)]),
            pieces in prop::collection::vec(1usize..2000, 1..20),
        ) {
            let (from, to) = rates;
            let input = sweep(from, from as usize / 4);
            prop_assert_eq!(in_pieces(from, to, &input, &pieces), in_pieces(from, to, &input, &[input.len()]));
        }
    }
}
