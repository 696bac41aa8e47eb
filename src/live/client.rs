//! Client messages: what may be said to the server, and how it is written.

use crate::audio::Speech;
use crate::units::CallId;

/// One message to the server. Exactly one of its kinds travels in a WebSocket message.
#[derive(Clone, Debug)]
pub enum Message {
    /// `setup`, first on every connection; the JSON object under `setup`.
    Setup(Box<serde_json::Value>),
    /// `realtimeInput.activityStart`.
    ActivityStart,
    /// `realtimeInput.audio`: `[frames, 1 channel] S16_LE @ 16 kHz`.
    Audio(Speech),
    /// `realtimeInput.activityEnd`.
    ActivityEnd,
    /// `toolResponse` with one function response.
    ToolResponse {
        /// Copied from the call.
        id: CallId,
        /// Copied from the call.
        name: String,
        /// `{"output": …}` or `{"error": "…"}`.
        response: serde_json::Value,
    },
}
