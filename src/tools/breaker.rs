//! A circuit breaker: who cannot be reached is not asked again and again, so that a call fails at once instead of
//! after its time limit, and a server that comes back is not met by a crowd.

use std::time::Duration;

use crate::units::Time;

/// Failures in a row before it opens: one is a hiccup, two are bad luck.
const FAILURES_MAX: u32 = 3;
/// How long it stays open first …
const REST_MIN: Duration = Duration::from_secs(5);
/// … and at most, after it failed again and again: a person asks once more within a minute.
const REST_MAX: Duration = Duration::from_secs(60);

/// The breaker of one backend.
#[derive(Clone, Debug, Default)]
pub struct Breaker {
    failures: u32,
    opens_at: Option<Time>,
}

/// What changed with the outcome of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It works again after [`Change::Broke`].
    Mended,
    /// From now on it is not asked for a while.
    Broke,
}

impl Breaker {
    /// Whether it may be asked now; otherwise how long not.
    ///
    /// # Errors
    /// The time until it may be tried again.
    pub fn may_ask(&self, now: Time) -> Result<(), Duration> {
        match self.opens_at {
            Some(at) if at > now => Err(at.since(now)),
            _ => Ok(()),
        }
    }

    /// It was reached.
    pub fn reached(&mut self) -> Option<Change> {
        let was_broken = self.failures >= FAILURES_MAX;
        *self = Breaker::default();
        was_broken.then_some(Change::Mended)
    }

    /// It was not.
    pub fn failed(&mut self, now: Time) -> Option<Change> {
        self.failures = self.failures.saturating_add(1);
        let beyond = self.failures.checked_sub(FAILURES_MAX)?;
        let rest = REST_MIN * 2_u32.saturating_pow(beyond.min(8));
        self.opens_at = Some(now + rest.min(REST_MAX));
        (beyond == 0).then_some(Change::Broke)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_after_three_failures_and_tries_once_in_a_while() {
        let (mut breaker, mut now) = (Breaker::default(), Time::ZERO);
        assert_eq!((breaker.failed(now), breaker.failed(now), breaker.may_ask(now)), (None, None, Ok(())));
        assert_eq!(breaker.failed(now), Some(Change::Broke));
        let mut rests = Vec::new();
        for _ in 0..6 {
            let Err(rest) = breaker.may_ask(now) else { panic!("it is asked all the same") };
            rests.push(rest.as_secs());
            now += rest;
            assert_eq!(breaker.may_ask(now), Ok(()));
            assert_eq!(breaker.failed(now), None, "told once");
        }
        assert_eq!(rests, [5, 10, 20, 40, 60, 60]);
        assert_eq!((breaker.reached(), breaker.may_ask(now)), (Some(Change::Mended), Ok(())));
        assert_eq!((breaker.failed(now), breaker.reached()), (None, None), "a hiccup is not told");
    }
}
