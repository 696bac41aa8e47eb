//! A timeline: which frame of a stream passes when, found from stamps that jitter.
//!
//! A Kalman filter over two numbers, the time of the newest frame and how much longer a frame takes than it should.
//! It averages many stamps after a (re)start, when it knows little, and follows a clock that warms up later on; a
//! loop of fixed bandwidth would be too nervous for the one or too slow for the other.
//!
//! Stamps are late more than early: a thread wakes late, a driver's pointer stands until the period is over, a sound
//! server that mixes a second client gives each block some ms later for seconds on end. None of that moves the clock, and
//! it does not average out. So an early stamp says much and a late one little: the line lies along the lower edge.

use crate::audio::{HOP_FRAMES, UPLINK_RATE};
use crate::units::Time;

/// Frames of a hop, and in a second.
const HOP: f64 = HOP_FRAMES as f64;
const RATE: f64 = UPLINK_RATE.0 as f64;

/// A stamp that is further off than this belongs to another run of the stream: frames were lost, dropped, or the
/// device was started anew. Stamps jitter by milliseconds.
pub const GROSS_S: f64 = 0.020;

/// Variance of a stamp that is early: 2 ms, what a device that reports by periods does to it.
const EARLY_VARIANCE: f64 = 2e-3 * 2e-3;
/// … and of one that is late, 20 ms. A sound server's microphone is up to 4 ms late for two seconds: from one reply to the
/// next the place moved by 1.3 ms where both variances were alike, by 0.2 ms with these (means of 19 recordings). 40 ms
/// finds a drift too slowly.
const LATE_VARIANCE: f64 = 20e-3 * 20e-3;
/// How much of an early stamp is believed at least, however sure the filter is: one that began with late stamps is sure of
/// what is wrong, and must not take the way back for a clock that is fast.
const EARLY_GAIN_MIN: f64 = 0.03;
/// Variance of a clock's drift before anything is known of it: crystals are within ±100 ppm, most of them well within.
const DRIFT_VARIANCE: f64 = 75e-6 * 75e-6;
/// The most a clock may be off; what is more is a rate that is set wrongly, not a crystal.
const DRIFT_MAX: f64 = 500e-6;
/// How the drift itself wanders in a second (warmth): 0.1 ppm. It sets the steady bandwidth, 1 mHz.
const WANDER_VARIANCE_PER_S: f64 = 1e-7 * 1e-7;

/// Where each of so many stamps (0.5 s) is late by so much, the stream has slipped: what is later than [`GROSS_S`] at once
/// is told at once, and what is less is no scheduler's doing if it stays.
const SLIP_STAMPS: u32 = 50;
const SLIP_S: f64 = 0.005;

/// No late stamps in a row.
const ON_TIME: (u32, f64) = (0, f64::INFINITY);

/// Frames over time.
#[derive(Clone, Copy, Debug)]
pub struct Timeline {
    /// Number of the frame that comes next.
    next: i64,
    /// When the newest frame passed, s.
    at_s: f64,
    /// How much longer than it should a frame takes, as a ratio.
    drift: f64,
    /// Covariance of the two above.
    p: [f64; 3],
    /// Stamps since the stream was (re)started.
    stamps: u32,
    /// Stamps in a row that were late by [`SLIP_S`] or more, and the least that they were late, s.
    late: (u32, f64),
    slips: u64,
}

impl Timeline {
    /// A timeline of a stream that has not begun.
    pub fn new() -> Timeline {
        let p = [EARLY_VARIANCE, 0.0, DRIFT_VARIANCE];
        Timeline { next: 0, at_s: 0.0, drift: 0.0, p, stamps: 0, late: ON_TIME, slips: 0 }
    }

    /// Takes the stamp of the next hop's newest frame. Answers how many frames are missing before the hop
    /// (negative: how many that were told are taken back); 0 where it follows the one before.
    pub fn stamp(&mut self, at: Time) -> i64 {
        let at_s = at.as_secs_f64();
        let hop_s = HOP * self.frame_s();
        let error = at_s - (self.at_s + hop_s);
        if self.stamps == 0 {
            self.at_s = at_s;
            self.restart(0)
        } else if error.abs() > GROSS_S {
            let missing = (error / self.frame_s()).round();
            self.at_s += hop_s + missing * self.frame_s();
            self.restart(missing as i64)
        } else {
            self.next += HOP_FRAMES as i64;
            self.at_s += hop_s;
            self.follow(error);
            self.watch_slip(error);
            0
        }
    }

