//! The converter's sleep: when the device runs on with silence, and how much of it goes before a first sound.
//!
//! Many converters and amplifiers fall asleep when no sound comes and swallow the beginning of the next one. So the device
//! is started when a reply is to be expected, stays running for a while after one, and where it had to be started for a
//! sound, the board says how much silence that sound needs before it. Silence is nothing that is heard.

use std::time::Duration;

use super::BLOCK_MS;
use crate::units::Time;

/// How long a reply is waited for with the device running, once it was announced: slow models begin within a few
/// seconds, and whoever thinks for longer will be heard with the silence that the board asks for.
pub const EXPECT_MAX: Duration = Duration::from_secs(10);
/// A device that stood for less has a converter that is still awake: ASoC's power-down waits 5 s unless a driver says
/// otherwise (`pmdown_time`), USB devices and amplifiers at least some seconds.
pub const STILL_AWAKE: Duration = Duration::from_secs(1);

/// What keeps the converter awake.
#[derive(Debug)]
pub struct Awake {
    stay: Duration,
    lead_ms: u32,
    until: Option<Time>,
    /// Milliseconds that were rendered since the converter may have slept.
    ran_ms: u32,
    stood_since: Option<Time>,
    is_reply_over: bool,
}

impl Awake {
    /// Keeps the converter awake for `stay_awake_s` after a reply.
    pub fn new(stay_awake_s: u32) -> Awake {
        let stay = Duration::from_secs(u64::from(stay_awake_s));
        Awake { stay, lead_ms: 0, until: None, ran_ms: 0, stood_since: None, is_reply_over: false }
    }

    /// Puts `lead_ms` of silence before a sound that finds the converter asleep.
    pub fn set_lead_ms(&mut self, lead_ms: u32) {
        self.lead_ms = lead_ms;
    }

    /// Tells that a reply is to be expected.
    pub fn expect(&mut self, now: Time) {
        self.until = self.until.max(Some(now + EXPECT_MAX));
    }

    /// Tells that a reply begins: from now on its sound keeps the device running.
    pub fn on_reply(&mut self) {
        (self.until, self.is_reply_over) = (None, false);
    }

    /// Tells that a reply was heard to its end, or cut.
    pub fn on_reply_over(&mut self) {
        self.is_reply_over = true;
    }

    /// Tells whether the device stands.
    pub fn look(&mut self, stands: bool, now: Time) {
        // A device that stands was not needed for it: a reply without sound, a cut with nothing to cut.
        if std::mem::take(&mut self.is_reply_over) && !stands {
            self.until = self.until.max(Some(now + self.stay));
        }
        if stands {
            self.stood_since.get_or_insert(now);
        }
    }

    /// Until when the device is to run on with silence, if it is.
    pub fn until(&self, now: Time) -> Option<Time> {
        self.until.filter(|&until| now < until)
    }

    /// Counts a block that is rendered; answers whether it must be silence for the converter's sake.
    pub fn take_block(&mut self, now: Time) -> bool {
        if self.stood_since.take().is_some_and(|since| now.since(since) >= STILL_AWAKE) {
            self.ran_ms = 0;
        }
        let is_lead = self.ran_ms < self.lead_ms;
        self.ran_ms = self.ran_ms.saturating_add(BLOCK_MS);
        is_lead
    }
}
