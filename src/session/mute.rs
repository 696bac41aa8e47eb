//! Mute: two hands hold the microphone closed, a person's and the hardware's line; while either does, no speech leaves.
//!
//! What was said and is still here is forgotten: unsent, sent and kept for asking again, the window under way. A
//! question that is with the service already is answered all the same; one whose end only waits for its picture is not yet.

use super::{Output, Session};
use crate::flow::{Cue, GateNote, What};
use crate::units::Time;

/// Who holds it closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// A person: a gesture, an order. It survives a restart.
    Person,
    /// The hardware's mute line.
    Line,
}

/// The machine.
#[derive(Debug, Default)]
pub struct Mute {
    by_person: bool,
    by_line: bool,
    /// How it was by the person before the press that changed it, while that press goes on.
    before_press: Option<bool>,
}

impl Mute {
    /// Takes up what an earlier run left.
    pub fn remember(&mut self, by_person: bool) {
        self.by_person = by_person;
    }

    /// Whether no speech may leave.
    pub fn is_on(&self) -> bool {
        self.by_person || self.by_line
    }

    /// Whether a person has closed it.
    pub fn by_person(&self) -> bool {
        self.by_person
    }

    /// Answers whether it is news.
    fn set(&mut self, by: By, is_muted: bool) -> bool {
        let held = match by {
            By::Person => &mut self.by_person,
            By::Line => &mut self.by_line,
        };
        std::mem::replace(held, is_muted) != is_muted
    }

    /// A press begins: what the one before changed stays.
    pub fn pressed(&mut self) {
        self.before_press = None;
    }
}

impl Session {
    /// At the start: what a person had closed stays closed.
    pub(super) fn mute_as_remembered(&mut self) {
        if self.mute.is_on() {
            self.out.push_back(Output::Gate(GateNote::Mute(true)));
            self.event(What::Muted { is_muted: true, by_line: false });
        }
    }

    /// Closes the microphone or opens it, as far as `by` holds it.
    pub(super) fn set_muted(&mut self, by: By, is_muted: bool, now: Time) {
        if self.change_mute(by, is_muted, now) {
            self.cue(if self.mute.is_on() { Cue::Muted } else { Cue::Unmuted });
        }
    }

    fn change_mute(&mut self, by: By, is_muted: bool, now: Time) -> bool {
        let was_on = self.mute.is_on();
        if !self.mute.set(by, is_muted) {
            return false;
        }
        self.event(What::Muted { is_muted, by_line: by == By::Line });
        if self.mute.is_on() != was_on {
            self.out.push_back(Output::Gate(GateNote::Mute(!was_on)));
            if !was_on {
                self.forget_speech("the microphone was muted", now);
            }
        }
        true
    }

    /// A long press: the other way round. While the line holds it closed nothing that is said would be heard, so the
    /// press only takes back what a person has closed.
    pub(super) fn mute_by_press(&mut self, now: Time) {
        let before = self.mute.by_person;
        if self.mute.by_line && !before {
            return self.cue(Cue::Muted);
        }
        self.mute.before_press = Some(before);
        self.set_muted(By::Person, !before, now);
    }

    /// The press goes on to mean something else: the mute that it passed on the way was not meant.
    pub(super) fn take_back_mute(&mut self, now: Time) {
        if let Some(before) = self.mute.before_press.take() {
            self.change_mute(By::Person, before, now);
        }
    }

    /// Nothing of what was said so far is sent any more, nor again.
    fn forget_speech(&mut self, why: &str, now: Time) {
        let ms = self.uplink.silence();
        if ms > 0 {
            self.event(What::SpeechLost { ms, why: why.to_string() });
        }
        self.send_kept(now); // the end of the window under way
    }
}
