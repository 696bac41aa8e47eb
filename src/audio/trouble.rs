//! What can go wrong with a PCM, and what to do about it: retry, recover, reopen later, tell the owner.
//!
//! A driver maps errno to [`PcmTrouble`]; the policy here decides, with the time as an argument.

use std::time::Duration;

use crate::units::Time;

/// What a PCM driver reports, named after what the caller must do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PcmTrouble {
    /// The application was late: capture lost frames or playback starved (EPIPE). Recover and go on.
    #[error("an xrun: the program was late and sound was lost")]
    Xrun,
    /// The device sleeps (ESTRPIPE). Recover and go on.
    #[error("the device was suspended")]
    Suspended,
    /// The device is gone (ENODEV, EBADFD, POLLHUP). Close and open again later.
    #[error("the device is gone")]
    Gone,
    /// Another program holds the device (EBUSY). Open again later.
    #[error("PCM {pcm} is busy: {holder}")]
    Busy {
        /// The PCM's name.
        pcm: String,
        /// Who holds it and what to do, the end of a sentence.
        holder: String,
    },
    /// There is no such PCM (ENOENT, ENODEV at opening). Open again later: it may be plugged in.
    #[error("PCM {pcm} was not found: is it plugged in? {there}")]
    Missing {
        /// The PCM's name.
        pcm: String,
        /// What is there instead, a sentence.
        there: String,
    },
    /// The device refuses what the board profile asks for. Opening again is of no use until the profile changes.
    #[error("PCM {pcm} refuses {what}; change it in the board profile")]
    Refused {
        /// The PCM's name.
        pcm: String,
        /// Which setting, and what the device offers instead.
        what: String,
    },
    /// Anything else, as a sentence.
    #[error("{0}")]
    Other(String),
}

impl PcmTrouble {
    /// [`PcmTrouble::Busy`] where nobody knows who holds it.
    pub fn busy(pcm: impl Into<String>) -> PcmTrouble {
        PcmTrouble::Busy {
            pcm: pcm.into(),
            holder: "another program holds it (`sudo fuser -v /dev/snd/*` names it)".into(),
        }
    }

    /// [`PcmTrouble::Missing`] where nobody has looked what is there.
    pub fn missing(pcm: impl Into<String>) -> PcmTrouble {
        PcmTrouble::Missing { pcm: pcm.into(), there: "`mynah devices` lists what is there".into() }
    }
}

/// Waits before the first, second … attempt to open again; the last one repeats for ever.
const REOPEN_AFTER_MS: [u64; 5] = [100, 250, 500, 1000, 2000];
/// Longest wait for a device that is not there, ms. It must be heard again within 2 s of being plugged in: the kernel
/// takes up to a second to know a USB device, opening takes up to 0.3 s. An attempt costs some tenths of a
/// millisecond.
const ABSENT_MAX_MS: u64 = 500;
/// … for one that is there and cannot be had, ms: another program looks at a new card for a moment, and its rights
/// are set a moment after it appears.
const TAKEN_MAX_MS: u64 = 1000;
/// Failed attempts to open after which the owner is told: about 850 ms, longer than a USB device takes to
/// come back by itself after a reset.
const TELL_AFTER: u32 = 3;
/// Xruns and suspends within [`STORM_MS`] that are taken one by one; more are a sick stream, opened afresh.
const STORM_COUNT: u32 = 20;
/// The window for [`STORM_COUNT`], ms.
const STORM_MS: u64 = 1000;
/// How long a device must work before earlier failures are forgotten and the owner hears that it works again,
/// ms: a loose plug that works for a moment is not repaired.
const STEADY_MS: u64 = 500;

/// What a PCM's owner does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Do the same step again.
    Retry,
    /// Call `recover`, then go on.
    Recover,
    /// Close the device and open it again at this time, not before.
    ReopenAt(Time),
}

/// Decides what to do about the trouble of one PCM; never gives up.
#[derive(Debug, Default)]
pub struct Recovery {
    /// Troubles in a row that ended in closing the device (or in not getting it open).
    failures: u32,
    /// Since when the device works; none while it does not.
    working_since: Option<Time>,
    /// Whether the owner was told and not yet told better.
    owner_told: bool,
    /// The sentence the owner has not seen yet.
    sentence: Option<String>,
    storm_since: Time,
    storm_count: u32,
    /// When an unknown error was last tried again.
    retried_at: Option<Time>,
}

impl Recovery {
    /// A policy for a device that was not opened yet.
    pub fn new() -> Recovery {
        Recovery::default()
    }

