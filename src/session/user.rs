//! The user's side: what the gate says, and what of it goes out.

use super::timers::Reason;
use std::time::Duration;

use super::uplink::{Sent, Taken};
use super::{Output, Session, playback};
use crate::audio::{HOP_MS, Speech, UPLINK_RATE};
use crate::flow::{
    CloseCause, Cue, DropCause, GateEvent, GateNote, LinkOrder, OpenCause, SPEECH_KEPT_MS, SpeakerOrder, What,
};
use crate::live::client::Message;
use crate::units::{Epoch, Time};

/// Voices are told that nothing more is to be spent this often at most.
const SPENT_AGAIN: Duration = Duration::from_secs(600);

impl Session {
    pub(super) fn handle_gate(&mut self, event: GateEvent, now: Time) {
        match event {
            GateEvent::Pressed => {
                self.event(What::Pressed);
                self.mute.pressed();
                self.consent.pressed(now);
                self.ring_pressed(now);
                self.cut();
                self.hold_replies(now);
                self.reply_is_past();
                self.greet_press(now);
                self.sight.expect(true);
                self.expect_speech(now);
            }
            GateEvent::Released => {
                self.event(What::Released);
                self.released(now);
            }
            GateEvent::Opened(cause) => self.handle_opened(cause, now),
            GateEvent::Speech(speech) => self.handle_speech(&speech, now),
            GateEvent::Closed(cause) => {
                self.event(What::GateClosed { cause });
                self.sight.expect(false);
                self.press_was_nothing();
                if self.uplink.is_gate_open() {
                    self.window_closed(cause);
                }
                self.uplink.close(cause);
                self.wait_for_picture(cause, now);
                self.send_kept(now);
            }
            GateEvent::Dropped(cause) => {
                self.event(What::PressDropped { cause });
                self.sight.expect(false);
                self.picture_is_off();
                self.press_was_nothing();
                if cause == DropCause::Muted {
                    self.press_was_muted(now);
                }
            }
            GateEvent::Lost(hops) => {
                let why = "the program was too late to take it from the microphone".to_string();
                self.event(What::SpeechLost { ms: u64::from(hops) * u64::from(HOP_MS), why });
            }
            GateEvent::Gesture(gesture) => self.handle_gesture(gesture, now),
            GateEvent::Suspect(is_suspect) => self.duck(is_suspect),
            GateEvent::Echo { duplex, erle_db } => self.event(What::EchoState { duplex, erle_db }),
            GateEvent::Woken => {
                self.event(What::Woken);
                if self.mute.is_on() {
                    return;
                }
                self.cut();
                self.reply_is_past();
                self.speak(SpeakerOrder::Wake);
                self.ring_listens(now);
                self.greet_voice();
                self.sight.expect(true);
                self.expect_speech(now);
            }
            GateEvent::FollowUp(is_open) => {
                self.event(What::FollowUp { is_open });
                if is_open && !self.mute.is_on() {
                    self.greet_voice();
                }
            }
        }
    }

    fn handle_opened(&mut self, cause: OpenCause, now: Time) {
        self.event(What::GateOpened { cause });
        self.sight.expect(false);
        if self.mute.is_on() {
            return; // the gate does not know yet
        }
        self.cut();
        self.press_was_spoken_in();
        self.reply_is_past();
        if let Some(why) = self.account.spent() {
            return self.turn_away(why, cause, now);
        }
        self.open_link(now);
        self.again.dropped();
        self.picture_is_past(now);
        self.window_opened(cause);
        self.uplink.open();
    }

    /// Somebody is there and is about to speak.
    fn expect_speech(&mut self, now: Time) {
        // The idle time begins anew.
        self.timers.clear(Reason::Idle);
        // The connection is made while the person draws breath.
        if !self.mute.is_on() {
            self.open_link(now);
        }
    }

