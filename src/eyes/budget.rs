//! How much of pictures may go out in a minute.

use std::collections::VecDeque;
use std::time::Duration;

use crate::units::Time;

/// The time that is counted together.
const MINUTE: Duration = Duration::from_secs(60);
/// Pictures that are remembered: more than a second's worth each never go out in a minute.
const SPENT_MAX: usize = 256;

/// Bytes of the last minute.
#[derive(Debug)]
pub struct Budget {
    minute_bytes: usize,
    spent: VecDeque<(Time, usize)>,
}

impl Budget {
    /// So many bytes a minute.
    pub fn new(minute_bytes: usize) -> Budget {
        Budget { minute_bytes, spent: VecDeque::new() }
    }

    /// Whether `bytes` more may go out now; otherwise when they may. What is larger than a whole minute's bytes may
    /// once nothing else went out for a minute.
    ///
    /// # Errors
    /// The time from which on they may.
    pub fn ask(&mut self, bytes: usize, now: Time) -> Result<(), Time> {
        while self.spent.front().is_some_and(|(at, _)| now.since(*at) >= MINUTE) {
            self.spent.pop_front();
        }
        let mut sum: usize = self.spent.iter().map(|(_, bytes)| bytes).sum();
        let mut free_at = Ok(());
        for (at, gone) in &self.spent {
            if sum + bytes <= self.minute_bytes && self.spent.len() < SPENT_MAX {
                break;
            }
            sum -= gone;
            free_at = Err(*at + MINUTE);
            if sum + bytes <= self.minute_bytes {
                break;
            }
        }
        free_at
    }

    /// They went out.
    pub fn spend(&mut self, bytes: usize, now: Time) {
        self.spent.push_back((now, bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: u64) -> Time {
        Time::from_ms(s * 1000)
    }

    #[test]
    fn a_minute_holds_so_many_bytes_and_tells_when_there_is_room_again() {
        let mut budget = Budget::new(100);
        for (s, bytes) in [(0, 40), (10, 40), (20, 20)] {
            assert_eq!(budget.ask(bytes, at(s)), Ok(()));
            budget.spend(bytes, at(s));
        }
        assert_eq!(budget.ask(30, at(30)), Err(at(60)), "when the first is forgotten");
        assert_eq!(budget.ask(70, at(30)), Err(at(70)), "when the second is, too");
        assert_eq!(budget.ask(500, at(30)), Err(at(80)), "when there was nothing for a minute");
        assert_eq!(budget.ask(40, at(60)), Ok(()));
        assert_eq!(budget.ask(500, at(80)), Ok(()));
    }
}