    /// Decides about `trouble`, at opening as well as later.
    pub fn on_trouble(&mut self, trouble: &PcmTrouble, now: Time) -> Action {
        match trouble {
            PcmTrouble::Xrun | PcmTrouble::Suspended => {
                if self.is_storm(now) {
                    self.reopen(trouble, now)
                } else {
                    Action::Recover
                }
            }
            PcmTrouble::Other(_) if self.may_retry(now) => {
                self.retried_at = Some(now);
                Action::Retry
            }
            PcmTrouble::Refused { .. } => {
                // Time heals nothing here, but the profile's other end may be a plug that differs next time.
                self.failures = self.failures.max(TELL_AFTER);
                self.reopen(trouble, now)
            }
            _ => self.reopen(trouble, now),
        }
    }

    /// Notes that the device works (opened and moving, or idle without complaint). Answers true once, when an
    /// owner who was told of the trouble may be told that it is over.
    pub fn on_success(&mut self, now: Time) -> bool {
        let since = *self.working_since.get_or_insert(now);
        if now.since(since).as_millis() < u128::from(STEADY_MS) {
            return false;
        }
        self.failures = 0;
        self.sentence = None;
        std::mem::take(&mut self.owner_told)
    }

    /// The sentence for the owner, once an outage, when it lasts.
    pub fn tell_owner(&mut self) -> Option<String> {
        self.sentence.take()
    }

    fn is_storm(&mut self, now: Time) -> bool {
        if now.since(self.storm_since).as_millis() >= u128::from(STORM_MS) {
            (self.storm_since, self.storm_count) = (now, 0);
        }
        self.storm_count += 1;
        self.storm_count > STORM_COUNT
    }

    /// An unknown error (EIO) is tried again once a second while the device works; then it is taken for gone.
    fn may_retry(&self, now: Time) -> bool {
        self.working_since.is_some() && self.retried_at.is_none_or(|at| now.since(at).as_millis() >= 1000)
    }

