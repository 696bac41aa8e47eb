//! A simulated room: what a loudspeaker makes of sound, how long it travels, what walls and another clock do to it.

use std::collections::VecDeque;
use std::f32::consts::{PI, TAU};
use std::sync::Arc;

use mynah::audio::HOP_FRAMES;
use realfft::num_complex::Complex;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};

use crate::signal::{RATE, Random};

/// What is wrong with a loudspeaker.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Loudspeaker {
    /// Nothing.
    Linear,
    /// It saturates softly: a small cone driven hard.
    Soft,
    /// Its amplifier clips hard on the loudest tenth of speech.
    Hard,
}

impl Loudspeaker {
    /// The sound that leaves it.
    pub fn play(self, sample: f32) -> f32 {
        /// About three times the RMS of a reply at full volume.
        const LIMIT: f32 = 0.3;
        match self {
            Loudspeaker::Linear => sample,
            Loudspeaker::Soft => LIMIT * (sample / LIMIT).tanh(),
            Loudspeaker::Hard => sample.clamp(-LIMIT, LIMIT),
        }
    }
}

/// Walls.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Walls {
    /// Time in which sound dies away by 60 dB, s.
    pub rt60_s: f32,
    /// Direct sound over all reflections, dB.
    pub direct_db: f32,
}

impl Walls {
    /// An impulse response of unit energy: the direct sound, then reflections that become dense and die away.
    pub fn response(self, random: &mut Random) -> Vec<f32> {
        let frames = (self.rt60_s * RATE as f32) as usize;
        // The first wall is half a metre away.
        let first = RATE * 3 / 1000;
        let mut response = vec![0f32; frames.max(first + 1)];
        let mut low = 0.0;
        for (i, tap) in response.iter_mut().enumerate().skip(first) {
            let decay = (-6.9 * i as f32 / (self.rt60_s * RATE as f32)).exp();
            // Single reflections first, a dense tail after 30 ms; each wall takes some of the highs.
            let is_there = i > RATE * 30 / 1000 || random.unit() < 0.06;
            let reflection = if is_there { random.gauss() * decay } else { 0.0 };
            low += 0.6 * (reflection - low);
            *tap = low;
        }
        let tail: f32 = response.iter().map(|x| x * x).sum();
        let gain = (10f32.powf(-self.direct_db / 10.0) / tail.max(1e-9)).sqrt();
        response.iter_mut().for_each(|x| *x *= gain);
        response[0] = 1.0;
        let all: f32 = response.iter().map(|x| x * x).sum();
        response.iter_mut().for_each(|x| *x /= all.sqrt());
        response
    }
}

/// Convolves hop by hop without added delay: the response in pieces of a hop, each by its spectrum.
pub struct Convolver {
    forward: Arc<dyn RealToComplex<f32>>,
    back: Arc<dyn ComplexToReal<f32>>,
    pieces: Vec<Vec<Complex<f32>>>,
    heard: VecDeque<Vec<Complex<f32>>>,
    last: [f32; HOP_FRAMES],
}

impl Convolver {
    /// A convolver with `response`.
    pub fn new(response: &[f32]) -> Convolver {
        let mut planner = RealFftPlanner::new();
        let forward = planner.plan_fft_forward(2 * HOP_FRAMES);
        let back = planner.plan_fft_inverse(2 * HOP_FRAMES);
        let scale = 1.0 / (2 * HOP_FRAMES) as f32;
        let pieces: Vec<_> = response
            .chunks(HOP_FRAMES)
            .map(|piece| {
                let mut padded: Vec<f32> = piece.iter().map(|x| x * scale).collect();
                padded.resize(2 * HOP_FRAMES, 0.0);
                spectrum(&*forward, &mut padded)
            })
            .collect();
        let silence = vec![Complex::default(); HOP_FRAMES + 1];
        let heard = VecDeque::from(vec![silence; pieces.len()]);
        Convolver { forward, back, pieces, heard, last: [0.0; HOP_FRAMES] }
    }

