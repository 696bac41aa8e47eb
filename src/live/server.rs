//! Server messages: raw bytes in, all fields of one event out.
//!
//! The service mixes: one event may carry several fields and several parts, audio may be split in the middle
//! of a sample, new fields appear monthly (live-protocol.md 3). So the reader walks the JSON by hand: what it
//! knows it takes, what it does not know it names, and a field of an unexpected type costs that field only.

use std::time::Duration;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value};

use super::usage::{self, Usage};
use crate::audio::{Chunk, DOWNLINK_RATE};
use crate::units::{CallId, Hertz};

/// Calls taken from one event; more are not a conversation any more.
pub const CALLS_MAX: usize = 32;
/// Bytes of text taken from one transcription piece.
pub const TEXT_MAX: usize = 16 * 1024;
/// Bytes of a call's id; it goes back as it came, so a longer one is not cut but no call.
pub const ID_MAX: usize = 256;
/// Characters taken from a function's name; the service takes 128 at most.
pub const NAME_CHARS_MAX: usize = 128;
/// Bytes of a resumption handle; it goes back as it came, so a longer one is none.
pub const HANDLE_MAX: usize = 4096;
/// Bytes of an error's text: a sentence for the owner's log.
pub const ERROR_MAX: usize = 512;
/// Bytes of a frame that is no message that are shown: enough for what it is, too few for speech in it.
pub const BEGIN_MAX: usize = 40;
/// Unknown kinds named per event.
pub const UNKNOWN_MAX: usize = 8;

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// One message from the server: any number of its fields may be present at once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Message {
    /// `setupComplete`.
    pub setup_complete: bool,
    /// `serverContent.inputTranscription.text`, a piece to append.
    pub user_text: Option<String>,
    /// `serverContent.outputTranscription.text`, a piece to append.
    pub model_text: Option<String>,
    /// `serverContent.modelTurn.parts[].inlineData` that is audio, in order.
    pub audio: Vec<Chunk>,
    /// `serverContent.interrupted`.
    pub interrupted: bool,
    /// `serverContent.generationComplete`.
    pub generation_complete: bool,
    /// `serverContent.turnComplete`.
    pub turn_complete: bool,
    /// `serverContent.turnCompleteReason`.
    pub turn_reason: Option<String>,
    /// `interactionStatus`, in `serverContent` or beside it.
    pub interaction: Option<Interaction>,
    /// `toolCall.functionCalls`.
    pub calls: Vec<Call>,
    /// `toolCallCancellation.ids`.
    pub cancelled: Vec<CallId>,
    /// `goAway.timeLeft`.
    pub go_away: Option<Duration>,
    /// `sessionResumptionUpdate` with a handle that may be used.
    pub handle: Option<String>,
    /// `usageMetadata`; none where it counts nothing.
    pub usage: Option<Usage>,
    /// `error` in-band: fatal for the connection.
    pub error: Option<String>,
    /// Names of kinds this reader does not know, and of media it cannot play, for the trace.
    pub unknown: Vec<String>,
}

/// A tool call of the model.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The server's id.
    pub id: CallId,
    /// The function's name.
    pub name: String,
    /// The arguments: a JSON object (empty where the server sent none).
    pub args: Map<String, Value>,
}

/// `interactionStatus` of extended-thinking models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interaction {
    /// More is coming, whatever `turnComplete` says.
    InProgress,
    /// Finished.
    Idle,
}

impl Message {
    /// Whether it holds anything of a model turn's content.
    pub fn has_content(&self) -> bool {
        !self.audio.is_empty() || self.model_text.is_some() || !self.calls.is_empty()
    }
}

/// A frame that is not a message; the text says how it begins.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server sent something that is not a message ({why}): {begin:?}")]
pub struct Garbage {
    /// What was expected.
    pub why: &'static str,
    /// The first bytes, printable.
    pub begin: String,
}

/// Reads messages of one connection; remembers half a sample between two of them.
#[derive(Debug, Default)]
pub struct Reader {
    odd: Option<u8>,
}

