//! A timeline: which frame of a stream passes when, found from stamps that jitter.
//!
//! A Kalman filter over two numbers, the time of the newest frame and how much longer a frame takes than it should.
//! It averages many stamps after a (re)start, when it knows little, and follows a clock that warms up later on; a
//! loop of fixed bandwidth would be too nervous for the one or too slow for the other.

use crate::audio::{HOP_FRAMES, UPLINK_RATE};
use crate::units::Time;

/// Frames of a hop, and in a second.
const HOP: f64 = HOP_FRAMES as f64;
const RATE: f64 = UPLINK_RATE.0 as f64;

/// A stamp that is further off than this belongs to another run of the stream: frames were lost, dropped, or the
/// device was started anew. Stamps jitter by milliseconds.
pub const GROSS_S: f64 = 0.020;

/// Variance of a stamp: 2 ms, what a scheduler and a device that reports by periods do to it.
const STAMP_VARIANCE: f64 = 2e-3 * 2e-3;
/// Variance of a clock's drift before anything is known of it: crystals are within ±100 ppm.
const DRIFT_VARIANCE: f64 = 1e-4 * 1e-4;
/// The most a clock may be off; what is more is a rate that is set wrongly, not a crystal.
const DRIFT_MAX: f64 = 500e-6;
/// How the drift itself wanders in a second (warmth): 0.1 ppm. It sets the steady bandwidth, 4 mHz.
const WANDER_VARIANCE_PER_S: f64 = 1e-7 * 1e-7;

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
}

impl Timeline {
    /// A timeline of a stream that has not begun.
    pub fn new() -> Timeline {
        Timeline { next: 0, at_s: 0.0, drift: 0.0, p: [STAMP_VARIANCE, 0.0, DRIFT_VARIANCE], stamps: 0 }
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
            0
        }
    }

    fn restart(&mut self, missing: i64) -> i64 {
        self.next += HOP_FRAMES as i64 + missing;
        self.stamps = 1;
        self.p = [STAMP_VARIANCE, 0.0, self.p[2]];
        missing
    }

    fn follow(&mut self, error: f64) {
        let hop_s = HOP / RATE;
        let [mut time, mut both, mut drift] = self.p;
        time += hop_s * (2.0 * both + hop_s * drift);
        both += hop_s * drift;
        drift += WANDER_VARIANCE_PER_S * hop_s;
        let (gain_time, gain_drift) = (time / (time + STAMP_VARIANCE), both / (time + STAMP_VARIANCE));
        self.at_s += gain_time * error;
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
