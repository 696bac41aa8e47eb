//! Loudspeaker, microphone and tools: their facts, and what is told of them.

use super::mute::By;
use super::timers::Reason;
use serde_json::Value;

use super::{Output, Session, again, calls};
use crate::config::agent::device::LOOK;
use crate::flow::{Cue, GateNote, MicFact, SpeakerFact, SpeakerOrder, ToolReply, What};
use crate::units::{Epoch, Time};

impl Session {
    pub(super) fn handle_speaker(&mut self, fact: SpeakerFact) {
        match fact {
            SpeakerFact::Started { epoch } => {
                self.event(What::ReplyHeard { epoch });
                self.audible(Some(true), None);
                self.timers.clear(Reason::Drain);
            }
            SpeakerFact::Heard { epoch, heard_ms } => {
                self.playback.heard(epoch, heard_ms);
                self.timers.clear(Reason::Drain);
            }
            SpeakerFact::Drained { epoch, heard_ms } => {
                if self.playback.drained(epoch) {
                    self.reply_was_heard();
                    self.duck(false);
                }
                self.event(What::ReplyDrained { epoch, heard_ms });
                self.audible(Some(false), None);
                self.cue_after(epoch);
            }
            SpeakerFact::Flushed { epoch, heard_ms } => {
                self.event(What::ReplySilent { epoch, heard_ms });
                self.audible(Some(false), None);
            }
            SpeakerFact::Concealed { epoch } => self.event(What::ReplyConcealed { epoch }),
            SpeakerFact::CueStarted => self.audible(None, Some(true)),
            SpeakerFact::CueOver => self.audible(None, Some(false)),
            SpeakerFact::Xrun => self.event(What::Xrun { part: "speaker".into() }),
            SpeakerFact::Full { epoch } => {
                let text = format!("the loudspeaker's queue is full; the rest of {epoch} is not played");
                self.event(What::Trouble { part: "speaker".into(), text });
            }
            SpeakerFact::Trouble(text) => self.event(What::Trouble { part: "speaker".into(), text }),
            SpeakerFact::Recovered => self.event(What::Recovered { part: "speaker".into() }),
        }
    }

    /// A reply, a cue, or both can be heard; the gate wants to know whether anything can.
    fn audible(&mut self, reply: Option<bool>, cue: Option<bool>) {
        let was_audible = self.is_reply_audible || self.is_cue_audible;
        self.is_reply_audible = reply.unwrap_or(self.is_reply_audible);
        self.is_cue_audible = cue.unwrap_or(self.is_cue_audible);
        let is_audible = self.is_reply_audible || self.is_cue_audible;
        if is_audible != was_audible {
            self.out.push_back(Output::Gate(GateNote::SpeakerAudible(is_audible)));
        }
    }

    /// [`Reason::Drain`] passed: the loudspeaker stands still. What it holds is given up, so that nobody waits for
    /// the end of it.
    pub(super) fn drain_due(&mut self) {
        let Some(epoch) = self.playback.flush() else { return };
        let text = "the loudspeaker does not play what it was given; the rest of the reply is dropped".to_string();
        self.event(What::Trouble { part: "speaker".into(), text });
        self.flush(epoch);
        self.duck(false);
        self.audible(Some(false), None);
        self.cue_after(epoch);
    }

    pub(super) fn end_of_sound(&mut self, epoch: Epoch) {
        if self.playback.end(epoch) {
            self.say(SpeakerOrder::End { epoch });
        }
    }

    pub(super) fn handle_mic(&mut self, fact: MicFact, now: Time) {
        match fact {
            MicFact::Xrun => self.event(What::Xrun { part: "mic".into() }),
            MicFact::Trouble(text) => {
                self.event(What::Trouble { part: "mic".into(), text });
                // Once an outage; who presses the button in it hears it again.
                if !std::mem::replace(&mut self.is_mic_in_trouble, true) {
                    self.cue(Cue::Error);
                }
            }
            // For the record only.
            MicFact::Reopened => {}
            MicFact::Muted(is_muted) => self.set_muted(By::Line, is_muted, now),
            // It also says so when it is opened for the first time, which is no news.
            MicFact::Running => {
                if std::mem::take(&mut self.is_mic_in_trouble) {
                    self.event(What::Recovered { part: "mic".into() });
                }
            }
        }
    }

    pub(super) fn handle_tool(&mut self, reply: ToolReply, now: Time) {
        if let Some(answer) = self.calls.replied(reply, now, &mut self.timers) {
            self.answer(answer, now);
        }
    }

    /// The result of a call of `look`, where a picture was taken.
    fn is_shown(&self, is_fresh: bool, result: Result<Value, String>) -> Result<Value, String> {
        match (is_fresh, self.model.sees_answers) {
            (_, false) => Err("this model cannot be shown pictures; say that you cannot see".to_string()),
            (false, _) => Err("the picture came too late; call again".to_string()),
            (true, true) => result,
        }
    }

    pub(super) fn answer(&mut self, answer: calls::Answer, now: Time) {
        self.calls.answered(&answer.reply);
        let ToolReply { id, name, mut result } = answer.reply;
        let still = if name == LOOK { self.sight.looked(now) } else { None };
        if name == LOOK && result.is_ok() {
            result = self.is_shown(still.is_some(), result);
        }
        self.again.done(&id, &name, &again::outcome(Some(&result)));
        match still {
            Some(still) if result.is_ok() => self.show(id.clone(), &result, &still, now),
            _ => self.respond(id.clone(), name.clone(), &result),
        }
        self.event(What::ToolAnswered { id, name, result, took_ms: answer.took_ms });
        if !self.calls.is_any_open() {
            self.turn.worked(now, &mut self.timers);
            if self.uplink.is_idle() {
                self.turn.result_given(now, &mut self.timers);
            }
        }
    }
}
