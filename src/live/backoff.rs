//! Growing waits between attempts, with spread.
//!
//! The usual steps are those seen in mature clients (live-protocol.md 7.2), the first shorter, because a drop in mid-talk
//! is heard: 0.1 s, 1 s, 3 s, 8 s, then 30 s. The spread keeps a street full of devices from knocking at the same instant
//! after a power cut; it comes from a seed, so that the simulation can replay it.

use std::time::Duration;

const STEPS_MS: [u64; 5] = [100, 1_000, 3_000, 8_000, 30_000];

/// Spread: a wait is shortened or lengthened by up to this part of itself.
const SPREAD_PERCENT: u64 = 20;

/// Counts failures and says how long to wait.
#[derive(Clone, Debug)]
pub struct Backoff {
    steps_ms: &'static [u64],
    failures: u32,
    state: u64,
}

impl Backoff {
    /// A backoff with the usual steps, whose spread follows from `seed`.
    pub fn new(seed: u64) -> Backoff {
        Backoff::with_steps(&STEPS_MS, seed)
    }

    /// One with steps of its own, ms; after the last of them it stays at that. Without any it does not wait.
    pub fn with_steps(steps_ms: &'static [u64], seed: u64) -> Backoff {
        Backoff { steps_ms, failures: 0, state: seed | 1 }
    }

    /// The wait after one more failure.
    pub fn next_wait(&mut self) -> Duration {
        let step = self.steps_ms.get(self.failures as usize).or(self.steps_ms.last()).copied().unwrap_or_default();
        self.failures = self.failures.saturating_add(1);
        // xorshift64: enough to tell devices apart, and replayable.
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        let percent = 100 - SPREAD_PERCENT + self.state % (2 * SPREAD_PERCENT + 1);
        Duration::from_millis(step * percent / 100)
    }

    /// The connection proved itself: the next failure is the first again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The wait of the n-th failure in a row, from 0, before the spread.
    fn step_ms(failures: usize) -> u64 {
        STEPS_MS[failures.min(STEPS_MS.len() - 1)]
    }

    fn waits(seed: u64, count: usize) -> Vec<Duration> {
        let mut backoff = Backoff::new(seed);
        (0..count).map(|_| backoff.next_wait()).collect()
    }

    proptest! {
        #[test]
        fn each_wait_is_within_the_spread_of_its_step(seed: u64, failures in 1..40_usize) {
            for (n, wait) in waits(seed, failures).into_iter().enumerate() {
                let (wait, step) = (wait.as_millis() as u64, step_ms(n));
                prop_assert!((step * 80 / 100..=step * 120 / 100).contains(&wait), "{} ms for {} ms", wait, step);
            }
        }

        #[test]
        fn after_a_connection_that_held_the_first_wait_is_short_again(seed: u64, failures in 0..40_usize) {
            let mut backoff = Backoff::new(seed);
            for _ in 0..failures {
                backoff.next_wait();
            }
            backoff.reset();
            prop_assert!(backoff.next_wait() <= Duration::from_millis(120));
            prop_assert!(backoff.next_wait() >= Duration::from_millis(800));
        }

        #[test]
        fn two_devices_do_not_wait_alike_and_one_always_does(seed: u64, other: u64) {
            // The lowest bit does not count: the state must never be zero.
            prop_assume!(seed | 1 != other | 1);
            prop_assert_ne!(waits(seed, 12), waits(other, 12));
            prop_assert_eq!(waits(seed, 12), waits(seed, 12));
        }
    }

    #[test]
    fn a_month_without_a_network_neither_overflows_nor_waits_longer() {
        let mut backoff = Backoff { failures: u32::MAX - 500_000, ..Backoff::new(7) };
        for _ in 0..1_000_000 {
            let wait = backoff.next_wait();
            assert!((24_000..=36_000).contains(&(wait.as_millis() as u64)), "{wait:?}");
        }
    }
}
