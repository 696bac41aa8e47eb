//! Alignment: for each hop of the microphone, what was leaving the loudspeaker while it was captured.
//!
//! Both streams carry stamps of one clock, but are paced by two crystals and stamped with a jitter of milliseconds.
//! Each has a time line; the far-end copy is read at the place where the two meet, and the place moves on
//! smoothly: within a hop the rate is constant, from hop to hop it hardly changes, so that what is read has no
//! clicks and the echo path that the canceller learns stands still. Between two frames it is interpolated.
//!
//! What is read lies a little ahead of what was leaving the loudspeaker ([`AHEAD_S`]): stamps of drivers
//! may be wrong by a period, and an echo that came before its cause could not be cancelled.

mod timeline;

use self::timeline::{GROSS_S, Timeline};
use crate::audio::{HOP_FRAMES, Hop, UPLINK_RATE};
use crate::units::Time;

/// How far ahead of the microphone the copy is read: a period of a driver that tells its delay in periods.
pub const AHEAD_S: f64 = 0.010;

/// A loudspeaker that said nothing for so long has stopped: no more of it is to be waited for.
const STOPPED_S: f64 = 0.100;

/// Frames of far-end copy that are kept: 2 s, four times what its ring holds.
const KEPT: usize = 1 << 15;

/// Stamps after a start during which the place may step: before them it is known to milliseconds only.
const SETTLE_STAMPS: u32 = 20;

/// Correction of the place within a hop at most, in frames: 0.3 % of speed, which a canceller follows.
const SLEW_FRAMES: f64 = 0.5;

/// Points of the interpolator, and places between two frames for which it is worked out: what lies below 7 kHz
/// comes through within 0.1 dB, wherever between two frames it is read.
const TAPS: usize = 16;
const PHASES: usize = 64;

/// What a hop from the loudspeaker is: `[160 frames, 1 channel] f32 @ 16 kHz`, in units of S16.
pub type Frames = [f32; HOP_FRAMES];

/// The far-end copy with both timelines.
pub struct Align {
    near: Timeline,
    far: Timeline,
    /// Frame `n` is at `n % KEPT`.
    kept: Vec<i16>,
    /// Interpolator, `[PHASES + 1, TAPS]`.
    taps: Vec<[f32; TAPS]>,
    /// Where the next hop is read, in frames.
    place: f64,
    delay_s: f64,
    jumps: u64,
}

impl Align {
    /// Nothing heard yet; the echo of what leaves the loudspeaker is captured `delay_ms` later than the stamps say.
    pub fn new(delay_ms: u32) -> Align {
        Align {
            near: Timeline::new(),
            far: Timeline::new(),
            kept: vec![0; KEPT],
            taps: interpolator(),
            place: 0.0,
            delay_s: f64::from(delay_ms) / 1000.0,
            jumps: 0,
        }
    }

    /// Takes the next hop of the far-end copy. One that is stamped earlier than the one before it takes back what
    /// came after that time: it was never heard.
    pub fn handle_far(&mut self, far: &Hop) {
        let missing = self.far.stamp(far.at);
        self.note_jump(missing);
        let first = self.far.next() - HOP_FRAMES as i64;
        for frame in first - missing.clamp(0, KEPT as i64)..first {
            self.kept[slot(frame)] = 0;
        }
        for (frame, &sample) in (first..).zip(&far.frames) {
            self.kept[slot(frame)] = sample;
        }
    }

    /// Whether more far-end copy is to be expected for a hop that was captured at `near`.
    pub fn wants_far(&self, near: Time) -> bool {
        let wanted_s = near.as_secs_f64() + AHEAD_S - self.delay_s;
        let missing_s = wanted_s - self.far.at_s();
        self.far.stamps() > 0 && missing_s > GROSS_S / 10.0 && missing_s < STOPPED_S
    }

