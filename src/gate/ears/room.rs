//! A synthetic room for tests: talkers, a loudspeaker, reflections, noise, two clocks.

use crate::audio::{HOP_FRAMES, Hop};
use crate::units::Time;

/// Numbers that look random and are the same each time.
#[derive(Clone, Copy)]
pub struct Dice(pub u64);

impl Dice {
    /// From −1 to 1.
    pub fn roll(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as f32 / (1u32 << 30) as f32 - 1.0
    }
}

/// Somebody who talks without end: syllables of voiced and unvoiced sound with pauses, `seconds` long, peak 1.
pub fn talk(seconds: usize, pitch_hz: f32, seed: u64) -> Vec<f32> {
    let mut dice = Dice(seed);
    let mut sound = Vec::with_capacity(seconds * 16_000);
    let (mut phase, mut states) = (0.0f32, [[0.0f32; 2]; 3]);
    while sound.len() < seconds * 16_000 {
        let length = (2400.0 + 1200.0 * dice.roll()) as usize; // 75–225 ms
        let formants = [550.0 + 250.0 * dice.roll(), 1500.0 + 700.0 * dice.roll(), 2700.0 + 400.0 * dice.roll()];
        let (is_voiced, is_pause) = (dice.roll() > -0.6, dice.roll() > 0.75);
        let pitch = pitch_hz * (1.0 + 0.2 * dice.roll());
        let loud = if is_pause { 0.0 } else { 0.6 + 0.4 * dice.roll() };
        for i in 0..length {
            phase = (phase + pitch / 16_000.0).fract();
            let source = if is_voiced { if phase < 0.1 { 1.0 } else { -0.11 } } else { 0.25 * dice.roll() };
            let swell = loud * (std::f32::consts::PI * i as f32 / length as f32).sin();
            sound.push(swell * resonate(&mut states, &formants, source));
        }
    }
    let peak = sound.iter().fold(0.0f32, |peak, sample| peak.max(sample.abs()));
    sound.iter_mut().for_each(|sample| *sample /= peak);
    sound.truncate(seconds * 16_000);
    sound
}

fn resonate(states: &mut [[f32; 2]; 3], formants: &[f32; 3], source: f32) -> f32 {
    let mut sum = 0.0;
    for (number, (state, formant)) in states.iter_mut().zip(formants).enumerate() {
        let radius = 0.97 - 0.01 * number as f32;
        let angle = std::f32::consts::TAU * formant / 16_000.0;
        let value = source + 2.0 * radius * angle.cos() * state[0] - radius * radius * state[1];
        *state = [value, state[0]];
        sum += value / (1 << number) as f32;
    }
    sum
}

/// How the loudspeaker and the room bend what is played.
#[derive(Clone, Copy)]
pub struct Path {
    /// From converter to converter, ms.
    pub delay_ms: u32,
    /// Echo to what is played, as a ratio of amplitudes.
    pub gain: f32,
    /// Amplitude at which the loudspeaker clips (tanh), S16; none where it is infinite.
    pub clips_at: f32,
    /// Level of the room's noise, S16 RMS or so.
    pub noise: f32,
}

impl Default for Path {
    fn default() -> Path {
        Path { delay_ms: 80, gain: 0.5, clips_at: f32::INFINITY, noise: 8.0 }
    }
}

impl Path {
    /// The echo of `far` (`[frames, 1 channel] f32 @ 16 kHz`, S16 units): direct sound and 60 reflections that die
    /// away, −60 dB after 0.3 s.
    pub fn echo(&self, far: &[f32], seed: u64) -> Vec<f32> {
        let mut dice = Dice(seed);
        let bulk = self.delay_ms as usize * 16;
        let mut taps = vec![(bulk, self.gain)];
        for _ in 0..60 {
            let late = (dice.roll().abs() * 3200.0) as usize;
            let fade = 10f32.powf(-3.0 * late as f32 / 4800.0);
            taps.push((bulk + 20 + late, self.gain * 0.12 * dice.roll().signum() * fade));
        }
        let played: Vec<f32> = far
            .iter()
            .map(|&x| if self.clips_at.is_finite() { self.clips_at * (x / self.clips_at).tanh() } else { x })
            .collect();
        let mut echo = vec![0.0; far.len()];
        for (late, gain) in taps {
            for (out, sample) in echo[late.min(far.len())..].iter_mut().zip(&played) {
                *out += gain * sample;
            }
        }
        echo.iter_mut().for_each(|sample| *sample += self.noise * 1.7 * dice.roll());
        echo
    }
}

/// Cuts a sound into hops of the stamps of an ideal clock.
pub fn hops(sound: &[f32]) -> Vec<Hop> {
    let (hops, _) = sound.as_chunks::<HOP_FRAMES>();
    (1..)
        .zip(hops)
        .map(|(number, hop)| Hop { at: Time::from_ms(1000 + 10 * number), frames: hop.map(|s| s as i16) })
        .collect()
}
