//! What goes along with a conversation: the sounds of its steps, the converter awake in time, the reply lowered while
//! somebody may be speaking over it, the gate open for an answer to it.

use std::time::Duration;

use super::timers::Reason;
use super::turn::Model;
use super::{Output, Session, playback};
use crate::config::agent::{Cues, ListenMode, VoiceBargeIn};
use crate::flow::{CloseCause, Cue, GateNote, OpenCause, SpeakerOrder, What};
use crate::live::models::TurnEnd;
use crate::units::Time;

/// Somebody waits for an answer for so long, and nothing comes: longer than the service usually takes …
const THINKING_AFTER: Duration = Duration::from_secs(2);
/// … and this often after that: seldom enough not to be a melody.
const THINKING_EVERY: Duration = Duration::from_secs(4);
/// A button that chatters, or is tapped twice, says "listening" or "muted" once.
const PRESS_CUE_EVERY: Duration = Duration::from_secs(1);

/// What is remembered of the steps.
#[derive(Debug, Default)]
pub struct Steps {
    press_cue_at: Option<Time>,
    /// What opened the gate's window.
    opened: Option<OpenCause>,
    is_ducked: bool,
    /// A reply was heard to its end, and nothing has happened since.
    is_reply_heard: bool,
    /// The gate was told so.
    is_follow_up_told: bool,
}

impl Session {
    /// The sound of a step, where the owner wants to hear each.
    fn step(&mut self, cue: Cue) {
        if self.agent.speak.cues == Cues::On {
            self.cue(cue);
        }
    }

    /// The button went down: what is it to say? Muted it is said with the press's end.
    pub(super) fn greet_press(&mut self, now: Time) {
        if self.mute.is_on() {
            return;
        }
        self.speak(SpeakerOrder::Wake);
        // Who is turned away hears that instead, when they speak.
        if self.account.spent().is_none() && self.is_press_cue_due(now) {
            // Nothing would come of what they say into a microphone that gives nothing.
            if self.is_mic_in_trouble { self.cue(Cue::Error) } else { self.step(Cue::Listening) }
        }
    }

    /// A press was of no use because the microphone is closed.
    pub(super) fn press_was_muted(&mut self, now: Time) {
        if self.is_press_cue_due(now) {
            self.cue(Cue::Muted);
        }
    }

    fn is_press_cue_due(&mut self, now: Time) -> bool {
        let is_due = self.steps.press_cue_at.is_none_or(|at| now.since(at) >= PRESS_CUE_EVERY);
        if is_due {
            self.steps.press_cue_at = Some(now);
        }
        is_due
    }

    /// A voice may open the gate now. The sound says so, unless the gate would be deaf for as long as it sounds.
    pub(super) fn greet_voice(&mut self) {
        if self.agent.listen.voice_barge_in != VoiceBargeIn::Off {
            self.step(Cue::Listening);
        }
    }

    /// The gate opened a window.
    pub(super) fn window_opened(&mut self, cause: OpenCause) {
        self.steps.opened = Some(cause);
        if cause == OpenCause::Voice {
            self.speak(SpeakerOrder::Wake);
        }
    }

    /// The gate closed a window that was taken. Hands-free it would be a sound after every sentence in the room, and
    /// one that hides how the next begins.
    pub(super) fn window_closed(&mut self, cause: CloseCause) {
        let opened = self.steps.opened.take();
        if cause == CloseCause::Mistake {
            return;
        }
        // The reply may come later than the converter stays awake for the press.
        self.speak(SpeakerOrder::Wake);
        let is_meant = opened == Some(OpenCause::Button) || self.agent.listen.mode != ListenMode::HandsFree;
        if is_meant && matches!(cause, CloseCause::Released | CloseCause::Silence) {
            self.step(Cue::Heard);
        }
    }

    /// Sets and clears [`Reason::Thinking`]: somebody waits, and hears nothing.
    pub(super) fn watch_thinking(&mut self, now: Time) {
        let is_awaited = matches!(self.turn.model(), Model::Awaited { is_wanted: true, .. });
        let is_at_work = self.turn.live_epoch().is_some() && self.calls.is_any_open();
        let is_silent = self.playback.state() == playback::State::Silent && self.uplink.is_idle();
        if self.agent.speak.cues == Cues::On && is_silent && (is_awaited || is_at_work) {
            self.timers.start(Reason::Thinking, now + THINKING_AFTER);
        } else {
            self.timers.clear(Reason::Thinking);
        }
    }

    /// [`Reason::Thinking`] passed.
    pub(super) fn thinking_due(&mut self, now: Time) {
        self.step(Cue::Thinking);
        self.timers.set(Reason::Thinking, now + THINKING_EVERY);
    }

    /// Lowers the reply that plays, or takes that back.
    pub(super) fn duck(&mut self, is_suspect: bool) {
        let is_ducked = is_suspect && self.playback.state() != playback::State::Silent;
        if std::mem::replace(&mut self.steps.is_ducked, is_ducked) != is_ducked {
            self.speak(SpeakerOrder::Duck(is_ducked));
            self.event(What::Ducked { is_ducked });
        }
    }

    /// A reply was heard to its end.
    pub(super) fn reply_was_heard(&mut self) {
        let is_wanted = self.agent.listen.follow_up_s > 0 && self.agent.listen.mode != ListenMode::HandsFree;
        self.steps.is_reply_heard = is_wanted;
    }

    /// The user does something, or what plays was cut: the reply is not followed up.
    pub(super) fn reply_is_past(&mut self) {
        self.steps.is_reply_heard = false;
        self.steps.is_follow_up_told = false;
    }

    /// Another reply begins: the time for an answer to the last one is over.
    pub(super) fn follow_up_ends(&mut self) {
        self.steps.is_reply_heard = false;
        if std::mem::take(&mut self.steps.is_follow_up_told) {
            self.out.push_back(Output::Gate(GateNote::FollowUp(false)));
        }
    }

    /// Tells the gate that a reply was heard to its end, once nothing more of it is to come.
    pub(super) fn watch_follow_up(&mut self) {
        if !self.steps.is_reply_heard {
            return;
        }
        let is_said = match self.turn.model() {
            Model::Idle => self.turn.is_idle(),
            Model::Generated { .. } => self.model.turn_end == TurnEnd::TurnComplete,
            Model::Awaited { .. } | Model::Replying { .. } => false,
        };
        let is_silent = self.playback.state() == playback::State::Silent;
        let is_owed = self.calls.is_any_open() || self.again.is_waiting() || !self.uplink.is_idle();
        if is_said && is_silent && !is_owed && !self.mute.is_on() {
            self.steps.is_reply_heard = false;
            self.steps.is_follow_up_told = true;
            self.out.push_back(Output::Gate(GateNote::FollowUp(true)));
        }
    }
}
