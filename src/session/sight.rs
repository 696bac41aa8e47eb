//! What the model is shown: a picture while somebody speaks, and the one that it asked for.
//!
//! A picture belongs to the turn in whose window it is sent, after the window's first sound; one that comes later would
//! count for the next (live-protocol.md 4.3). So it is asked for when it can be sent at once, and one that does not come in
//! time is not sent at all. What `look` took travels with the answer to that call, and to those that waited with it.

use std::time::Duration;

use super::timers::Reason;
use super::{Output, Session};
use crate::config::agent::device::LOOK;
use crate::config::agent::see::{EVERY_MS_MIN, See, SeeMode};
use crate::flow::{CloseCause, EyeWish, LinkOrder, Occasion, Shot, What};
use crate::live::client::Message;
use crate::still::Still;
use crate::units::Time;

/// How old a picture may be when it is sent.
pub const FRESH: Duration = Duration::from_millis(500);
/// A short question is over before a camera that was off gives its first picture. Where it was asked with the button, its end
/// waits so long for it.
pub const END_WAITS: Duration = Duration::from_millis(1500);

/// Whether a picture was asked for with the button.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    /// No, or it was sent.
    No,
    /// For what is about to be said, or is.
    Yes,
    /// For what was said, whose end waits until then.
    Until(Time),
}

/// What is wanted of the camera, and what of it was sent.
#[derive(Debug)]
pub struct Sight {
    see: See,
    /// What the camera was told last.
    told: EyeWish,
    /// Somebody pressed the button, or said the wake word, and no window has opened yet.
    is_expected: bool,
    asked: Asked,
    sent_at: Option<Time>,
    /// The newest picture that was taken for calls of `look`, while one of them is open.
    looked: Option<Still>,
}

impl Sight {
    /// A camera that rests.
    pub fn new(see: See) -> Sight {
        Sight { see, told: EyeWish::Rest, is_expected: false, asked: Asked::No, sent_at: None, looked: None }
    }

    /// Somebody is about to speak (true), or does, or does not after all.
    pub fn expect(&mut self, is_expected: bool) {
        self.is_expected = is_expected;
    }

    /// When the next picture may be sent; none for at once.
    fn next_at(&self) -> Option<Time> {
        let every_ms = if self.asked == Asked::No { self.see.every_ms } else { EVERY_MS_MIN };
        Some(self.sent_at? + Duration::from_millis(every_ms.into()))
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
            self.no_picture(now);
            return EyeWish::Shut;
        }
        self.give_up_waiting(now);
        let is_wanted = self.sight.see.mode == SeeMode::WhileSpeaking || self.sight.asked != Asked::No;
        if !is_wanted || self.account.spent().is_some() {
            return EyeWish::Rest;
        }
        match (self.uplink.is_open_for_pictures(), self.sight.next_at()) {
            (false, _) if self.sight.is_expected => EyeWish::Watch,
            (false, _) => EyeWish::Rest,
            (true, _) if !self.may_show() => EyeWish::Watch,
            (true, Some(at)) if at > now => {
                self.timers.sooner(Reason::Still, at);
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
            let why = if self.sight.asked == Asked::No { Occasion::Speaking } else { Occasion::Shown };
            self.still_sent(why, &shot.still, now);
            self.no_picture(now);
        }
    }

    /// Two taps: what is said next is asked with a picture.
    pub(super) fn want_picture(&mut self, now: Time) {
        if self.sight.see.is_on() && !self.mute.is_on() {
            self.picture_is_past(now);
            self.sight.asked = Asked::Yes;
        }
    }

    /// What was said is over: where a picture was asked for and has not come, the end waits a little.
    pub(super) fn wait_for_picture(&mut self, cause: CloseCause, now: Time) {
        match self.sight.asked {
            Asked::Yes if cause == CloseCause::Mistake || self.uplink.is_idle() => self.no_picture(now),
            Asked::Yes => {
                self.sight.asked = Asked::Until(now + END_WAITS);
                self.uplink.hold_end(true);
            }
            Asked::No | Asked::Until(_) => {}
        }
    }

    /// Something newer is said: the picture would not belong to it.
    pub(super) fn picture_is_past(&mut self, now: Time) {
        if matches!(self.sight.asked, Asked::Until(_)) {
            self.no_picture(now);
        }
    }

    /// The press came to nothing.
    pub(super) fn picture_is_off(&mut self) {
        if self.sight.asked == Asked::Yes {
            self.sight.asked = Asked::No;
        }
    }

    /// No picture is waited for, or none any more.
    fn no_picture(&mut self, now: Time) {
        self.sight.asked = Asked::No;
        if self.uplink.hold_end(false) {
            self.send_kept(now);
        }
    }

    fn give_up_waiting(&mut self, now: Time) {
        let Asked::Until(at) = self.sight.asked else { return };
        if at <= now || self.uplink.is_idle() {
            self.no_picture(now);
        } else {
            self.timers.set(Reason::Still, at);
        }
    }

    pub(super) fn still_sent(&mut self, why: Occasion, still: &Still, now: Time) {
        let Still { jpeg, width, height, taken_at } = still;
        let age_ms = now.since(*taken_at).as_millis() as u64;
        let (width, height, bytes, jpeg) = (*width, *height, jpeg.len(), jpeg.clone());
        self.event(What::StillSent { why, width, height, bytes, age_ms, jpeg });
    }
}
