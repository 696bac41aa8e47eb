//! What the device itself has to tell: a reading that crossed its threshold, a timer that rings, an announcement.
//!
//! It is told to the model in words when nobody speaks and nothing is said, and the model says it. What cannot be told
//! soon is news no more and is dropped.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::{Session, playback};
use crate::flow::What;
use crate::live::client::Message;
use crate::units::Time;

/// Notices that wait; a sensor that chatters must not fill the conversation.
pub const NOTICES_MAX: usize = 8;
/// How long one waits for its moment: as long as a long conversation's turn.
pub const NOTICE_KEPT_FOR: Duration = Duration::from_secs(120);

/// What waits to be told.
#[derive(Debug, Default)]
pub struct Notices(VecDeque<(Arc<str>, Time)>);

impl Notices {
    /// Whether any waits.
    pub fn is_any(&self) -> bool {
        !self.0.is_empty()
    }

    /// When the oldest is news no more.
    pub fn expires_at(&self) -> Option<Time> {
        self.0.front().map(|(_, since)| *since + NOTICE_KEPT_FOR)
    }

    /// Drops those that are news no more; answers how many.
    pub fn expire(&mut self, now: Time) -> usize {
        let before = self.0.len();
        self.0.retain(|(_, since)| *since + NOTICE_KEPT_FOR > now);
        before - self.0.len()
    }

    /// Drops all.
    pub fn forget(&mut self) {
        self.0.clear();
    }
}

impl Session {
    /// The device has something to tell.
    pub(super) fn notice(&mut self, text: Arc<str>, now: Time) {
        if self.account.spent().is_some() {
            return self.notice_lost("today's limit is used up");
        }
        if self.notices.0.len() >= NOTICES_MAX {
            return self.notice_lost("too much is to be told at once");
        }
        self.notices.0.push_back((text, now));
        if self.needs_link() {
            self.open_link(now);
        }
    }

    pub(super) fn notice_lost(&mut self, why: &str) {
        self.event(What::NoticeLost { why: why.into() });
    }

    /// Tells the next notice, where its moment has come.
    pub(super) fn tell_notice(&mut self, now: Time) {
        let is_silent = self.playback.state() == playback::State::Silent;
        let is_owed = self.calls.is_any_open() || self.again.is_waiting() || !self.uplink.is_idle();
        let is_ready = self.link.is_ready() && !self.leave.is_wanted();
        if !is_ready || is_owed || !is_silent || !self.turn.is_idle() || self.hold.is_on() {
            return;
        }
        let Some((text, _)) = self.notices.0.pop_front() else { return };
        self.event(What::NoticeTold);
        self.again.forget();
        self.history.turn_over(now);
        self.user_text.clear();
        self.replay.over();
        self.send(Message::Text(text.to_string()));
        self.turn.asked_in_words(now, &mut self.timers);
    }
}
