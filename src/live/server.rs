//! Server messages: raw bytes in, all fields of one event out.

use crate::audio::Chunk;
use crate::flow::Call;
use crate::units::CallId;

/// One message from the server: any number of its fields may be present at once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Message {
    /// `setupComplete`.
    pub setup_complete: bool,
    /// `serverContent.inputTranscription.text`.
    pub user_text: Option<String>,
    /// `serverContent.outputTranscription.text`.
    pub model_text: Option<String>,
    /// `serverContent.modelTurn.parts[].inlineData`, in order.
    pub audio: Vec<Chunk>,
    /// `serverContent.interrupted`.
    pub interrupted: bool,
    /// `serverContent.generationComplete`.
    pub generation_complete: bool,
    /// `serverContent.turnComplete`.
    pub turn_complete: bool,
    /// `toolCall.functionCalls`.
    pub calls: Vec<Call>,
    /// `toolCallCancellation.ids`.
    pub cancelled: Vec<CallId>,
}
