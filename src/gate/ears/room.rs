//! A synthetic room for tests: talkers, a loudspeaker, reflections, noise, two clocks.

use crate::audio::HOP_FRAMES;

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

/// A room in which a loudspeaker plays.
pub struct World {
    path: Path,
    taps: Vec<(usize, f32)>,
    /// What was played, as it left the loudspeaker.
    played: Vec<f32>,
    dice: Dice,
}

impl World {
    /// A room with direct sound and 60 reflections that die away, −60 dB after 0.3 s.
    pub fn new(path: Path, seed: u64) -> World {
        let mut dice = Dice(seed);
        let bulk = path.delay_ms as usize * 16;
        let mut taps = vec![(bulk, path.gain)];
        for _ in 0..60 {
            let late = (dice.roll().abs() * 3200.0) as usize;
            let fade = 10f32.powf(-3.0 * late as f32 / 4800.0);
            taps.push((bulk + 20 + late, path.gain * 0.12 * dice.roll().signum() * fade));
        }
        World { path, taps, played: Vec::new(), dice }
    }

    /// Plays a hop and answers what the microphone hears of it, of `near` and of the noise, all S16.
    pub fn hear(&mut self, far: &[f32], near: &[f32]) -> [i16; HOP_FRAMES] {
        let clips_at = self.path.clips_at;
        let bend = |x: f32| if clips_at.is_finite() { clips_at * (x / clips_at).tanh() } else { x };
        self.played.extend(far.iter().map(|&x| bend(x)));
        let begins = self.played.len() - HOP_FRAMES;
        std::array::from_fn(|i| {
            let mut sum = near.get(i).copied().unwrap_or(0.0) + self.path.noise * 1.7 * self.dice.roll();
            for &(late, gain) in &self.taps {
                if let Some(place) = (begins + i).checked_sub(late) {
                    sum += gain * self.played[place];
                }
            }
            sum.clamp(-32_768.0, 32_767.0) as i16
        })
    }
}
