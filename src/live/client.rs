//! Client messages: what may be said to the server, and how it is written.
//!
//! Camel case, exactly one kind in a message, audio always with its rate (live-protocol.md 2, 4.1).

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::audio::{SPEECH_FRAMES_MAX, Speech};
use crate::still::Jpeg;
use crate::units::CallId;

/// The MIME type of pictures.
const JPEG: &str = "image/jpeg";

/// One message to the server. Exactly one of its kinds travels in a WebSocket message.
#[derive(Clone, Debug)]
pub enum Message {
    /// `setup`, first on every connection; the JSON object under `setup`.
    Setup(Box<Value>),
    /// `realtimeInput.activityStart`.
    ActivityStart,
    /// `realtimeInput.audio`: `[frames, 1 channel] S16_LE @ 16 kHz`.
    Audio(Box<Speech>),
    /// `realtimeInput.video`: a picture; never before the first sound of its window.
    Video(Jpeg),
    /// `realtimeInput.activityEnd`.
    ActivityEnd,
    /// `toolResponse` with one function response.
    ToolResponse {
        /// Copied from the call.
        id: CallId,
        /// Copied from the call.
        name: String,
        /// `{"output": …}` or `{"error": "…"}`.
        response: Value,
        /// What the model is shown with it.
        picture: Option<Jpeg>,
    },
    /// `realtimeInput.text`: a typed turn, answered like a spoken one.
    Text(String),
    /// `clientContent` with what was said before, for a session whose setup announced it; it is not answered.
    History(Vec<Said>),
}

/// One side's words of an earlier turn.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Said {
    /// Whether the user said it; otherwise the model.
    pub by_user: bool,
    /// The words.
    pub text: String,
}

/// The response object of a tool's result: `{"output": value}` or `{"error": sentence}`.
///
/// Never a bare string or array: the service takes only objects (live-protocol.md 2.6).
pub fn response_of(result: &Result<Value, String>) -> Value {
    match result {
        Ok(value) => json!({ "output": value }),
        Err(sentence) => json!({ "error": sentence }),
    }
}

/// Writes `message` as one JSON object into `out`, replacing what was there.
pub fn encode(message: &Message, out: &mut String) {
    out.clear();
    match message {
        Message::Setup(setup) => push(out, &json!({ "setup": setup })),
        Message::ActivityStart => out.push_str(r#"{"realtimeInput":{"activityStart":{}}}"#),
        Message::ActivityEnd => out.push_str(r#"{"realtimeInput":{"activityEnd":{}}}"#),
        Message::Audio(speech) => push_audio(out, speech.frames()),
        Message::Video(jpeg) => push_video(out, jpeg),
        Message::ToolResponse { id, name, response, picture } => {
            let mut answer = json!({"id": &*id.0, "name": name, "response": response});
            if let Some(jpeg) = picture {
                answer["parts"] = json!([{"inlineData": {"mimeType": JPEG, "data": STANDARD.encode(&**jpeg)}}]);
            }
            push(out, &json!({"toolResponse": {"functionResponses": [answer]}}));
        }
        Message::Text(text) => push(out, &json!({"realtimeInput": {"text": text}})),
        Message::History(said) => push(out, &history(said)),
    }
}

/// Always with a role: the 3.x models close without one (live-protocol.md 2.8).
fn history(said: &[Said]) -> Value {
    let turn = |said: &Said| {
        let role = if said.by_user { "user" } else { "model" };
        json!({"role": role, "parts": [{"text": said.text}]})
    };
    json!({"clientContent": {"turns": said.iter().map(turn).collect::<Vec<_>>(), "turnComplete": true}})
}

fn push(out: &mut String, value: &Value) {
    // Writing to a String cannot fail.
    let _ = write!(out, "{value}");
}

/// By hand, because it goes out fifty times a second: the base64 text lands in the message without a copy.
fn push_audio(out: &mut String, frames: &[i16]) {
    let mut bytes = [0u8; 2 * SPEECH_FRAMES_MAX];
    let mut len = 0;
    for (room, frame) in bytes.chunks_exact_mut(2).zip(frames) {
        room.copy_from_slice(&frame.to_le_bytes());
        len += 2;
    }
    out.push_str(r#"{"realtimeInput":{"audio":{"mimeType":"audio/pcm;rate=16000","data":""#);
    STANDARD.encode_string(&bytes[..len], out);
    out.push_str(r#""}}}"#);
}

/// By hand, as sound: a picture's text is a hundred kilobytes.
fn push_video(out: &mut String, jpeg: &Jpeg) {
    out.push_str(r#"{"realtimeInput":{"video":{"mimeType":""#);
    out.push_str(JPEG);
    out.push_str(r#"","data":""#);
    STANDARD.encode_string(&**jpeg, out);
    out.push_str(r#""}}}"#);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::audio::{HOP_FRAMES, Hop};
    use crate::units::Time;

    fn json_of(message: &Message) -> Value {
        let mut out = String::from("what was there");
        encode(message, &mut out);
        serde_json::from_str(&out).unwrap()
    }

    #[test]
    fn audio_is_little_endian_base64_with_its_rate() {
        let mut speech = Speech::empty();
        let mut frames = [0i16; HOP_FRAMES];
        frames[0] = 1;
        frames[1] = -2;
        assert!(speech.push(&Hop { at: Time::ZERO, frames }));
        let json = json_of(&Message::Audio(Box::new(speech)));
        let audio = &json["realtimeInput"]["audio"];
        assert_eq!(audio["mimeType"], "audio/pcm;rate=16000");
        let bytes = STANDARD.decode(audio["data"].as_str().unwrap()).unwrap();
        assert_eq!(bytes.len(), 2 * HOP_FRAMES);
        assert_eq!(&bytes[..4], &[1, 0, 0xfe, 0xff]);
    }

    #[test]
    fn a_response_is_always_an_object() {
        assert_eq!(response_of(&Ok(json!([1]))), json!({"output": [1]}));
        assert_eq!(response_of(&Err("no".into())), json!({"error": "no"}));
    }
}
