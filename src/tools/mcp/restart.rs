//! When a server that went away is started again: soon the first time, ever later, never all at the same instant.

use std::time::Duration;

/// The first wait: a server that fell over once is there again before the next sentence.
const FIRST: Duration = Duration::from_secs(1);
/// The longest: who mends the server waits no longer than a minute.
const LONGEST: Duration = Duration::from_secs(60);
/// A wait is shortened or lengthened by up to this part of itself.
const SPREAD_PERCENT: u64 = 20;

/// Counts failures and says how long to wait.
#[derive(Clone, Debug)]
pub struct Restart {
    failures: u32,
    state: u64,
}

impl Restart {
    /// Waits whose spread follows from `seed`.
    pub fn new(seed: u64) -> Restart {
        Restart { failures: 0, state: seed | 1 }
    }

    /// The wait after one more failure.
    pub fn next_wait(&mut self) -> Duration {
        let wait = LONGEST.min(FIRST * 2_u32.pow(self.failures.min(6)));
        self.failures = self.failures.saturating_add(1);
        // xorshift64: enough to tell servers apart.
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        let percent = 100 - SPREAD_PERCENT + self.state % (2 * SPREAD_PERCENT + 1);
        wait.mul_f64(percent as f64 / 100.0)
    }

    /// It proved itself: the next failure is the first again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_minute_and_differ_from_server_to_server() {
        let waits = |seed| {
            let mut restart = Restart::new(seed);
            (0..9).map(|_| restart.next_wait().as_secs_f64()).collect::<Vec<_>>()
        };
        for seed in 0..100 {
            for (wait, about) in waits(seed).into_iter().zip([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]) {
                assert!((0.8 * about..=1.2 * about).contains(&wait), "{wait} is not about {about}");
            }
        }
        assert_ne!(waits(3), waits(5));
        let mut restart = Restart::new(1);
        let _ = (restart.next_wait(), restart.next_wait(), restart.reset());
        assert!(restart.next_wait() < FIRST * 2);
    }
}
