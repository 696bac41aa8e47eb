//! Growing waits between attempts, with spread.
//!
//! Steps as seen in mature clients (live-protocol.md 7.2), the first shorter, because a drop in mid-talk is heard: 0.1 s, 1 s, 3 s, 8 s, then 30 s. The spread keeps
//! a street full of devices from knocking at the same instant after a power cut; it comes from a seed, so
//! that the simulation can replay it.

use std::time::Duration;

const STEPS_MS: [u64; 5] = [100, 1_000, 3_000, 8_000, 30_000];

/// Spread: a wait is shortened or lengthened by up to this part of itself.
const SPREAD_PERCENT: u64 = 20;

/// Counts failures and says how long to wait.
#[derive(Clone, Debug)]
pub struct Backoff {
    failures: u32,
    state: u64,
}

impl Backoff {
    /// A backoff whose spread follows from `seed`.
    pub fn new(seed: u64) -> Backoff {
        Backoff { failures: 0, state: seed | 1 }
    }

    /// The wait after one more failure.
    pub fn next_wait(&mut self) -> Duration {
        let step = STEPS_MS[(self.failures as usize).min(STEPS_MS.len() - 1)];
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

    #[test]
    fn waits_grow_to_half_a_minute_and_stay_within_the_spread() {
        for seed in 0..200 {
            let mut backoff = Backoff::new(seed * 7919);
            for step in STEPS_MS.iter().chain(std::iter::repeat_n(&30_000, 5)) {
                let wait = backoff.next_wait().as_millis() as u64;
                assert!(wait >= step * 80 / 100 && wait <= step * 120 / 100, "seed {seed}: {wait} ms for {step} ms");
            }
            backoff.reset();
            assert!(backoff.next_wait() <= Duration::from_millis(120));
        }
    }

    #[test]
    fn two_devices_do_not_wait_alike() {
        let waits = |seed| {
            (0..5).map(|_| ()).fold((Backoff::new(seed), vec![]), |(mut b, mut v), ()| {
                v.push(b.next_wait());
                (b, v)
            })
        };
        assert_ne!(waits(1).1, waits(99).1);
    }
}