impl Reader {
    /// Reads one WebSocket message, text or binary alike.
    pub fn read(&mut self, bytes: &[u8]) -> Result<Message, Garbage> {
        let garbage =
            |why| Garbage { why, begin: String::from_utf8_lossy(&bytes[..bytes.len().min(BEGIN_MAX)]).into_owned() };
        let value: Value = serde_json::from_slice(bytes).map_err(|_| garbage("not JSON"))?;
        let Value::Object(fields) = value else { return Err(garbage("not a JSON object")) };
        let mut message = Message::default();
        for (name, value) in &fields {
            self.read_field(&mut message, name, value);
        }
        if message.interrupted || message.generation_complete || message.turn_complete {
            // A sample is never split across turns; half of one is the rest of something cut off.
            self.odd = None;
        }
        Ok(message)
    }

    fn read_field(&mut self, message: &mut Message, name: &str, value: &Value) {
        match name {
            "setupComplete" => message.setup_complete = true,
            "serverContent" => self.read_content(message, value),
            "toolCall" => message.calls = value["functionCalls"].as_array().map_or_else(Vec::new, |c| calls(c)),
            "toolCallCancellation" => message.cancelled = ids(&value["ids"]),
            "goAway" => message.go_away = Some(duration(&value["timeLeft"]).unwrap_or(Duration::ZERO)),
            "sessionResumptionUpdate" => message.handle = handle(value),
            "usageMetadata" => message.usage = usage::read(value),
            "interactionStatus" => message.interaction = interaction(value),
            "error" => message.error = Some(clip(&value.to_string(), ERROR_MAX)),
            "voiceActivity" | "voiceActivityDetectionSignal" | "speechState" => {}
            other => name_unknown(message, other),
        }
    }

    fn read_content(&mut self, message: &mut Message, content: &Value) {
        let flag = |name: &str| content[name].as_bool().unwrap_or(false);
        message.interrupted = flag("interrupted");
        message.generation_complete = flag("generationComplete");
        message.turn_complete = flag("turnComplete");
        message.turn_reason = content["turnCompleteReason"].as_str().map(|reason| clip(reason, ERROR_MAX));
        message.user_text = text(&content["inputTranscription"]);
        message.model_text = text(&content["outputTranscription"]);
        if let Some(status) = interaction(&content["interactionStatus"]) {
            message.interaction = Some(status);
        }
        for part in content["modelTurn"]["parts"].as_array().into_iter().flatten() {
            // Text parts are thoughts or captions of models that this program does not ask for text.
            let data = &part["inlineData"];
            if let Some(chunk) = self.read_audio(data) {
                message.audio.push(chunk);
            } else if let Some(mime) = data["mimeType"].as_str().filter(|mime| rate_of(mime).is_none()) {
                name_unknown(message, mime);
            }
        }
    }

    fn read_audio(&mut self, data: &Value) -> Option<Chunk> {
        let rate = rate_of(data["mimeType"].as_str()?)?;
        let mut bytes = decode(data["data"].as_str()?)?;
        if let Some(first) = self.odd.take() {
            bytes.insert(0, first);
        }
        if bytes.len() % 2 == 1 {
            self.odd = bytes.pop();
        }
        let frames: Vec<i16> = bytes.chunks_exact(2).map(|b| i16::from_le_bytes([b[0], b[1]])).collect();
        (!frames.is_empty()).then_some(Chunk { rate, frames })
    }
}

fn name_unknown(message: &mut Message, kind: &str) {
    if message.unknown.len() < UNKNOWN_MAX {
        message.unknown.push(kind.chars().take(64).collect());
    }
}

/// `audio/pcm;rate=24000` → 24000; the service's usual rate where none is named; none for what is not PCM.
fn rate_of(mime: &str) -> Option<Hertz> {
    let mut parts = mime.split(';').map(str::trim);
    let kind = parts.next()?;
    if !kind.eq_ignore_ascii_case("audio/pcm") && !kind.eq_ignore_ascii_case("audio/l16") {
        return None;
    }
    let named = parts.find_map(|p| p.strip_prefix("rate=")).map(|r| r.trim().parse::<u32>());
    match named {
        None => Some(DOWNLINK_RATE),
        // Below and above these no loudspeaker is meant, and the resampler's tables would grow without bound.
        Some(Ok(rate)) if (8_000..=96_000).contains(&rate) => Some(Hertz(rate)),
        Some(_) => None,
    }
}