    /// The next hop.
    pub fn hop(&mut self, frames: &[f32; HOP_FRAMES]) -> [f32; HOP_FRAMES] {
        let mut both: Vec<f32> = self.last.iter().chain(frames).copied().collect();
        self.last = *frames;
        self.heard.pop_back();
        self.heard.push_front(spectrum(&*self.forward, &mut both));
        let mut sum = vec![Complex::default(); HOP_FRAMES + 1];
        for (piece, heard) in self.pieces.iter().zip(&self.heard) {
            sum.iter_mut().zip(piece.iter().zip(heard)).for_each(|(sum, (a, b))| *sum += a * b);
        }
        // The ends of a real sound's spectrum are real; rounding leaves a trace.
        sum[0].im = 0.0;
        sum[HOP_FRAMES].im = 0.0;
        let _ = self.back.process(&mut sum, &mut both);
        std::array::from_fn(|i| both[HOP_FRAMES + i])
    }
}

fn spectrum(fft: &dyn RealToComplex<f32>, frames: &mut [f32]) -> Vec<Complex<f32>> {
    let mut spectrum = fft.make_output_vec();
    // Lengths are right by construction.
    let _ = fft.process(frames, &mut spectrum);
    spectrum
}

/// Half the width of the interpolation, frames: what it cannot carry lies above 7 kHz.
const HALF_WIDTH: i64 = 16;
/// Steps between two frames: an error 70 dB down.
const PHASES: usize = 4096;

/// Sound that one clock wrote and another reads: values between frames, by a windowed sinc.
pub struct Tape {
    frames: VecDeque<f32>,
    /// Number of the oldest frame kept.
    first: i64,
    kernels: Vec<[f32; 2 * HALF_WIDTH as usize]>,
}

impl Default for Tape {
    fn default() -> Tape {
        let kernel = |phase: usize| {
            let fraction = phase as f32 / PHASES as f32;
            std::array::from_fn(|i| sinc(i as f32 + 1.0 - HALF_WIDTH as f32 - fraction))
        };
        Tape { frames: VecDeque::new(), first: 0, kernels: (0..PHASES).map(kernel).collect() }
    }
}

impl Tape {
    /// Appends a frame.
    pub fn push(&mut self, frame: f32) {
        self.frames.push_back(frame);
        if self.frames.len() > RATE {
            self.frames.pop_front();
            self.first += 1;
        }
    }

    /// Frames ever written.
    pub fn written(&self) -> i64 {
        self.first + self.frames.len() as i64
    }

    /// How many frames must be written before the value at a place can be read.
    pub fn needed(place: f64) -> i64 {
        place.floor() as i64 + HALF_WIDTH + 1
    }

    /// The value at a place; silence before the beginning.
    pub fn at(&self, place: f64) -> f32 {
        let whole = place.floor();
        let kernel = &self.kernels[((place - whole) * PHASES as f64) as usize];
        let Ok(from) = usize::try_from(whole as i64 + 1 - HALF_WIDTH - self.first) else { return 0.0 };
        self.frames.iter().skip(from).zip(kernel).map(|(frame, tap)| frame * tap).sum()
    }
}

fn sinc(x: f32) -> f32 {
    if x.abs() < 1e-6 {
        return 1.0;
    }
    let window = 0.5 + 0.5 * (PI * x / (HALF_WIDTH as f32 + 1.0)).cos();
    (PI * x).sin() / (PI * x) * window
}

/// A small loudspeaker gives no bass: one pole at 250 Hz.
#[derive(Default)]
pub struct NoBass {
    low: f32,
}

impl NoBass {
    /// The next frame.
    pub fn pass(&mut self, frame: f32) -> f32 {
        self.low += (TAU * 250.0 / RATE as f32) * (frame - self.low);
        frame - self.low
    }
}
