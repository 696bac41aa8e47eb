//! What the model is shown: a picture while somebody speaks, and the one that it asked for.
//!
//! A picture belongs to the turn in whose window it is sent, after the window's first sound; one that comes later would
//! count for the next (live-protocol.md 4.3). So it is asked for when it can be sent at once, and one that does not come in
//! time is not sent at all. What `look` took travels with the answer to that call, and to those that waited with it.

use std::time::Duration;

use super::timers::Reason;
use super::{Output, Session};
use crate::config::agent::device::LOOK;
use crate::config::agent::see::{See, SeeMode};
use crate::flow::{EyeWish, LinkOrder, Occasion, Shot, What};
use crate::live::client::Message;
use crate::still::Still;
use crate::units::Time;

/// How old a picture may be when it is sent.
pub const FRESH: Duration = Duration::from_millis(500);

/// What is wanted of the camera, and what of it was sent.
#[derive(Debug)]
pub struct Sight {
    see: See,
    /// What the camera was told last.
    told: EyeWish,
    /// Somebody pressed the button, or said the wake word, and no window has opened yet.
    is_expected: bool,
    sent_at: Option<Time>,
    /// The newest picture that was taken for calls of `look`, while one of them is open.
    looked: Option<Still>,
}

impl Sight {
    /// A camera that rests.
    pub fn new(see: See) -> Sight {
        Sight { see, told: EyeWish::Rest, is_expected: false, sent_at: None, looked: None }
    }

    /// Somebody is about to speak (true), or does, or does not after all.
    pub fn expect(&mut self, is_expected: bool) {
        self.is_expected = is_expected;
    }

    /// When the next picture may be sent.
    fn next_at(&self) -> Option<Time> {
        Some(self.sent_at? + Duration::from_millis(self.see.every_ms.into()))
    }

    /// The picture that a call of `look` is answered with, while it is fresh. Calls that wait at the same time share it:
    /// each was promised one that is no newer.
    pub fn looked(&self, now: Time) -> Option<Still> {
        self.looked.clone().filter(|still| now.since(still.taken_at) <= FRESH)
    }
}

impl Session {
    /// Tells the camera what is wanted of it, where that has changed.
    pub(super) fn watch_sight(&mut self, now: Time) {
        self.timers.clear(Reason::Still);
        if !self.calls.is_open_of(LOOK) {
            self.sight.looked = None;
        }
        let wish = self.wished_sight(now);
        if wish != self.sight.told {
            self.sight.told = wish;
            self.out.push_back(Output::Eyes(wish));
        }
    }

    fn wished_sight(&mut self, now: Time) -> EyeWish {
        if !self.sight.see.is_on() {
            return EyeWish::Rest;
        }
        if self.mute.is_on() {
            self.sight.looked = None;
            return EyeWish::Shut;
        }
        if self.sight.see.mode != SeeMode::WhileSpeaking || self.account.spent().is_some() {
            return EyeWish::Rest;
        }
        match (self.uplink.is_gate_open(), self.sight.next_at()) {
            (false, _) if self.sight.is_expected => EyeWish::Watch,
            (false, _) => EyeWish::Rest,
            (true, _) if !self.may_show() => EyeWish::Watch,
            (true, Some(at)) if at > now => {
                self.timers.set(Reason::Still, at);
                EyeWish::Watch
            }
            (true, _) => EyeWish::Take,
        }
    }

    /// Whether a picture that is sent now goes into the window of what is being said, after sound, and at once.
    fn may_show(&self) -> bool {
        self.link.is_ready() && self.uplink.takes_picture()
    }

    pub(super) fn handle_shot(&mut self, shot: Shot, now: Time) {
        if shot.why == Occasion::Looked {
            self.sight.looked = Some(shot.still);
            return;
        }
        if self.sight.told != EyeWish::Take {
            return; // it comes too late
        }
        // The camera knows that it has given what was asked for; the next is asked for anew.
        self.sight.told = EyeWish::Watch;
        if self.may_show() && now.since(shot.still.taken_at) <= FRESH {
            self.sight.sent_at = Some(now);
            self.out.push_back(Output::Link(LinkOrder::Send(Message::Video(shot.still.jpeg.clone()))));
            self.still_sent(Occasion::Speaking, &shot.still, now);
        }
    }

    pub(super) fn still_sent(&mut self, why: Occasion, still: &Still, now: Time) {
        let Still { jpeg, width, height, taken_at } = still;
        let age_ms = now.since(*taken_at).as_millis() as u64;
        let (width, height, bytes, jpeg) = (*width, *height, jpeg.len(), jpeg.clone());
        self.event(What::StillSent { why, width, height, bytes, age_ms, jpeg });
    }
}