/// Both alphabets, padded or not: one official client writes one, the other the other.
fn decode(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text)).ok()
}

fn calls(list: &[Value]) -> Vec<Call> {
    let call = |value: &Value| {
        let name = value["name"].as_str()?.chars().take(NAME_CHARS_MAX).collect();
        // Without an id no answer can be told apart; the Gemini API always sends one.
        let id = call_id(&value["id"])?;
        let args = value["args"].as_object().cloned().unwrap_or_else(Map::new);
        Some(Call { id, name, args })
    };
    list.iter().take(CALLS_MAX).filter_map(call).collect()
}

fn ids(value: &Value) -> Vec<CallId> {
    value.as_array().into_iter().flatten().take(CALLS_MAX).filter_map(call_id).collect()
}

fn call_id(value: &Value) -> Option<CallId> {
    value.as_str().filter(|id| id.len() <= ID_MAX).map(CallId::from)
}

fn handle(update: &Value) -> Option<String> {
    let resumable = update["resumable"].as_bool().unwrap_or(false);
    update["newHandle"].as_str().filter(|h| resumable && !h.is_empty() && h.len() <= HANDLE_MAX).map(String::from)
}

fn interaction(value: &Value) -> Option<Interaction> {
    match value.as_str()? {
        "IN_PROGRESS" => Some(Interaction::InProgress),
        "IDLE" | "REQUIRES_ACTION" => Some(Interaction::Idle),
        _ => None,
    }
}

fn text(transcription: &Value) -> Option<String> {
    transcription["text"].as_str().filter(|t| !t.is_empty()).map(|t| clip(t, TEXT_MAX))
}

fn clip(text: &str, bytes_max: usize) -> String {
    text[..text.floor_char_boundary(bytes_max)].to_string()
}

