//! The process's clock: monotonic, zero at its making.

use std::time::Instant;

use super::Clock;
use crate::units::Time;

/// The clock of a running daemon. Copies agree with each other.
#[derive(Clone, Copy, Debug)]
pub struct RealClock {
    began: Instant,
}

impl RealClock {
    /// A clock whose beginning is now.
    pub fn new() -> RealClock {
        RealClock { began: Instant::now() }
    }

    /// The time of an instant; the beginning for earlier ones.
    pub fn time_of(&self, instant: Instant) -> Time {
        Time::from_us(u64::try_from(instant.saturating_duration_since(self.began).as_micros()).unwrap_or(u64::MAX))
    }
}

impl Default for RealClock {
    fn default() -> RealClock {
        RealClock::new()
    }
}

impl Clock for RealClock {
    fn now(&self) -> Time {
        self.time_of(Instant::now())
    }
}
