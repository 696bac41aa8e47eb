//! One event of the server, all its fields in the order that keeps turns apart.
//!
//! `interrupted` first, because sound that rides with it is of the turn it cuts; then captions, sound and
//! calls; then `generationComplete`, then `turnComplete` (live-protocol.md 11, 12).

use std::collections::BTreeSet;

use serde_json::Value;

use super::Session;
use super::again::UNANSWERED_MAX;
use super::calls::Admission;
use super::playback::Offer;
use super::turn::{Completed, Content, Interrupted, Model, User};
use crate::audio::Chunk;
use crate::config::agent::device::LOOK;
use crate::flow::{Call, LinkOrder, Occasion, SPEAKER_QUEUE_MS, SpeakerOrder, ToolOrder, Usage, What};
use crate::live::client;
use crate::live::close::Closing;
use crate::live::server::{Interaction, Message};
use crate::still::Still;
use crate::units::{CallId, Epoch, Frames, Time};

/// The user's words of one turn that are kept for captions.
const USER_TEXT_MAX: usize = 16 * 1024;

/// Reasons of `turnCompleteReason` for which the same question may well be answered the next time; for the others
/// the service has made up its mind.
const WENT_WRONG: [&str; 3] = ["RESPONSE_REJECTED", "MALFORMED_FUNCTION_CALL", "GENERATED_OTHER"];

impl Session {
    pub(super) fn handle_message(&mut self, mut message: Message, now: Time) {
        if let Some(text) = &message.error {
            return self.handle_error(text, now);
        }
        if message.setup_complete {
            let change = self.link.setup_complete(now, &mut self.timers);
            self.apply(change, now);
        }
        if !self.link.is_ready() {
            // Of a connection that was given up, or before its setup: nothing in it can be ours.
            return;
        }
        if message.interrupted {
            self.handle_interrupted(now);
        }
        if let Some(text) = &message.user_text {
            self.handle_user_text(text);
        }
        if message.has_content() {
            self.handle_content(&mut message, now);
        }
        for id in message.cancelled {
            self.handle_cancellation(id, now);
        }
        if message.generation_complete
            && let Some(epoch) = self.turn.generated(now, &mut self.timers)
        {
            self.event(What::ReplyGenerated { epoch });
            self.end_of_sound(epoch);
        }
        self.handle_end(message.turn_complete, message.interaction, message.turn_reason, now);
        if let Some(usage) = message.usage {
            self.handle_usage(usage);
        }
        if let Some(handle) = message.handle {
            self.leave.handle_came();
            self.resume.renewed(handle);
        }
        if let Some(left) = message.go_away {
            self.handle_go_away(left, now);
        }
    }

    fn handle_usage(&mut self, turn: Usage) {
        let turn_microusd = self.account.count(&turn);
        let (day, session_microusd) = (self.account.day(), self.account.session_microusd());
        let (day_tokens, day_microusd) = (day.tokens, day.microusd);
        self.event(What::Usage { turn, turn_microusd, session_microusd, day_tokens, day_microusd });
    }

    /// An error told in a message ends the connection as a close frame with its text would.
    fn handle_error(&mut self, text: &str, now: Time) {
        let text = format!("the service reports an error: {text}");
        let closing = Closing::Error(text.clone());
        let change = self.link.down(&closing, self.resume.is_offered(), now, &mut self.timers);
        if change.is_some() {
            self.event(What::Trouble { part: "link".into(), text });
            self.out.push_back(super::Output::Link(LinkOrder::Close));
        }
        self.apply(change, now);
    }

    /// `interrupted`: what plays is silenced, whether its turn goes on at the server or is over there and only
    /// still to be heard.
    fn handle_interrupted(&mut self, now: Time) {
        let cut = match self.turn.interrupted(now, &mut self.timers) {
            Interrupted::Stale => return,
            Interrupted::Reply(epoch) => {
                self.uplink.answered();
                Some(epoch)
            }
            Interrupted::Other => None,
        };
        self.silence(cut, false);
    }

    /// What the user does, as far as the model's content is concerned.
    fn user(&self) -> User {
        if self.uplink.is_window_open() {
            User::Speaking
        } else if self.uplink.is_idle() {
            User::Listening
        } else {
            User::AboutToSpeak
        }
    }

    fn handle_user_text(&mut self, text: &str) {
        if self.user_text.len() + text.len() <= USER_TEXT_MAX {
            self.user_text.push_str(text);
            let text = self.user_text.clone();
            self.history.user_said(&text);
            self.tell_tools_heard(&text);
            self.event(What::UserText { text });
        }
    }

    fn handle_content(&mut self, message: &mut Message, now: Time) {
        // One event may repeat a call, or take it back in the same breath.
        let mut seen: BTreeSet<CallId> = message.cancelled.iter().cloned().collect();
        message.calls.retain(|call| seen.insert(call.id.clone()));
        let epoch = match self.turn.content(self.user(), now, &mut self.timers) {
            Content::Of { epoch } => epoch,
            Content::Stale => {
                // The server takes blocking calls back with their turn; the others it keeps open.
                message.calls.retain(|call| !self.calls.is_blocking(&call.name));
                return self.refuse_calls(message);
            }
            Content::Cut => return self.refuse_calls(message),
        };
        self.is_resume_unproved = false;
        for chunk in message.audio.drain(..) {
            self.play(epoch, chunk);
        }
        if let Some(text) = message.model_text.take() {
            self.history.model_said(&text);
            self.event(What::ModelText { epoch, text });
        }
        for call in message.calls.drain(..) {
            self.call(call, now);
        }
        if self.calls.is_any_open() {
            self.turn.working(&mut self.timers);
        }
    }

