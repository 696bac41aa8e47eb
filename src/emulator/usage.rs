//! What a conversation costs in tokens: the context by kind, and the `usageMetadata` of a turn.

use serde_json::{Value, json};

use crate::units::Hertz;

/// Tokens in a second of audio, in and out (live-protocol.md 4.4).
const TOKENS_PER_SECOND: u64 = 25;
/// Tokens of a still at medium resolution (live-protocol.md 4.4, video frame).
const TOKENS_PER_STILL: u64 = 70;
/// About four bytes of text are a token.
const BYTES_PER_TOKEN: u64 = 4;
const MICRO: u64 = 1_000_000;

/// The size of a context by kind, in millionths of a token: a message of audio is less than one token.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Context {
    text: u64,
    audio: u64,
    video: u64,
}

impl Context {
    pub(super) fn add_text(&mut self, text: &str) {
        self.text += text.len() as u64 * MICRO / BYTES_PER_TOKEN;
    }

    pub(super) fn add_audio(&mut self, frames: usize, rate: Hertz) {
        self.audio += frames as u64 * TOKENS_PER_SECOND * MICRO / u64::from(rate.0.max(1));
    }

    pub(super) fn add_still(&mut self) {
        self.video += TOKENS_PER_STILL * MICRO;
    }

    /// What was said becomes context; what was thought does not.
    pub(super) fn add_answer(&mut self, answer: &Context) {
        self.audio += answer.audio;
    }

    /// Whole tokens of all kinds.
    pub(super) fn tokens(&self) -> u64 {
        self.text / MICRO + self.audio / MICRO + self.video / MICRO
    }

    /// The `usageMetadata` of a turn that answers this context with sound and thoughts.
    pub(super) fn usage(&self, answer: &Context) -> Value {
        let (prompt, response) = (self.tokens(), answer.audio / MICRO);
        let mut usage = json!({
            "promptTokenCount": prompt,
            "responseTokenCount": response,
            "totalTokenCount": prompt + response,
            "promptTokensDetails": self.details(),
            "responseTokensDetails": Context { text: 0, ..*answer }.details(),
        });
        let thoughts = answer.text / MICRO;
        if thoughts > 0 {
            // Not part of the response; the service's total leaves them out too.
            usage["thoughtsTokenCount"] = json!(thoughts);
        }
        usage
    }

    fn details(&self) -> Value {
        let kinds = [("TEXT", self.text), ("AUDIO", self.audio), ("VIDEO", self.video)];
        let some = kinds.iter().filter(|(_, microtokens)| *microtokens >= MICRO);
        some.map(|(kind, microtokens)| json!({"modality": kind, "tokenCount": microtokens / MICRO})).collect()
    }
}
