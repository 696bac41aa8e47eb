//! When the sensor runs, and which of its pictures is used.
//!
//! It runs while somebody wants pictures and never otherwise. The first ones after it was off are not used, nor are black
//! ones; one that never changes is a camera that stands still. A camera that fails is started again, ever later.

use std::time::Duration;

use crate::flow::EyeWish;
use crate::still::{Jpeg, Still};
use crate::units::Time;

/// A sensor that was off gives its first picture within this: a program's start, and its exposure.
pub const FIRST_WITHIN: Duration = Duration::from_secs(8);
/// One that runs gives the next within this: a slow one makes one a second.
pub const NEXT_WITHIN: Duration = Duration::from_secs(4);
/// After the first failure …
const RETRY_FIRST: Duration = Duration::from_secs(1);
/// … and after many.
const RETRY_MOST: Duration = Duration::from_secs(30);

/// What holds for this camera.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// Pictures of the first so long are not used.
    pub settle: Duration,
    /// The same picture for so long is a camera that stands still; none where that may be.
    pub frozen_after: Option<Duration>,
}

/// What the sensor is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nobody wants pictures.
    Rest,
    /// It is to run.
    Run,
    /// It is to run, but not before this: it failed just now.
    NotBefore(Time),
}

/// What is to be thought of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may be used.
    Good,
    /// The exposure is still being found.
    Early,
    /// It has not changed for so long.
    Frozen(Duration),
    /// There is nothing on it.
    Black,
}

/// The machine.
#[derive(Debug)]
pub struct Schedule {
    terms: Terms,
    wish: EyeWish,
    looks: usize,
    is_shut: bool,
    /// When the sensor was started and when it gave its first and its last picture; none while it is off.
    running: Option<Running>,
    not_before: Time,
    retry: Duration,
    /// The newest picture and since when it is the newest; of an earlier run, too.
    last: Option<(Jpeg, Time)>,
}

#[derive(Clone, Copy, Debug)]
struct Running {
    first_at: Option<Time>,
    last_at: Time,
}

impl Schedule {
    /// A camera that is off.
    pub fn new(terms: Terms) -> Schedule {
        Schedule {
            terms,
            wish: EyeWish::Rest,
            looks: 0,
            is_shut: false,
            running: None,
            not_before: Time::ZERO,
            retry: RETRY_FIRST,
            last: None,
        }
    }

    /// What the core wants, how many calls wait for a picture, and whether a switch of the board keeps the camera shut.
    pub fn set(&mut self, wish: EyeWish, looks: usize, is_shut: bool) {
        (self.wish, self.looks, self.is_shut) = (wish, looks, is_shut);
    }

    /// What the sensor is to do now.
    pub fn need(&self, now: Time) -> Need {
        let is_wanted = self.looks > 0 || matches!(self.wish, EyeWish::Watch | EyeWish::Take);
        if self.is_shut || self.wish == EyeWish::Shut || !is_wanted {
            Need::Rest
        } else if self.running.is_none() && now < self.not_before {
            Need::NotBefore(self.not_before)
        } else {
            Need::Run
        }
    }

    /// The sensor was started.
    pub fn started(&mut self, now: Time) {
        self.running = Some(Running { first_at: None, last_at: now });
    }

    /// The sensor was stopped because nobody wants pictures.
    pub fn stopped(&mut self) {
        self.running = None;
    }

    /// It could not be started, or was stopped because something is wrong with it.
    pub fn failed(&mut self, now: Time) {
        self.running = None;
        self.not_before = now + self.retry;
        self.retry = (self.retry * 2).min(RETRY_MOST);
    }

    /// Whether it should have given a picture by now: for how long it has not.
    pub fn is_silent(&self, now: Time) -> Option<Duration> {
        let running = self.running?;
        let within = if running.first_at.is_some() { NEXT_WITHIN } else { FIRST_WITHIN };
        let silent = now.since(running.last_at);
        (silent >= within).then_some(silent)
    }

    /// A picture came; `is_black` is asked only where it matters.
    pub fn judge(&mut self, still: &Still, is_black: impl FnOnce(&Still) -> bool) -> Verdict {
        let at = still.taken_at;
        let Some(running) = &mut self.running else { return Verdict::Early };
        running.last_at = at;
        let first_at = *running.first_at.get_or_insert(at);
        let same_since = match &self.last {
            Some((jpeg, since)) if *jpeg == still.jpeg => *since,
            _ => {
                self.last = Some((still.jpeg.clone(), at));
                at
            }
        };
        let same_for = at.since(same_since);
        if self.terms.frozen_after.is_some_and(|after| same_for >= after) {
            return Verdict::Frozen(same_for);
        }
        if at.since(first_at) < self.terms.settle {
            return Verdict::Early;
        }
        if is_black(still) {
            return Verdict::Black;
        }
        self.retry = RETRY_FIRST;
        Verdict::Good
    }
}

#[cfg(test)]
#[path = "schedule/tests.rs"]
mod tests;
