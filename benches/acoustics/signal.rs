//! Sounds made from a seed: noises, a crowd, music, clicks; and levels.

use std::f32::consts::TAU;

use mynah::audio::HOP_FRAMES;

use crate::corpus::Utterance;

/// Frames a second.
pub const RATE: usize = 16_000;

/// Level of a sound, RMS, dBFS; a floor of -120 dBFS.
pub fn level_db(frames: &[f32]) -> f32 {
    db(power(frames))
}

/// Mean square.
pub fn power(frames: &[f32]) -> f32 {
    frames.iter().map(|x| x * x).sum::<f32>() / frames.len().max(1) as f32
}

/// A ratio of powers in dB, never under -120.
pub fn db(power: f32) -> f32 {
    10.0 * power.max(1e-12).log10()
}

/// A ratio of amplitudes from dB.
pub fn from_db(db: f32) -> f32 {
    10f32.powf(db / 20.0)
}

/// What lies under a voice, Hz.
const RUMBLE_HZ: f32 = 80.0;

/// A copy without what lies under a voice: thumps on a microphone, doors, the draught of a breath (a Butterworth
/// high-pass of second order).
pub fn without_rumble(frames: &[f32]) -> Vec<f32> {
    let k = (0.5 * TAU * RUMBLE_HZ / RATE as f32).tan();
    let scale = 1.0 / (1.0 + std::f32::consts::SQRT_2 * k + k * k);
    let (back_1, back_2) = (2.0 * (k * k - 1.0) * scale, (1.0 - std::f32::consts::SQRT_2 * k + k * k) * scale);
    let (mut x, mut y) = ([0.0f32; 2], [0.0f32; 2]);
    let mut filter = |&now: &f32| {
        let out = scale * (now - 2.0 * x[0] + x[1]) - back_1 * y[0] - back_2 * y[1];
        (x, y) = ([now, x[0]], [out, y[0]]);
        out
    };
    frames.iter().map(&mut filter).collect()
}

/// Brings a sound to a level (RMS over all of it), dBFS.
pub fn set_level(frames: &mut [f32], level: f32) {
    let gain = from_db(level - level_db(frames));
    frames.iter_mut().for_each(|x| *x *= gain);
}

/// A hop of S16, clipped as a converter does.
pub fn to_hop(frames: &[f32]) -> [i16; HOP_FRAMES] {
    std::array::from_fn(|i| (frames[i] * 32_768.0).round().clamp(-32_768.0, 32_767.0) as i16)
}

/// Random numbers that are the same for the same seed on every machine (splitmix64).
#[derive(Clone)]
pub struct Random(u64);

impl Random {
    /// From a seed.
    pub fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// 0 ≤ x < 1.
    pub fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 24) as f32
    }

    /// `from` ≤ x < `to`.
    pub fn between(&mut self, from: f32, to: f32) -> f32 {
        from + (to - from) * self.unit()
    }

    /// One of `0..below`.
    pub fn below(&mut self, below: usize) -> usize {
        (self.next() % below.max(1) as u64) as usize
    }

    /// Nearly Gaussian, of mean 0 and variance 1.
    pub fn gauss(&mut self) -> f32 {
        (0..12).map(|_| self.unit()).sum::<f32>() - 6.0
    }

    /// Shuffles.
    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        for i in (1..list.len()).rev() {
            list.swap(i, self.below(i + 1));
        }
    }
}

/// A kind of noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noise {
    /// Equal power in every octave: wind, traffic far away, a cheap preamplifier.
    Pink,
    /// Lower still: a car, an engine.
    Brown,
    /// The mains and its overtones.
    Hum,
    /// Many people talk in the background.
    Babble,
    /// Chords, a tune and a beat.
    Music,
    /// Knocks, keys, cutlery.
    Clicks,
}

/// All kinds.
pub const NOISES: [Noise; 6] = [Noise::Pink, Noise::Brown, Noise::Hum, Noise::Babble, Noise::Music, Noise::Clicks];

impl Noise {
    /// As the tables name it.
    pub fn name(self) -> &'static str {
        match self {
            Noise::Pink => "pink",
            Noise::Brown => "brown",
            Noise::Hum => "hum",
            Noise::Babble => "babble",
            Noise::Music => "music",
            Noise::Clicks => "clicks",
        }
    }

    /// So much of it at a level (RMS over all of it), dBFS.
    pub fn make(self, frames: usize, level: f32, crowd: &[Utterance], random: &mut Random) -> Vec<f32> {
        let mut sound = match self {
            Noise::Pink => pink(frames, random),
            Noise::Brown => brown(frames, random),
            Noise::Hum => hum(frames, random),
            Noise::Babble => babble(frames, crowd, random),
            Noise::Music => music(frames, random),
            Noise::Clicks => clicks(frames, random),
        };
        set_level(&mut sound, level);
        sound
    }
}

