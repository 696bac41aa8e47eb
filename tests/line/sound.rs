//! Sound for the line's tests: WAV files in and out, and where one sound lies in another.

use std::path::Path;

use mynah::audio::resample::Resampler;
use mynah::units::Hertz;

/// `[frames, 1 channel] S16 @ rate`.
#[derive(Clone)]
pub struct Sound {
    pub rate: u32,
    pub frames: Vec<i16>,
}

/// Where a sound was found in another one.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    /// From the other one's beginning; negative where the sound's beginning is missing.
    pub at_ms: f64,
    /// Normalised cross-correlation there: 1 is the very same, 0 unrelated.
    pub alike: f64,
}

impl Sound {
    /// Reads the first channel of a WAV of 16 bits.
    pub fn read(path: &Path) -> Sound {
        let mut file = hound::WavReader::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let spec = file.spec();
        assert_eq!(spec.bits_per_sample, 16, "{}", path.display());
        let frames = file.samples::<i16>().step_by(usize::from(spec.channels)).map(Result::unwrap).collect();
        Sound { rate: spec.sample_rate, frames }
    }

    pub fn ms(&self) -> f64 {
        self.frames.len() as f64 * 1000.0 / f64::from(self.rate)
    }

    /// The same sound at another rate, its beginning where it was.
    pub fn at_rate(&self, rate: u32) -> Sound {
        let mut resampler = Resampler::new(Hertz(self.rate), Hertz(rate)).unwrap();
        let mut frames = Vec::new();
        resampler.push(&self.frames, |out| frames.extend_from_slice(out));
        resampler.push(&vec![0; self.rate as usize / 5], |out| frames.extend_from_slice(out));
        let delay = resampler.delay_frames();
        let length = (self.frames.len() as u64 * u64::from(rate) / u64::from(self.rate)) as usize;
        Sound { rate, frames: frames[delay..].iter().take(length).copied().collect() }
    }

    /// The part from `from_ms` on, `ms` long (shorter at the end).
    pub fn part(&self, from_ms: f64, ms: f64) -> Sound {
        let index = |ms: f64| ((ms.max(0.0) / 1000.0 * f64::from(self.rate)) as usize).min(self.frames.len());
        Sound { rate: self.rate, frames: self.frames[index(from_ms)..index(from_ms + ms)].to_vec() }
    }

    /// Without the silence at both ends, save 20 ms.
    pub fn audible(&self) -> Sound {
        let (from_ms, ms) = self.extent(-50.0).unwrap();
        self.part(from_ms - 20.0, ms + 20.0 + from_ms.min(20.0))
    }

    /// Looks for `wanted` (of the same rate) here, at every shift, also hanging over both ends.
    pub fn find(&self, wanted: &Sound) -> Found {
        assert_eq!(self.rate, wanted.rate);
        let (long, short) = (floats(&self.frames), floats(&wanted.frames));
        let size = (long.len() + short.len()).next_power_of_two();
        let products = correlate(&long, &short, size);
        // Sums of squares up to each frame: the energy of any stretch is a difference.
        let energy: Vec<f64> = std::iter::once(0.0)
            .chain(long.iter().scan(0.0, |sum, x| {
                *sum += x * x;
                Some(*sum)
            }))
            .collect();
        let whole: f64 = short.iter().map(|x| x * x).sum();
        let mut best = Found { at_ms: 0.0, alike: 0.0 };
        for shift in -(short.len() as i64) + 1..long.len() as i64 {
            let from = shift.max(0) as usize;
            let to = (shift + short.len() as i64).min(long.len() as i64) as usize;
            let there = energy[to] - energy[from];
            // Quieter than -60 dBFS on average there is nothing to be found.
            let scale = (whole * there.max(short.len() as f64 * 1e-6)).sqrt();
            let alike = products[shift.rem_euclid(size as i64) as usize] / scale;
            if alike > best.alike {
                best = Found { at_ms: shift as f64 * 1000.0 / f64::from(self.rate), alike };
            }
        }
        best
    }

    /// From the first to the last 5 ms that are louder than `db` dBFS: beginning and length, ms.
    pub fn extent(&self, db: f64) -> Option<(f64, f64)> {
        let loud: Vec<bool> = self.levels_db(5).iter().map(|level| *level > db).collect();
        let first = loud.iter().position(|l| *l)?;
        let last = loud.iter().rposition(|l| *l)?;
        Some((first as f64 * 5.0, (last + 1 - first) as f64 * 5.0))
    }

    /// The longest stretch, ms, in which `sent` (which was found at `at_ms`) is loud and this is silent.
    pub fn longest_gap_ms(&self, sent: &Sound, at_ms: f64) -> f64 {
        let heard = self.part(at_ms, sent.ms()).levels_db(5);
        let (mut longest, mut now) = (0, 0);
        for (sent, heard) in sent.levels_db(5).iter().zip(heard.iter().chain(std::iter::repeat(&-100.0))) {
            now = if *sent > -40.0 && *heard < -60.0 { now + 1 } else { 0 };
            longest = longest.max(now);
        }
        f64::from(longest) * 5.0
    }

    /// The level of each stretch of so many ms, dBFS; -100 is nothing at all.
    fn levels_db(&self, ms: usize) -> Vec<f64> {
        let level = |frames: &[i16]| {
            let power: f64 = floats(frames).iter().map(|x| x * x).sum::<f64>() / frames.len() as f64;
            (10.0 * power.max(1e-10).log10()).max(-100.0)
        };
        self.frames.chunks(self.rate as usize * ms / 1000).map(level).collect()
    }
}

fn floats(frames: &[i16]) -> Vec<f64> {
    frames.iter().map(|sample| f64::from(*sample) / 32_768.0).collect()
}

/// Sums of `long[k + shift] * short[k]` for every shift, modulo `size`.
fn correlate(long: &[f64], short: &[f64], size: usize) -> Vec<f64> {
    let spectrum = |x: &[f64]| {
        let mut values: Vec<(f64, f64)> = x.iter().map(|x| (*x, 0.0)).collect();
        values.resize(size, (0.0, 0.0));
        fourier(&mut values, -1.0);
        values
    };
    let (a, b) = (spectrum(long), spectrum(short));
    let mut product: Vec<(f64, f64)> =
        a.iter().zip(&b).map(|(a, b)| (a.0 * b.0 + a.1 * b.1, a.1 * b.0 - a.0 * b.1)).collect();
    fourier(&mut product, 1.0);
    product.iter().map(|value| value.0 / size as f64).collect()
}

/// The discrete Fourier transform in place (radix 2, the length is a power of two).
fn fourier(values: &mut [(f64, f64)], sign: f64) {
    let size = values.len();
    let bits = size.trailing_zeros();
    for index in 0..size {
        let other = index.reverse_bits() >> (usize::BITS - bits);
        if other > index {
            values.swap(index, other);
        }
    }
    let mut half = 1;
    while half < size {
        let step = sign * std::f64::consts::PI / half as f64;
        let turns: Vec<(f64, f64)> =
            (0..half).map(|k| (step * k as f64).sin_cos()).map(|(sin, cos)| (cos, sin)).collect();
        for block in values.chunks_exact_mut(2 * half) {
            let (low, high) = block.split_at_mut(half);
            for ((a, b), turn) in low.iter_mut().zip(high).zip(&turns) {
                let moved = (b.0 * turn.0 - b.1 * turn.1, b.0 * turn.1 + b.1 * turn.0);
                (*a, *b) = ((a.0 + moved.0, a.1 + moved.1), (a.0 - moved.0, a.1 - moved.1));
            }
        }
        half *= 2;
    }
}