/// Protobuf's JSON writes a duration as seconds with an `s`: `50s`, `0.440s`.
fn duration(value: &Value) -> Option<Duration> {
    let seconds: f64 = value.as_str()?.strip_suffix('s')?.parse().ok()?;
    (0.0..=86_400.0).contains(&seconds).then(|| Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn read(value: Value) -> Message {
        Reader::default().read(value.to_string().as_bytes()).unwrap()
    }

    fn audio(bytes: &[u8]) -> Value {
        let data = base64::engine::general_purpose::STANDARD.encode(bytes);
        json!({"serverContent": {"modelTurn": {"parts": [{"inlineData": {"mimeType": "audio/pcm;rate=24000", "data": data}}]}}})
    }

    #[test]
    fn several_fields_and_parts_of_one_event_are_all_read() {
        let part = |data: &str| json!({"inlineData": {"mimeType": "audio/pcm;rate=24000", "data": data}});
        let message = read(json!({
            "serverContent": {
                "modelTurn": {"parts": [part("AQA="), {"text": "thinking", "thought": true}, part("AgA=")]},
                "inputTranscription": {"text": "hello"}, "outputTranscription": {"text": "hi"},
                "generationComplete": true, "turnComplete": true, "turnCompleteReason": "NEED_MORE_INPUT"},
            "toolCall": {"functionCalls": [{"id": "a", "name": "f", "args": {"x": 1}}, {"id": "b", "name": "g"}]},
            "usageMetadata": {"totalTokenCount": "443"}}));
        assert_eq!(message.audio.iter().map(|c| c.frames[0]).collect::<Vec<_>>(), [1, 2]);
        assert_eq!((message.user_text.as_deref(), message.model_text.as_deref()), (Some("hello"), Some("hi")));
        assert!(message.generation_complete && message.turn_complete && !message.interrupted);
        assert_eq!(message.turn_reason.as_deref(), Some("NEED_MORE_INPUT"));
        assert_eq!(message.calls.len(), 2);
        assert!(message.calls[1].args.is_empty());
        assert_eq!(message.usage.unwrap().total, 443);
    }

    #[test]
    fn a_sample_split_between_messages_is_put_together() {
        let mut reader = Reader::default();
        let mut heard = vec![];
        for bytes in [&[1, 0, 2][..], &[0], &[3, 0]] {
            for chunk in reader.read(audio(bytes).to_string().as_bytes()).unwrap().audio {
                heard.extend(chunk.frames);
            }
        }
        assert_eq!(heard, [1, 2, 3]);
    }

    #[test]
    fn half_a_sample_does_not_survive_the_turn() {
        let mut reader = Reader::default();
        reader.read(audio(&[9]).to_string().as_bytes()).unwrap();
        reader.read(br#"{"serverContent":{"interrupted":true}}"#).unwrap();
        assert_eq!(reader.read(audio(&[1, 0]).to_string().as_bytes()).unwrap().audio[0].frames, [1]);
    }

    #[test]
    fn the_rate_comes_from_the_mime_type() {
        for (mime, rate) in [
            ("audio/pcm;rate=16000", Some(16_000)),
            ("audio/pcm; rate=48000", Some(48_000)),
            ("audio/pcm", Some(24_000)),
            ("audio/pcm;rate=0", None),
            ("audio/pcm;rate=many", None),
            ("image/png", None),
        ] {
            assert_eq!(rate_of(mime).map(|r| r.0), rate, "{mime}");
        }
    }

    #[test]
    fn empty_events_wrong_types_and_unknown_kinds_do_no_harm() {
        assert_eq!(read(json!({"serverContent": {}, "usageMetadata": {}})), Message::default());
        assert_eq!(read(json!({"serverContent": {"turnComplete": "yes", "modelTurn": 5}})), Message::default());
        assert_eq!(read(json!({"somethingNew": {}})).unknown, ["somethingNew"]);
        assert_eq!(read(json!({"toolCall": {"functionCalls": [{"name": "no_id"}]}})).calls, []);
        assert!(Reader::default().read(b"\xff\xfe").is_err());
        assert!(Reader::default().read(b"[1]").is_err());
    }

    #[test]
    fn what_the_server_writes_is_bounded() {
        let long = "ä".repeat(TEXT_MAX);
        let message = read(json!({
            "serverContent": {"outputTranscription": {"text": long}, "turnCompleteReason": long},
            "toolCall": {"functionCalls": [{"id": long, "name": "f"}, {"id": "b", "name": long}]},
            "toolCallCancellation": {"ids": [long, "b"]}, "error": {"message": long}, long.clone(): 1}));
        assert_eq!(message.model_text.unwrap().len(), TEXT_MAX);
        assert!(message.turn_reason.unwrap().len() <= ERROR_MAX && message.error.unwrap().len() <= ERROR_MAX);
        assert_eq!(message.calls.len(), 1, "an id that cannot go back as it came is no call");
        assert_eq!((message.calls[0].name.chars().count(), message.cancelled.len()), (128, 1));
        assert_eq!(message.unknown[0].chars().count(), 64);
    }

    #[test]
    fn a_broken_message_shows_what_it_is_and_nothing_that_was_said() {
        for begin in [
            "{\"serverContent\":{\"outputTranscription\":{\"text\":\"",
            "{\"serverContent\":{\"inputTranscription\":{\"text\":\"",
        ] {
            let garbage = Reader::default().read(format!("{begin}my secret").as_bytes()).unwrap_err();
            assert!(
                garbage.begin.starts_with("{\"serverContent\"") && !garbage.to_string().contains("my"),
                "{garbage}"
            );
        }
    }

    #[test]
    fn sound_that_cannot_be_played_is_named() {
        let part = |mime: &str| json!({"inlineData": {"mimeType": mime, "data": "AAAA"}});
        let message = read(json!({"serverContent": {"modelTurn": {"parts": [part("audio/ogg"), part("audio/pcm")]}}}));
        assert_eq!((message.unknown, message.audio.len()), (vec!["audio/ogg".to_string()], 1));
    }

    #[test]
    fn durations_and_handles() {
        assert_eq!(read(json!({"goAway": {"timeLeft": "5.5s"}})).go_away, Some(Duration::from_millis(5500)));
        assert_eq!(read(json!({"goAway": {}})).go_away, Some(Duration::ZERO));
        let update = |u: Value| read(json!({ "sessionResumptionUpdate": u })).handle;
        assert_eq!(update(json!({"newHandle": "h", "resumable": true})).as_deref(), Some("h"));
        assert_eq!(update(json!({"newHandle": "h"})), None);
    }
}
