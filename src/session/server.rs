//! One event of the server, all its fields in the order that keeps turns apart.
//!
//! `interrupted` first, because sound that rides with it is of the turn it cuts; then captions, sound and
//! calls; then `generationComplete`, then `turnComplete` (live-protocol.md 11, 12).

use super::Session;
use super::calls::Admission;
use super::playback::Offer;
use super::timers::Reason;
use super::turn::{Completed, Content};
use crate::audio::Chunk;
use crate::flow::{Call, SPEAKER_QUEUE_MS, SpeakerOrder, ToolOrder, What};
use crate::live::client;
use crate::live::server::{Interaction, Message};
use crate::units::{CallId, Epoch, Frames, Time};

/// The user's words of one turn that are kept for captions.
const USER_TEXT_MAX: usize = 16 * 1024;

impl Session {
    pub(super) fn handle_message(&mut self, mut message: Message, now: Time) {
        if message.setup_complete {
            let change = self.link.setup_complete(now, &mut self.timers);
            self.apply(change, now);
        }
        if !self.link.is_ready() {
            // Of a connection that was given up, or before its setup: nothing in it can be ours.
            return;
        }
        if message.interrupted
            && let Some(epoch) = self.turn.interrupted(now, &mut self.timers)
        {
            self.cut_by_server(epoch);
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
            && let Some(epoch) = self.turn.generated()
        {
            self.event(What::ReplyGenerated { epoch });
            self.end_of_sound(epoch);
        }
        self.handle_end(message.turn_complete, message.interaction, message.turn_reason);
        if let Some(total_tokens) = message.total_tokens {
            self.event(What::Usage { total_tokens });
        }
        if let Some(text) = message.error {
            self.event(What::Trouble { part: "link".into(), text: format!("the service reports an error: {text}") });
        }
    }

    fn cut_by_server(&mut self, epoch: Epoch) {
        if let Some(epoch) = self.playback.flush() {
            self.speak(SpeakerOrder::Flush { epoch });
        }
        self.event(What::ReplyCut { epoch, received_ms: self.playback.received_ms(), by_user: false });
    }

    fn handle_user_text(&mut self, text: &str) {
        if self.user_text.len() + text.len() <= USER_TEXT_MAX {
            self.user_text.push_str(text);
            let text = self.user_text.clone();
            self.event(What::UserText { text });
        }
    }

    fn handle_content(&mut self, message: &mut Message, now: Time) {
        let is_window_open = self.uplink.is_window_open();
        let (epoch, is_first) = match self.turn.content(is_window_open, now, &mut self.timers) {
            Content::Of { epoch, is_first } => (epoch, is_first),
            // Sound, captions and calls die here: the server takes its calls back with the turn.
            Content::Stale => return,
            Content::Cut => return self.refuse_calls(message),
        };
        if is_first && !message.audio.is_empty() {
            self.event(What::ReplyStarted { epoch });
        }
        if let Some(text) = message.model_text.take() {
            self.event(What::ModelText { epoch, text });
        }
        for chunk in message.audio.drain(..) {
            self.play(epoch, chunk);
        }
        for call in message.calls.drain(..) {
            self.call(call, now);
        }
    }

    /// Calls of a turn that was cut here, and the server does not know it yet: nothing moves, but a model that
    /// waits for an answer gets one.
    fn refuse_calls(&mut self, message: &mut Message) {
        for call in message.calls.drain(..) {
            let result = Err("not done: the user interrupted before it".to_string());
            let response = client::response_of(&result);
            self.send(client::Message::ToolResponse { id: call.id, name: call.name, response });
        }
    }

    fn play(&mut self, epoch: Epoch, chunk: Chunk) {
        let ms = Frames(chunk.frames.len() as u64).as_ms(chunk.rate);
        match self.playback.offer(epoch, &chunk) {
            Offer::Play => {
                self.event(What::ReplyReceived { epoch, ms });
                self.speak(SpeakerOrder::Play { epoch, chunk });
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
        let args = serde_json::Value::Object(call.args.clone());
        match self.calls.called(call, now, &mut self.timers) {
            Admission::Run(call) => {
                self.event(What::ToolCalled { id, name, args });
                self.turn.working(&mut self.timers);
                self.out.push_back(super::Output::Tool(ToolOrder::Run(call)));
            }
            Admission::Known => {}
            Admission::Refuse(reply) => {
                let response = client::response_of(&reply.result);
                self.send(client::Message::ToolResponse { id: reply.id, name: reply.name, response });
            }
        }
    }

    fn handle_cancellation(&mut self, id: CallId, now: Time) {
        if self.calls.cancelled(&id, &mut self.timers) {
            self.out.push_back(super::Output::Tool(ToolOrder::Cancel(id.clone())));
            self.event(What::ToolCancelled { id });
            self.turn.worked(now, &mut self.timers);
        }
    }

    fn handle_end(&mut self, turn_complete: bool, interaction: Option<Interaction>, reason: Option<String>) {
        let is_more_coming = interaction != Some(Interaction::Idle);
        if !turn_complete && interaction != Some(Interaction::Idle) {
            return;
        }
        let is_window_open = self.uplink.is_window_open();
        match self.turn.complete(is_window_open, is_more_coming, &mut self.timers) {
            Completed::Stale => {}
            Completed::Pause { epoch } => {
                if let Some(epoch) = epoch {
                    self.end_of_sound(epoch);
                }
            }
            Completed::Over { epoch } => {
                if let Some(epoch) = epoch {
                    self.end_of_sound(epoch);
                }
                self.timers.clear(Reason::Answer);
                self.event(What::TurnOver { reason });
            }
        }
    }
}