    fn reopen(&mut self, trouble: &PcmTrouble, now: Time) -> Action {
        self.working_since = None;
        self.storm_count = 0;
        let step = (self.failures as usize).min(REOPEN_AFTER_MS.len() - 1);
        let longest = match trouble {
            PcmTrouble::Missing { .. } | PcmTrouble::Gone | PcmTrouble::Xrun | PcmTrouble::Suspended => ABSENT_MAX_MS,
            PcmTrouble::Busy { .. } | PcmTrouble::Other(_) => TAKEN_MAX_MS,
            PcmTrouble::Refused { .. } => u64::MAX,
        };
        self.failures = self.failures.saturating_add(1);
        // The first failure is the loss itself; the attempts to open come after it.
        if self.failures > TELL_AFTER && !self.owner_told {
            self.owner_told = true;
            self.sentence = Some(trouble.to_string());
        }
        Action::ReopenAt(now + Duration::from_millis(REOPEN_AFTER_MS[step].min(longest)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gone() -> PcmTrouble {
        PcmTrouble::Gone
    }

    fn missing() -> PcmTrouble {
        PcmTrouble::missing("plughw:CARD=Device")
    }

    /// Waits until the next attempt, in ms, for each of `count` troubles that follow at once.
    fn waits(recovery: &mut Recovery, trouble: &PcmTrouble, count: usize, mut now: Time) -> Vec<u64> {
        let mut waits = Vec::new();
        for _ in 0..count {
            let Action::ReopenAt(at) = recovery.on_trouble(trouble, now) else { panic!("not a reopen") };
            waits.push(at.since(now).as_millis() as u64);
            now = at;
        }
        waits
    }

    #[test]
    fn what_each_trouble_leads_to_in_a_working_stream() {
        let reopen = Action::ReopenAt(Time::from_ms(10_100));
        let pcm = || "x".to_string();
        let table = [
            (PcmTrouble::Xrun, Action::Recover),
            (PcmTrouble::Suspended, Action::Recover),
            (PcmTrouble::Gone, reopen),
            (PcmTrouble::busy(pcm()), reopen),
            (PcmTrouble::missing(pcm()), reopen),
            (PcmTrouble::Other("EIO".into()), Action::Retry),
            (PcmTrouble::Refused { pcm: pcm(), what: "96000 Hz".into() }, Action::ReopenAt(Time::from_ms(11_000))),
        ];
        for (trouble, action) in table {
            let mut recovery = Recovery::new();
            recovery.on_success(Time::from_ms(1000));
            assert_eq!(recovery.on_trouble(&trouble, Time::from_ms(10_000)), action, "{trouble:?}");
        }
    }

    #[test]
    fn the_wait_grows_to_what_the_trouble_is_worth_and_stays_there_for_ever() {
        let refused = PcmTrouble::Refused { pcm: "x".into(), what: "96000 Hz".into() };
        for (trouble, first, last) in [
            (missing(), [100, 250, 500], 500),
            (gone(), [100, 250, 500], 500),
            (PcmTrouble::busy("x"), [100, 250, 500], 1000),
            (PcmTrouble::Other("no right".into()), [100, 250, 500], 1000),
            (refused, [1000, 2000, 2000], 2000),
        ] {
            let found = waits(&mut Recovery::new(), &trouble, 1000, Time::ZERO);
            assert_eq!(found[..3], first, "{trouble:?}");
            assert!(found[3..].iter().all(|&wait| wait == last), "{trouble:?}");
        }
    }

    #[test]
    fn the_owner_is_told_once_an_outage_and_once_when_it_is_over() {
        let mut recovery = Recovery::new();
        let mut now = Time::from_ms(5000);
        recovery.on_success(now);
        for outage in 0..2 {
            let mut told = Vec::new();
            for trouble in [gone(), missing(), missing(), missing(), missing(), missing()] {
                let Action::ReopenAt(at) = recovery.on_trouble(&trouble, now) else { panic!("not a reopen") };
                told.push(recovery.tell_owner());
                now = at;
            }
            assert_eq!(told.iter().filter(|t| t.is_some()).count(), 1, "outage {outage}");
            assert!(told[3].as_ref().is_some_and(|t| t.contains("plughw:CARD=Device")), "after the third attempt");
            assert!(!recovery.on_success(now), "one good period is not yet a repair");
            now += Duration::from_millis(STEADY_MS);
            assert!(recovery.on_success(now));
            assert!(!recovery.on_success(now), "only once");
        }
    }

    #[test]
    fn a_short_loss_is_nobodys_business() {
        let mut recovery = Recovery::new();
        recovery.on_success(Time::ZERO);
        waits(&mut recovery, &gone(), 2, Time::from_ms(1000));
        assert_eq!(recovery.tell_owner(), None);
        recovery.on_success(Time::from_ms(2000));
        assert!(!recovery.on_success(Time::from_ms(3000)), "who was told nothing needs no all-clear");
    }

    #[test]
    fn a_refused_setting_is_told_at_once_and_tried_slowly() {
        let mut recovery = Recovery::new();
        let trouble = PcmTrouble::Refused { pcm: "hw:0".into(), what: "96000 Hz".into() };
        assert!(waits(&mut recovery, &trouble, 1, Time::ZERO)[0] >= 1000);
        assert!(recovery.tell_owner().is_some_and(|text| text.contains("96000 Hz")));
        waits(&mut recovery, &trouble, 5, Time::from_ms(2000));
        assert_eq!(recovery.tell_owner(), None);
    }

    #[test]
    fn a_storm_of_xruns_is_a_reopen_but_a_few_are_not() {
        let mut recovery = Recovery::new();
        for n in 0..100 {
            // ten a second: bad, but each one is repaired
            assert_eq!(recovery.on_trouble(&PcmTrouble::Xrun, Time::from_ms(n * 100)), Action::Recover);
        }
        let start = Time::from_ms(60_000);
        let actions: Vec<_> =
            (0..21).map(|n| recovery.on_trouble(&PcmTrouble::Xrun, start + Duration::from_millis(n * 10))).collect();
        assert!(actions[..20].iter().all(|a| *a == Action::Recover));
        assert!(matches!(actions[20], Action::ReopenAt(_)));
    }

    #[test]
    fn an_unknown_error_is_retried_once_and_then_taken_for_gone() {
        let mut recovery = Recovery::new();
        recovery.on_success(Time::ZERO);
        let error = PcmTrouble::Other("EIO".into());
        assert_eq!(recovery.on_trouble(&error, Time::from_ms(100)), Action::Retry);
        assert!(matches!(recovery.on_trouble(&error, Time::from_ms(110)), Action::ReopenAt(_)));
    }

    #[test]
    fn a_loose_plug_does_not_start_the_waits_again() {
        let mut recovery = Recovery::new();
        waits(&mut recovery, &gone(), 4, Time::ZERO);
        recovery.on_success(Time::from_ms(2000)); // works for a moment only
        assert_eq!(waits(&mut recovery, &gone(), 1, Time::from_ms(2100)), [500]);
    }
}