    /// Nothing more is to be spent today: the user is told at once, and nothing is kept.
    ///
    /// A press always; a voice, which in a noisy room may be anybody's all day, not more often than it is of use.
    fn turn_away(&mut self, why: String, cause: OpenCause, now: Time) {
        self.out.push_back(Output::Gate(GateNote::Abort));
        let is_due = self.spent_cue_at.is_none_or(|at| now.since(at) >= SPENT_AGAIN);
        if cause == OpenCause::Button || is_due {
            self.spent_cue_at = Some(now);
            self.event(What::DaySpent { why });
            self.cue(Cue::Spent);
        }
    }

    fn handle_speech(&mut self, speech: &Speech, now: Time) {
        match self.uplink.speech(speech) {
            Taken::Kept => self.send_kept(now),
            Taken::NoWindow => {}
            Taken::Full => {
                let trouble = if self.link.is_ready() { "the network is too slow" } else { "there is no connection" };
                let why = format!("{trouble}, and {} s of speech are kept already", SPEECH_KEPT_MS / 1000);
                let ms = speech.frames().len() as u64 * 1000 / u64::from(UPLINK_RATE.0);
                self.event(What::SpeechLost { ms, why });
                self.cue(Cue::Lost);
                self.uplink.close(CloseCause::TooLong);
                self.out.push_back(Output::Gate(GateNote::Abort));
            }
        }
    }

    /// The user wants to be heard: whatever the model says is over, here and now.
    pub(super) fn cut(&mut self) {
        if self.playback.state() != playback::State::Silent {
            // Also what broke off before and was to be asked again: who wants it to stop does not want it twice.
            self.uplink.drop_again();
            self.again.dropped();
        }
        let cut = self.turn.cut();
        if cut.is_some() {
            self.uplink.answered();
        }
        self.silence(cut, true);
    }

    /// Flushes what plays and tells what was cut: the turn `cut`, or one that was only still to be heard.
    pub(super) fn silence(&mut self, cut: Option<Epoch>, by_user: bool) {
        let flushed = self.playback.flush();
        if let Some(epoch) = flushed {
            self.flush(epoch);
            self.reply_is_past();
        }
        self.duck(false);
        if let Some(epoch) = cut.or(flushed) {
            let received_ms = self.playback.received_ms(epoch).unwrap_or(0);
            self.event(What::ReplyCut { epoch, received_ms, by_user });
        }
    }

    /// Sends what is kept, where the link is ready and is not about to be left.
    pub(super) fn send_kept(&mut self, now: Time) {
        if !self.link.is_ready() || (self.leave.is_wanted() && !self.uplink.is_window_open()) {
            return;
        }
        let Session { uplink, timers, .. } = self;
        let mut sent = Vec::new();
        uplink.send(now, timers, |what| sent.push(what));
        for what in sent {
            match what {
                Sent::Started { is_again } => self.window_started(is_again, now),
                Sent::Message(message) => {
                    let ms = spoken_ms(&message);
                    self.out.push_back(Output::Link(LinkOrder::Send(message)));
                    if ms > 0 {
                        self.event(What::SpeechSent { ms });
                    }
                }
                Sent::Ended { sent_ms, cause } => {
                    self.turn.window_ended(cause != CloseCause::Mistake, now, &mut self.timers);
                    self.event(What::WindowClosed { sent_ms });
                }
            }
        }
    }

    fn window_started(&mut self, is_again: bool, now: Time) {
        self.replay.over();
        if !is_again {
            self.again.forget();
            self.history.turn_over(now);
            self.consent.turn_began(now);
        }
        self.user_text.clear();
        self.turn.window_started(&mut self.timers);
        self.event(What::WindowOpened);
    }
}

fn spoken_ms(message: &Message) -> u64 {
    match message {
        Message::Audio(speech) => speech.frames().len() as u64 * 1000 / u64::from(UPLINK_RATE.0),
        _ => 0,
    }
}
