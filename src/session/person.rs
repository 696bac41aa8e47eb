//! What a person wants beside talking, by the button or any other way: loudness, mute, stop, repeat, a new conversation.

use super::again::Again;
use super::mute::By;
use super::{Output, Session};
use crate::config::agent::Connection;
use crate::flow::{Closed, Control, Cue, GateNote, Gesture, SpeakerOrder, ToolOrder, What};
use crate::units::Time;

/// The loudest, percent.
const VOLUME_MAX: u8 = 100;

impl Session {
    pub(super) fn handle_control(&mut self, control: Control, now: Time) {
        match control {
            Control::Volume(percent) => self.set_volume(percent),
            Control::VolumeBy(step) => {
                let volume = self.volume_percent.unwrap_or(self.agent.speak.volume_percent);
                self.set_volume(volume.saturating_add_signed(step));
            }
            Control::Mute(is_muted) => self.set_muted(By::Person, is_muted, now),
            Control::Stop => {
                self.cut();
                self.hush(now);
            }
            Control::Repeat => self.repeat(),
            Control::Reset => self.reset(now),
            Control::VisitOver => {
                self.reset(now);
                self.out.push_back(Output::Tool(ToolOrder::VisitOver));
            }
            Control::End => self.is_end_wanted = true,
            Control::Listen if !self.mute.is_on() => self.out.push_back(Output::Gate(GateNote::Listen)),
            Control::Listen => self.cue(Cue::Muted),
            Control::AskTap(within) => self.ask_tap(within, now),
            Control::Confirm => self.confirmed(),
            Control::Tell(text) => self.notice(text, now),
            Control::Ring(is_ringing) => self.ring(is_ringing, now),
            Control::Hush => self.hush(now),
            Control::Voice { voice, language } => {
                if let Some(what) = self.voice.choose(voice.as_deref(), language.as_deref()) {
                    self.event(what);
                }
            }
        }
    }

    /// The conversation ends where that is wanted and all is said: nobody is listened to any more without a press or
    /// word, and a connection that is made on demand is closed.
    pub(super) fn end_if_wanted(&mut self, now: Time) {
        if !self.is_end_wanted || !self.is_idle() {
            return;
        }
        self.is_end_wanted = false;
        self.follow_up_ends();
        if self.agent.session.connection == Connection::OnDemand {
            self.close_link(Closed::Ended, now);
        }
    }

    pub(super) fn handle_gesture(&mut self, gesture: Gesture, now: Time) {
        match gesture {
            Gesture::Repeat => self.repeat(),
            Gesture::Look => self.want_picture(now),
            Gesture::Mute => self.mute_by_press(now),
            Gesture::Reset => {
                self.take_back_mute(now);
                self.reset(now);
            }
        }
    }

    fn set_volume(&mut self, percent: u8) {
        let percent = percent.min(VOLUME_MAX);
        self.volume_percent = Some(percent);
        self.speak(SpeakerOrder::Volume(percent));
        self.event(What::VolumeSet { percent });
    }

    /// At the start: as loud as a person last set it.
    pub(super) fn volume_as_remembered(&mut self) {
        if let Some(percent) = self.volume_percent.map(|percent| percent.min(VOLUME_MAX)) {
            self.speak(SpeakerOrder::Volume(percent));
            self.event(What::VolumeSet { percent });
        }
    }

    /// A new conversation: the device and the service forget the old one. A tool that is at work is brought to its
    /// end, as when a connection is lost; nobody is told what came of it.
    fn reset(&mut self, now: Time) {
        self.cut();
        self.out.push_back(Output::Gate(GateNote::Abort));
        let ms = self.uplink.forget();
        if ms > 0 {
            self.event(What::SpeechLost { ms, why: "a new conversation was begun".into() });
        }
        self.again = Again::default();
        self.notices.forget();
        self.is_end_wanted = false;
        self.replay.forget();
        self.history.forget();
        self.user_text.clear();
        let _ = self.turn.link_lost(&mut self.timers);
        self.close_link(Closed::Reset, now);
        self.resume.forget_all();
        self.calls.take_unsure();
        for lost in self.calls.take_lost(&mut self.timers) {
            self.event(What::ToolLost { id: lost.id, name: lost.name, is_told: false });
        }
        self.is_resume_unproved = false;
        self.event(What::ConversationReset);
        self.cue(Cue::Reset);
        if self.needs_link() {
            self.open_link(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::agent::Agent;
    use crate::session::Input;

    fn after(control: Control) -> (bool, Vec<ToolOrder>) {
        let mut session = Session::new(&Agent::default(), 7);
        session.handle_input(Input::Control(control), Time::from_ms(1));
        let (mut is_reset, mut orders) = (false, Vec::new());
        loop {
            match session.poll_output() {
                Output::Timeout(_) => return (is_reset, orders),
                Output::Event(What::ConversationReset) => is_reset = true,
                Output::Tool(order) => orders.push(order),
                _ => {}
            }
        }
    }

    #[test]
    fn a_visitor_who_is_gone_is_forgotten_by_the_tools_too_and_a_new_conversation_is_no_visit() {
        assert_eq!(after(Control::VisitOver), (true, vec![ToolOrder::VisitOver]));
        assert_eq!(after(Control::Reset), (true, Vec::new()));
    }
}
