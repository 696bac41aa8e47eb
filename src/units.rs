//! Units as types: time, frames, rates, levels, epochs and call identities.
//!
//! Every number that crosses a room's door has one of these types or a unit at the end of its name, so
//! that milliseconds are never added to frames.

use std::fmt;
use std::ops::{Add, AddAssign, Sub};
use std::sync::Arc;
use std::time::Duration;

/// A point in time: microseconds since the process (or the simulated world) began.
///
/// Monotonic. Pure code gets it as an argument and never asks a clock for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(u64);

impl Time {
    /// The beginning.
    pub const ZERO: Time = Time(0);

    /// The point `us` microseconds after the beginning.
    pub const fn from_us(us: u64) -> Time {
        Time(us)
    }

    /// The point `ms` milliseconds after the beginning.
    pub const fn from_ms(ms: u64) -> Time {
        Time(ms * 1000)
    }

    /// Microseconds since the beginning.
    pub const fn as_us(self) -> u64 {
        self.0
    }

    /// Whole milliseconds since the beginning, rounded down.
    pub const fn as_ms(self) -> u64 {
        self.0 / 1000
    }

    /// Seconds since the beginning.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }

    /// The time from `earlier` to `self`; zero where `earlier` is not earlier.
    pub const fn since(self, earlier: Time) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    /// The point `before` earlier than `self`, or the beginning.
    pub fn back(self, before: Duration) -> Time {
        Time(self.0.saturating_sub(before.as_micros() as u64))
    }
}

impl Add<Duration> for Time {
    type Output = Time;
    fn add(self, after: Duration) -> Time {
        Time(self.0.saturating_add(u64::try_from(after.as_micros()).unwrap_or(u64::MAX)))
    }
}

impl AddAssign<Duration> for Time {
    fn add_assign(&mut self, after: Duration) {
        *self = *self + after;
    }
}

impl Sub for Time {
    type Output = Duration;
    fn sub(self, earlier: Time) -> Duration {
        self.since(earlier)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03} s", self.0 / 1_000_000, self.0 / 1000 % 1000)
    }
}

/// A number of frames (ALSA's: one sample for every channel at one instant).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Frames(pub u64);

impl Frames {
    /// How long these frames last at `rate`.
    pub const fn duration(self, rate: Hertz) -> Duration {
        Duration::from_micros(self.0 * 1_000_000 / rate.0 as u64)
    }

    /// Whole milliseconds that these frames last at `rate`.
    pub const fn as_ms(self, rate: Hertz) -> u64 {
        self.0 * 1000 / rate.0 as u64
    }
}

impl Add for Frames {
    type Output = Frames;
    fn add(self, more: Frames) -> Frames {
        Frames(self.0 + more.0)
    }
}

impl AddAssign for Frames {
    fn add_assign(&mut self, more: Frames) {
        self.0 += more.0;
    }
}

/// A rate in frames per second; never zero in a value that was checked at a door.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hertz(pub u32);

impl Hertz {
    /// The frames that pass in `time`, rounded down.
    pub const fn frames_in(self, time: Duration) -> u64 {
        (time.as_micros() as u64).saturating_mul(self.0 as u64) / 1_000_000
    }

    /// The frames that pass in `ms` milliseconds, rounded down.
    pub const fn frames_in_ms(self, ms: u32) -> usize {
        (self.0 as u64 * ms as u64 / 1000) as usize
    }
}

impl fmt::Display for Hertz {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} Hz", self.0)
    }
}

/// A level in dBFS: 0 is full scale, everything else is negative.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Decibel(pub f32);

impl fmt::Display for Decibel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} dBFS", self.0)
    }
}

/// The number of the model turn that audio, captions or a call belong to; older ones are worthless.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub struct Epoch(pub u32);

impl Epoch {
    /// The epoch after this one.
    pub const fn next(self) -> Epoch {
        Epoch(self.0.wrapping_add(1))
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "epoch {}", self.0)
    }
}

/// The server's name for one tool call; opaque, copied back verbatim.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub struct CallId(pub Arc<str>);

impl From<&str> for CallId {
    fn from(id: &str) -> CallId {
        CallId(id.into())
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