    /// Calls of a turn that was cut here: nothing moves, but a model that waits for an answer gets one.
    fn refuse_calls(&mut self, message: &mut Message) {
        for call in message.calls.drain(..).filter(|call| !self.calls.is_open(&call.id)).collect::<Vec<_>>() {
            let why = "not done: the user interrupted before it".to_string();
            self.respond(call.id, call.name, &Err(why));
        }
    }

    /// Gives the model the result of a call.
    pub(super) fn respond(&mut self, id: CallId, name: String, result: &Result<Value, String>) {
        // The picture went with the first answer, and is gone: what is before the camera now is another one.
        let gone = Err("the picture is not kept; call again to see what is there now".to_string());
        let result = if name == LOOK && result.is_ok() { &gone } else { result };
        let response = client::response_of(result);
        self.send(client::Message::ToolResponse { id, name, response, picture: None });
    }

    /// Gives the model the picture that it asked for.
    pub(super) fn show(&mut self, id: CallId, result: &Result<Value, String>, still: &Still, now: Time) {
        let (response, picture) = (client::response_of(result), Some(still.jpeg.clone()));
        self.send(client::Message::ToolResponse { id, name: LOOK.into(), response, picture });
        self.still_sent(Occasion::Looked, still, now);
    }

    fn play(&mut self, epoch: Epoch, chunk: Chunk) {
        let ms = Frames(chunk.frames.len() as u64).as_ms(chunk.rate);
        let is_first = self.playback.received_ms(epoch).is_none();
        match self.playback.offer(epoch, &chunk) {
            Offer::Play => {
                if is_first {
                    self.event(What::ReplyStarted { epoch });
                    self.follow_up_ends();
                }
                self.event(What::ReplyReceived { epoch, ms });
                self.say(SpeakerOrder::Play { epoch, chunk });
            }
            Offer::Overflow => {
                let text = format!(
                    "the reply is more than {} s ahead of the loudspeaker; its rest is not played",
                    SPEAKER_QUEUE_MS / 1000
                );
                self.event(What::Trouble { part: "speaker".into(), text });
                self.end_of_sound(epoch);
            }
            Offer::Drop => {}
        }
    }

    fn call(&mut self, call: Call, now: Time) {
        let (id, name) = (call.id.clone(), call.name.clone());
        let args = Value::Object(call.args.clone());
        match self.calls.called(call, now, &mut self.timers) {
            Admission::Run(call) => {
                self.again.begun(id.clone());
                self.event(What::ToolCalled { id, name, args });
                self.out.push_back(super::Output::Tool(ToolOrder::Run(call)));
            }
            Admission::Known => {}
            Admission::Refuse(reply) | Admission::Done(reply) => self.respond(reply.id, reply.name, &reply.result),
        }
    }

    fn handle_cancellation(&mut self, id: CallId, now: Time) {
        self.again.taken_back(&id);
        if self.calls.cancelled(&id, &mut self.timers) {
            self.out.push_back(super::Output::Tool(ToolOrder::Cancel(id.clone())));
            self.event(What::ToolCancelled { id });
            if !self.calls.is_any_open() {
                self.turn.worked(now, &mut self.timers);
            }
        }
    }

    fn handle_end(&mut self, turn_complete: bool, interaction: Option<Interaction>, reason: Option<String>, now: Time) {
        let is_more_coming = interaction != Some(Interaction::Idle);
        // IDLE in an event of its own ends what goes on; where nothing of a turn has come yet it is an older one's.
        if !turn_complete && (is_more_coming || !self.turn.is_under_way()) {
            return;
        }
        if interaction == Some(Interaction::InProgress) && self.turn.awaits_interrupted() {
            return; // the end of a filler of the turn that was cut, not of that turn
        }
        let was_awaited = matches!(self.turn.model(), Model::Awaited { is_wanted: true, .. });
        let went_wrong =
            reason.as_deref().filter(|reason| was_awaited && WENT_WRONG.contains(reason)).map(String::from);
        // Calls of an older connection of which nothing is known here, or whose answers were lost with it: the
        // first turn only ends the old exchange (live-protocol.md 6.1).
        let was_stuck = turn_complete && std::mem::take(&mut self.is_resume_unproved) && was_awaited;
        match self.turn.complete(self.user(), is_more_coming, now, &mut self.timers) {
            Completed::Stale => {}
            Completed::Pause { epoch } => {
                epoch.into_iter().for_each(|epoch| self.end_of_sound(epoch));
                if self.calls.is_any_open() {
                    self.turn.working(&mut self.timers);
                }
            }
            Completed::Over { epoch: None } if went_wrong.is_some() => {
                self.reply_refused(&went_wrong.unwrap_or_default(), 1, now);
            }
            Completed::Over { epoch: None } if was_stuck => {
                let why = reason.unwrap_or_else(|| "it had to end an older one first".into());
                self.reply_refused(&why, UNANSWERED_MAX, now);
            }
            Completed::Over { epoch } => {
                epoch.into_iter().for_each(|epoch| self.end_of_sound(epoch));
                self.turn_over(reason, now);
            }
        }
    }
}