/// Seven one-pole filters over white noise, 3 dB an octave down (Paul Kellet's, within 0.05 dB above 10 Hz).
fn pink(frames: usize, random: &mut Random) -> Vec<f32> {
    const POLES: [(f32, f32); 6] = [
        (0.99886, 0.055_517_9),
        (0.99332, 0.075_075_9),
        (0.96900, 0.153_852),
        (0.86650, 0.310_485_6),
        (0.55000, 0.532_952_2),
        (-0.7616, -0.016_898),
    ];
    let mut state = [0f32; 6];
    let mut late = 0.0;
    (0..frames)
        .map(|_| {
            let white = random.gauss();
            for (state, (pole, gain)) in state.iter_mut().zip(POLES) {
                *state = pole * *state + white * gain;
            }
            let sum = state.iter().sum::<f32>() + late + white * 0.5362;
            late = white * 0.115_926;
            sum
        })
        .collect()
}

fn brown(frames: usize, random: &mut Random) -> Vec<f32> {
    let mut state = 0.0;
    (0..frames)
        .map(|_| {
            state = 0.998 * state + random.gauss();
            state
        })
        .collect()
}

fn hum(frames: usize, random: &mut Random) -> Vec<f32> {
    let strengths: Vec<(f32, f32)> =
        (1..=9).map(|n| (1.0 / (n * n) as f32 * random.between(0.3, 1.0), random.unit() * TAU)).collect();
    (0..frames)
        .map(|i| {
            let t = (i % RATE) as f32 / RATE as f32; // the mains repeats itself after a second
            let overtone = |(n, (strength, phase)): (usize, &(f32, f32))| {
                strength * (TAU * 50.0 * (n + 1) as f32 * t + phase).sin()
            };
            strengths.iter().enumerate().map(overtone).sum::<f32>() + 0.003 * random.gauss()
        })
        .collect()
}

/// Talkers in the crowd.
const TALKERS: usize = 12;

fn babble(frames: usize, crowd: &[Utterance], random: &mut Random) -> Vec<f32> {
    let mut sound = vec![0f32; frames];
    for _ in 0..TALKERS {
        let gain = from_db(random.between(-6.0, 0.0));
        let mut at = 0;
        while at < frames {
            let said = &crowd[random.below(crowd.len())].frames;
            let from = if at == 0 { random.below(said.len()) } else { 0 };
            sound[at..].iter_mut().zip(&said[from..]).for_each(|(sum, x)| *sum += gain * x);
            at += said.len() - from + random.below(RATE / 2);
        }
    }
    sound
}

/// A beat of the music, frames: 96 a minute.
const BEAT: usize = RATE * 60 / 96;

/// Chords in semitones over A2 (110 Hz): I, vi, IV, V.
const CHORDS: [[i32; 4]; 4] = [[0, 12, 16, 19], [-3, 9, 12, 16], [5, 9, 12, 17], [7, 11, 14, 19]];

fn music(frames: usize, random: &mut Random) -> Vec<f32> {
    let mut sound = vec![0f32; frames];
    for (number, at) in (0..frames).step_by(BEAT).enumerate() {
        let chord = CHORDS[number / 4 % 4];
        if number % 2 == 0 {
            chord.iter().for_each(|note| pluck(&mut sound[at..], *note, 0.5, 1.5));
        }
        for half in 0..2 {
            if random.unit() < 0.7 {
                let from = (at + half * BEAT / 2).min(frames);
                pluck(&mut sound[from..], chord[random.below(4)] + 12, 0.6, 0.5);
            }
        }
        let loud = if number % 2 == 1 { 0.5 } else { 0.2 };
        sound[at..].iter_mut().take(RATE / 20).enumerate().for_each(|(i, x)| {
            *x += loud * (-(i as f32) / 200.0).exp() * random.gauss();
        });
    }
    sound
}

/// A note of eight overtones that dies away.
fn pluck(sound: &mut [f32], semitones: i32, strength: f32, seconds: f32) {
    let hz = 110.0 * 2f32.powf(semitones as f32 / 12.0);
    for (i, x) in sound.iter_mut().take((3.0 * seconds * RATE as f32) as usize).enumerate() {
        let t = i as f32 / RATE as f32;
        let attack = (t / 0.005).min(1.0);
        let tone: f32 = (1..=8).map(|n| (TAU * hz * n as f32 * t).sin() / (n * n) as f32 * (-t * n as f32).exp()).sum();
        *x += strength * attack * (-t / seconds).exp() * tone;
    }
}

/// Two a second, 3-20 ms each, each of its own pitch and loudness.
fn clicks(frames: usize, random: &mut Random) -> Vec<f32> {
    let mut sound = vec![0f32; frames];
    let mut at = 0;
    while at < frames {
        let decay = random.between(0.001, 0.006) * RATE as f32;
        let hz = random.between(300.0, 4000.0);
        let gain = from_db(random.between(-12.0, 0.0));
        for (i, x) in sound[at..].iter_mut().take((8.0 * decay) as usize).enumerate() {
            let ring = (TAU * hz * i as f32 / RATE as f32).sin() + 0.5 * random.gauss();
            *x += gain * (-(i as f32) / decay).exp() * ring;
        }
        at += (random.between(0.05, 0.95) * RATE as f32) as usize;
    }
    sound
}