    /// Reads what was leaving the loudspeaker while `near` was captured; zeros where it stood still.
    pub fn read(&mut self, near: &Hop, out: &mut Frames) {
        let missing = self.near.stamp(near.at);
        self.note_jump(missing);
        let hop = HOP_FRAMES as f64 * self.near.frame_s() / self.far.frame_s();
        let wanted = self.far.position_at(self.near.at_s() + AHEAD_S - self.delay_s);
        if self.far.stamps() == 0 || self.is_quiet_until(wanted) {
            self.place = wanted;
            out.fill(0.0);
            return;
        }
        let error = wanted - (self.place + hop);
        let is_gross = error.abs() > GROSS_S * f64::from(UPLINK_RATE.0);
        let is_settling = self.far.stamps() <= SETTLE_STAMPS || self.near.stamps() <= SETTLE_STAMPS;
        if is_gross || is_settling {
            self.jumps += u64::from(is_gross && !is_settling);
            self.place = wanted - hop;
        }
        let step = hop + (wanted - (self.place + hop)).clamp(-SLEW_FRAMES, SLEW_FRAMES);
        for (number, sample) in out.iter_mut().enumerate() {
            *sample = self.interpolate(self.place + number as f64 * step / HOP_FRAMES as f64);
        }
        self.place += step;
    }

    /// A stream that goes on at once, but elsewhere, has jumped; one that goes on later was begun anew.
    fn note_jump(&mut self, missing: i64) {
        let stopped = (STOPPED_S * f64::from(UPLINK_RATE.0)) as i64;
        self.jumps += u64::from((1..stopped).contains(&missing));
    }

    /// Whether nothing was kept of what is to be read: then there is nothing to be smooth about.
    fn is_quiet_until(&self, wanted: f64) -> bool {
        let known = self.far.next() as f64;
        let from = self.place.min(wanted - HOP_FRAMES as f64) - TAPS as f64;
        from >= known || wanted + (TAPS as f64) < known - KEPT as f64
    }

    /// The sound at `place`, which lies between two frames.
    fn interpolate(&self, place: f64) -> f32 {
        let before = place.floor();
        let phase = (place - before) as f32 * PHASES as f32;
        let (row, part) = (phase as usize, phase.fract());
        let first = before as i64 - (TAPS as i64 / 2 - 1);
        let (low, high) = (&self.taps[row.min(PHASES - 1)], &self.taps[row.min(PHASES - 1) + 1]);
        let (next, oldest) = (self.far.next(), self.far.next() - KEPT as i64);
        let mut sum = 0.0;
        for (tap, frame) in (first..).take(TAPS).enumerate() {
            if frame >= oldest && frame < next {
                sum += (low[tap] + part * (high[tap] - low[tap])) * f32::from(self.kept[slot(frame)]);
            }
        }
        sum
    }

    /// How much faster the loudspeaker's clock is than the microphone's, parts in a million.
    pub fn drift_ppm(&self) -> f32 {
        ((self.near.frame_s() / self.far.frame_s() - 1.0) * 1e6) as f32
    }

    /// How often one of the streams went on elsewhere than it was: an xrun, lost hops.
    pub fn jumps(&self) -> u64 {
        self.jumps + self.near.slips() + self.far.slips()
    }
}

fn slot(frame: i64) -> usize {
    frame.rem_euclid(KEPT as i64) as usize
}

/// Rows of a sinc under a Blackman window, one for each place between two frames.
fn interpolator() -> Vec<[f32; TAPS]> {
    use std::f64::consts::PI;
    let row = |phase: usize| {
        let shift = phase as f64 / PHASES as f64;
        let mut row: [f64; TAPS] = std::array::from_fn(|tap| {
            let x = tap as f64 - (TAPS as f64 / 2.0 - 1.0) - shift;
            let window = 0.42 + 0.5 * (2.0 * PI * x / TAPS as f64).cos() + 0.08 * (4.0 * PI * x / TAPS as f64).cos();
            if x.abs() < 1e-9 { 1.0 } else { window * (PI * x).sin() / (PI * x) }
        });
        let sum: f64 = row.iter().sum();
        row.iter_mut().for_each(|tap| *tap /= sum);
        row.map(|tap| tap as f32)
    };
    (0..=PHASES).map(row).collect()
}

#[cfg(test)]
mod tests;
