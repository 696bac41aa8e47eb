//! The handle of the conversation: which one the next setup carries, and when there is none.
//!
//! A handle is good for [`HANDLE_LIFE`] after its connection ended, for one setup only. One that the service
//! refuses, or with which a connection twice did not get far, is given up (live-protocol.md 6.1, 7.2).

use std::time::Duration;

use super::memory::{HANDLE_LIFE, Resumable};
use crate::units::Time;

/// Setups with a handle that may fail one after the other before it is given up.
const FAILURES_MAX: u8 = 2;

/// The machine.
#[derive(Debug)]
pub struct Resume {
    /// Of what conversations the handle may be.
    setup: u64,
    own: Option<Resumable>,
    /// When the handle is worthless; none while its connection lives.
    expires_at: Option<Time>,
    /// Whether the present setup carried it.
    is_offered: bool,
    failures: u8,
    /// What an earlier run left of a conversation with another setup, and when it is worthless: that run may have
    /// had to take the fallback model, and so may this one.
    other: Option<(Resumable, Time)>,
}

impl Resume {
    /// No handle yet; `setup` is the mark of today's setup.
    pub fn new(setup: u64) -> Resume {
        Resume { setup, own: None, expires_at: None, is_offered: false, failures: 0, other: None }
    }

    /// Takes up what an earlier run left `age` ago (none: nobody knows how long, so it is worth a try). False where
    /// it is too old, or of another conversation; that one is put by for [`Resume::set_setup`].
    pub fn remember(&mut self, kept: Resumable, age: Option<Duration>, now: Time) -> bool {
        let left = HANDLE_LIFE.saturating_sub(age.unwrap_or_default());
        if left.is_zero() {
            return false;
        }
        if kept.setup != self.setup {
            self.other = Some((kept, now + left));
            return false;
        }
        self.own = Some(kept);
        self.expires_at = Some(now + left);
        true
    }

    /// The handle for a setup that is sent now.
    pub fn offer(&mut self, now: Time) -> Option<&str> {
        if self.expires_at.is_some_and(|at| at <= now) {
            self.forget();
        }
        self.is_offered = self.own.is_some();
        self.own.as_ref().map(|own| own.handle.as_str())
    }

    /// Whether a setup that is sent now would carry a handle.
    pub fn has_handle(&self, now: Time) -> bool {
        self.own.is_some() && self.expires_at.is_none_or(|at| at > now)
    }

    /// Whether the present setup carried a handle.
    pub fn is_offered(&self) -> bool {
        self.is_offered
    }

    /// `setupComplete`. The old handle stays good until the service sends a newer one.
    pub fn taken(&mut self) {
        self.expires_at = None;
    }

    /// The service sent a newer handle. Answers whether it is news.
    pub fn renewed(&mut self, handle: String) -> bool {
        self.failures = 0;
        self.expires_at = None;
        self.other = None;
        let own = Some(Resumable { handle, setup: self.setup });
        let is_news = self.own != own;
        self.own = own;
        is_news
    }

    /// The connection ended. `was_refused`: the setup was sent and not taken, or the service
    /// closed soon after. Answers whether the handle was given
    /// up for that.
    pub fn ended(&mut self, was_refused: bool, now: Time) -> bool {
        let was_offered = std::mem::take(&mut self.is_offered);
        if self.own.is_some() {
            self.expires_at.get_or_insert(now + HANDLE_LIFE);
        }
        if was_refused && was_offered {
            self.failures += 1;
        }
        let is_given_up = self.failures >= FAILURES_MAX;
        if is_given_up {
            self.forget();
        }
        is_given_up
    }

    /// Forgets the handle. Answers whether there was one.
    pub fn forget(&mut self) -> bool {
        self.expires_at = None;
        self.failures = 0;
        self.own.take().is_some()
    }

    /// Forgets the handle, and that of a conversation with another setup.
    pub fn forget_all(&mut self) {
        self.forget();
        self.other = None;
    }

    /// Another setup from now on, for which the handle is not, but perhaps that which an earlier run left.
    pub fn set_setup(&mut self, setup: u64) {
        if setup == self.setup {
            return;
        }
        self.setup = setup;
        self.forget();
        if let Some((kept, at)) = self.other.take_if(|(kept, _)| kept.setup == setup) {
            self.own = Some(kept);
            self.expires_at = Some(at);
        }
    }

    /// What is to be kept on the disk.
    pub fn memory(&self) -> Option<&Resumable> {
        self.own.as_ref().or_else(|| self.other.as_ref().map(|(kept, _)| kept))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_s(s: u64) -> Time {
        Time::from_ms(s * 1000)
    }

    #[test]
    fn a_handle_outlives_its_connection_by_two_hours() {
        let mut resume = Resume::new(1);
        assert!(resume.renewed("a".into()) && !resume.renewed("a".into()));
        assert_eq!(resume.offer(at_s(90_000)), Some("a"), "its connection lives");
        resume.taken();
        resume.ended(false, at_s(100));
        assert_eq!(resume.offer(at_s(100 + 7199)), Some("a"));
        assert_eq!(resume.offer(at_s(100 + 7200)), None);
        assert_eq!(resume.memory(), None);
    }

    #[test]
    fn attempts_that_reach_nobody_do_not_lengthen_its_life_nor_end_it() {
        let mut resume = Resume::new(1);
        resume.renewed("a".into());
        resume.ended(false, at_s(0));
        for s in [100, 200, 7000] {
            resume.offer(at_s(s));
            assert!(!resume.ended(false, at_s(s)));
        }
        assert!(resume.has_handle(at_s(7199)) && !resume.has_handle(at_s(7200)));
    }

    #[test]
    fn two_setups_in_a_row_that_are_not_taken_end_it() {
        let mut resume = Resume::new(1);
        resume.renewed("a".into());
        resume.offer(at_s(0));
        assert!(!resume.ended(true, at_s(1)));
        resume.offer(at_s(2));
        assert!(resume.ended(true, at_s(3)));
        assert_eq!(resume.offer(at_s(4)), None);
        assert!(!resume.is_offered());
    }

    #[test]
    fn what_an_earlier_run_left_is_taken_up_where_it_is_of_the_same_conversation_and_young() {
        let kept = || Resumable { handle: "a".into(), setup: 1 };
        for (setup, age_s, is_taken) in
            [(1, Some(7100), true), (1, Some(7200), false), (1, None, true), (2, Some(1), false)]
        {
            let mut resume = Resume::new(setup);
            assert_eq!(resume.remember(kept(), age_s.map(Duration::from_secs), at_s(0)), is_taken);
            assert_eq!(resume.has_handle(at_s(99)), is_taken);
        }
        let mut resume = Resume::new(1);
        resume.remember(kept(), Some(Duration::from_secs(7100)), at_s(0));
        assert!(!resume.has_handle(at_s(100)), "it has lived 7200 s by then");
        resume.set_setup(2);
        assert_eq!(resume.memory(), None);
    }
}
