//! The simulated board's time: the real one, or one that a test moves.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::hw::Clock;
use crate::hw::clock::RealClock;
use crate::units::Time;

/// Moves a [`SimBoard`](super::SimBoard). Clones agree with each other.
#[derive(Clone, Debug)]
pub struct SimClock(Pace);

#[derive(Clone, Debug)]
enum Pace {
    Real(RealClock),
    Stepped(Arc<Stepped>),
}

#[derive(Debug, Default)]
struct Stepped {
    us: AtomicU64,
    day: AtomicU32,
}

impl SimClock {
    /// A clock that follows real time from now; waits sleep.
    pub fn paced() -> SimClock {
        SimClock(Pace::Real(RealClock::new()))
    }

    /// A clock that stands at the beginning until [`SimClock::advance`]; waits answer at once.
    pub fn stepped() -> SimClock {
        SimClock(Pace::Stepped(Arc::default()))
    }

    /// Moves a stepped clock. A paced one is moved by nobody: nothing happens.
    pub fn advance(&self, by: Duration) {
        if let Pace::Stepped(time) = &self.0 {
            time.us.fetch_add(by.as_micros() as u64, Ordering::SeqCst);
        }
    }

    /// Sets the day of a stepped clock, counted from 1970; it is 0 until then, and advancing does not change it.
    pub fn set_today(&self, day: u32) {
        if let Pace::Stepped(time) = &self.0 {
            time.day.store(day, Ordering::SeqCst);
        }
    }

    /// Sleeps until `until`. Answers false, without sleeping, on a stepped clock: what is not due now will not
    /// come by waiting.
    pub(super) fn sleep_until(&self, until: Time) -> bool {
        match &self.0 {
            Pace::Real(_) => {
                std::thread::sleep(until.since(self.now()));
                true
            }
            Pace::Stepped(_) => false,
        }
    }

    /// Whether waiting is of use.
    pub(super) fn is_paced(&self) -> bool {
        matches!(self.0, Pace::Real(_))
    }
}

impl Clock for SimClock {
    fn now(&self) -> Time {
        match &self.0 {
            Pace::Real(clock) => clock.now(),
            Pace::Stepped(time) => Time::from_us(time.us.load(Ordering::SeqCst)),
        }
    }

    fn today(&self) -> u32 {
        match &self.0 {
            Pace::Real(clock) => clock.today(),
            Pace::Stepped(time) => time.day.load(Ordering::SeqCst),
        }
    }

    fn unix_ms(&self) -> i64 {
        match &self.0 {
            Pace::Real(clock) => clock.unix_ms(),
            Pace::Stepped(_) => 0,
        }
    }
}