    fn restart(&mut self, missing: i64) -> i64 {
        self.next += HOP_FRAMES as i64 + missing;
        self.begin();
        missing
    }

    /// Of the place nothing is known any more but the newest stamp; the clock is the same.
    fn begin(&mut self) {
        self.stamps = 1;
        self.p = [EARLY_VARIANCE, 0.0, self.p[2]];
        self.late = ON_TIME;
    }

    /// Looks for a step that is too small to be told at once: an xrun of some ms.
    fn watch_slip(&mut self, error: f64) {
        if error < SLIP_S {
            self.late = ON_TIME;
            return;
        }
        self.late = (self.late.0 + 1, self.late.1.min(error));
        if self.late.0 >= SLIP_STAMPS {
            self.at_s += self.late.1;
            self.slips += 1;
            self.begin();
        }
    }

    fn follow(&mut self, error: f64) {
        let hop_s = HOP / RATE;
        let [mut time, mut both, mut drift] = self.p;
        time += hop_s * (2.0 * both + hop_s * drift);
        both += hop_s * drift;
        drift += WANDER_VARIANCE_PER_S * hop_s;
        let (variance, gain_min) = if error > 0.0 { (LATE_VARIANCE, 0.0) } else { (EARLY_VARIANCE, EARLY_GAIN_MIN) };
        let (gain_time, gain_drift) = (time / (time + variance), both / (time + variance));
        self.at_s += gain_time.max(gain_min) * error;
        self.drift = (self.drift + gain_drift * error).clamp(-DRIFT_MAX, DRIFT_MAX);
        self.p = [time * (1.0 - gain_time), both * (1.0 - gain_time), drift - gain_drift * both];
        self.stamps = self.stamps.saturating_add(1);
    }

    /// Seconds that a frame takes.
    pub fn frame_s(&self) -> f64 {
        (1.0 + self.drift) / RATE
    }

    /// Number of the frame that comes next; frames before it are known.
    pub fn next(&self) -> i64 {
        self.next
    }

    /// When the newest frame passed, s.
    pub fn at_s(&self) -> f64 {
        self.at_s
    }

    /// Stamps since the stream was (re)started; 0 before it began.
    pub fn stamps(&self) -> u32 {
        self.stamps
    }

    /// How often the stream slipped: it goes on later than it was, by some ms, and no stamp alone said so.
    pub fn slips(&self) -> u64 {
        self.slips
    }

    /// Where the stream stands at `time_s`, in frames (a frame is past when its number is less).
    pub fn position_at(&self, time_s: f64) -> f64 {
        self.next as f64 + (time_s - self.at_s) / self.frame_s()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_and_a_step_back_are_told_in_frames() {
        let mut timeline = Timeline::new();
        assert_eq!(timeline.stamp(Time::from_ms(100)), 0);
        assert_eq!(timeline.stamp(Time::from_ms(112)), 0, "jitter");
        assert_eq!(timeline.stamp(Time::from_ms(120)), 0);
        let gap = timeline.stamp(Time::from_ms(330));
        assert!((gap - 3200).abs() < 40, "200 ms: {gap}");
        assert_eq!(timeline.next(), 640 + gap);
        let back = timeline.stamp(Time::from_ms(240));
        assert!((back + 1600).abs() < 2, "100 ms taken back: {back}");
        assert_eq!(timeline.stamps(), 1);
    }

    #[test]
    fn the_drift_is_found_and_kept_over_a_pause() {
        let mut timeline = Timeline::new();
        for hop in 1..=6000u64 {
            // 120 ppm slow: a hop takes 10.0012 ms; and a jitter of ±2 ms that repeats after 7 hops.
            timeline.stamp(Time::from_us(10_001 * hop + hop / 5 + 4000 * (hop * 5 % 7) / 6));
        }
        assert!((timeline.drift - 120e-6).abs() < 5e-6, "{}", timeline.drift);
        timeline.stamp(Time::from_ms(90_000));
        assert!((timeline.drift - 120e-6).abs() < 5e-6);
    }
}
