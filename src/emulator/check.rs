//! The door: one client message in, checked against the table of fields; a typed input or a refusal out.
//!
//! Field names may be camelCase or snake_case; values come out under their camelCase names, without nulls.
//! What depends on the state of the connection (windows, calls) is checked by the machine, not here.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value};

use super::fields::{INVALID, MESSAGE, MESSAGE_ALPHA, Shape, Type};
use super::sight::Picture;
use super::{Api, Refusal};
use crate::units::Hertz;

/// Rates that are taken in `audio/pcm;rate=…`, Hz: below is no speech, above is no microphone.
const RATES_HZ: std::ops::RangeInclusive<u32> = 8_000..=48_000;

/// Longest text of a value that is repeated in a reason.
const QUOTED_MAX: usize = 32;

/// One client message that has passed the door.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Input {
    /// `setup`, not yet looked into.
    Setup(Value),
    /// `clientContent`.
    Content {
        /// The texts in it, joined.
        text: String,
        /// How many turns they are.
        turns: usize,
        /// Whether an answer is wanted.
        turn_complete: bool,
    },
    /// `realtimeInput.audio`: `[frames, 1 channel] S16 @ rate`.
    Audio {
        /// Declared rate.
        rate: Hertz,
        /// The frames.
        frames: Vec<i16>,
    },
    /// `realtimeInput.video`: the bytes of the picture.
    Still(Picture),
    /// `realtimeInput.text`.
    Text(String),
    /// `realtimeInput.activityStart`.
    ActivityStart,
    /// `realtimeInput.activityEnd`.
    ActivityEnd,
    /// `realtimeInput.audioStreamEnd`.
    AudioStreamEnd,
    /// `toolResponse`: each function response.
    ToolResponse(Vec<Answer>),
}

/// One function response.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Answer {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) response: Value,
    pub(super) scheduling: Option<String>,
    /// What the model is shown with it.
    pub(super) pictures: Vec<Picture>,
}

/// Reads one client message.
pub(super) fn read(bytes: &[u8], api: Api) -> Result<Input, Refusal> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_| Refusal::new(1007, "Invalid JSON payload received. Not UTF-8.", "messages are JSON text"))?;
    let value: Value = serde_json::from_str(text).map_err(|error| {
        Refusal::new(1007, "Invalid JSON payload received. Unexpected token.", format!("this is not JSON: {error}"))
    })?;
    let shape = match api {
        Api::V1beta | Api::V1 => &MESSAGE,
        Api::V1alpha => &MESSAGE_ALPHA,
    };
    let mut fields = object(&value, shape, "")?;
    if fields.len() != 1 {
        let kinds: Vec<_> = fields.keys().cloned().collect();
        let why = format!("a message has exactly one kind, this one has {}: {}", kinds.len(), kinds.join(", "));
        return Err(Refusal::new(1007, INVALID, why));
    }
    if let Some(setup) = fields.remove("setup") {
        return Ok(Input::Setup(setup));
    }
    if let Some(content) = fields.remove("clientContent") {
        return read_content(&content);
    }
    if let Some(answers) = fields.remove("toolResponse") {
        return read_answers(&answers);
    }
    read_realtime(fields.get("realtimeInput").unwrap_or(&Value::Null))
}

/// `value` as the object `shape` says, under canonical names; `path` is where it stands (`setup.tools[0]`).
fn object(value: &Value, shape: &Shape, path: &str) -> Result<Map<String, Value>, Refusal> {
    let Value::Object(given) = value else { return Err(wrong_type(path, "TYPE_MESSAGE", value)) };
    let mut checked = Map::new();
    for (name, value) in given {
        let known = shape.0.iter().find(|(known, _)| known == name || snake(known) == *name);
        let Some((canonical, kind)) = known else { return Err(unknown_name(name, path)) };
        if value.is_null() {
            continue; // ProtoJSON: null means absent
        }
        let place = if path.is_empty() { snake(canonical) } else { format!("{path}.{}", snake(canonical)) };
        if checked.insert((*canonical).to_owned(), typed(value, kind, &place)?).is_some() {
            return Err(Refusal::new(1007, INVALID, format!("{place} is given twice, under both spellings")));
        }
    }
    Ok(checked)
}

fn typed(value: &Value, kind: &Type, place: &str) -> Result<Value, Refusal> {
    let fits = match kind {
        Type::Object(shape) => return object(value, shape, place).map(Value::Object),
        Type::List(inner) => return list(value, inner, place),
        Type::Map(inner) => return map(value, inner, place),
        Type::Barred(reason, why) => return Err(Refusal::new(1007, *reason, format!("{place}: {why}"))),
        Type::Text => (value.is_string(), "TYPE_STRING"),
        Type::Flag => (value.is_boolean(), "TYPE_BOOL"),
        Type::Number => (value.is_number(), "TYPE_FLOAT"),
        Type::Integer => (whole(value).is_some_and(|n| i32::try_from(n).is_ok()), "TYPE_INT32"),
        Type::Integer64 => (whole(value).is_some(), "TYPE_INT64"),
        Type::Bytes => (value.as_str().is_some_and(|text| decode(text).is_some()), "TYPE_BYTES"),
        Type::Struct => (value.is_object(), "TYPE_MESSAGE"),
        Type::Any => (true, ""),
        Type::Word(words) => {
            return match value.as_str() {
                Some(word) if words.contains(&word) => Ok(value.clone()),
                _ => Err(Refusal::new(1007, INVALID, format!("{place} is {value}; it may be {}", words.join(", ")))),
            };
        }
    };
    match fits {
        (true, _) => Ok(value.clone()),
        (false, name) => Err(wrong_type(place, name, value)),
    }
}

fn list(value: &Value, inner: &Type, place: &str) -> Result<Value, Refusal> {
    let Value::Array(items) = value else { return Err(wrong_type(place, "list", value)) };
    let checked = items.iter().enumerate().map(|(index, item)| typed(item, inner, &format!("{place}[{index}]")));
    checked.collect::<Result<Vec<_>, _>>().map(Value::Array)
}

fn map(value: &Value, inner: &Type, place: &str) -> Result<Value, Refusal> {
    let Value::Object(entries) = value else { return Err(wrong_type(place, "map", value)) };
    let mut checked = Map::new();
    for (key, value) in entries {
        checked.insert(key.clone(), typed(value, inner, &format!("{place}[{key}]"))?);
    }
    Ok(Value::Object(checked))
}

fn unknown_name(name: &str, path: &str) -> Refusal {
    let name = cut(name, QUOTED_MAX);
    let place = if path.is_empty() { String::new() } else { format!(" at '{path}'") };
    let reason = format!("Invalid JSON payload received. Unknown name \"{name}\"{place}: Cannot find field.");
    Refusal::new(1007, reason, "this API version does not know that field: leave it out")
}

fn wrong_type(place: &str, kind: &str, value: &Value) -> Refusal {
    let reason = format!("Invalid value at '{place}' ({kind}), {}", cut(&value.to_string(), QUOTED_MAX));
    Refusal::new(1007, reason, "the field has another type")
}

/// A whole number, written as a number or as a string.
fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => {
            number.as_i64().or_else(|| number.as_f64().filter(|n| n.fract() == 0.0 && n.abs() < 9e15).map(|n| n as i64))
        }
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// `someName` as `some_name`.
fn snake(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}

/// At most `max` bytes of `text`, cut between characters.
pub(super) fn cut(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}

/// Base64 of either alphabet, padded or not.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    const EITHER: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    // The common alphabet first: looking through every character for the other one costs more than a failure.
    let decode = |alphabet| GeneralPurpose::new(alphabet, EITHER).decode(text);
    decode(&alphabet::STANDARD).or_else(|_| decode(&alphabet::URL_SAFE)).ok()
}

fn read_content(content: &Value) -> Result<Input, Refusal> {
    let mut texts = Vec::new();
    let mut turns = 0;
    for turn in content["turns"].as_array().into_iter().flatten() {
        turns += 1;
        match turn["role"].as_str() {
            Some("user" | "model") => {}
            Some(role) => {
                let why = format!("role \"{role}\" in clientContent: only user and model exist here");
                return Err(Refusal::new(1007, "Please use a valid role: user, model.", why));
            }
            None => return Err(Refusal::new(1007, INVALID, "a turn in clientContent has no role")),
        }
        let parts = turn["parts"].as_array().map_or(&[][..], Vec::as_slice);
        if parts.is_empty() {
            return Err(Refusal::new(1007, INVALID, "a turn in clientContent has no parts"));
        }
        texts.extend(parts.iter().filter_map(|part| part["text"].as_str().map(str::to_owned)));
    }
    Ok(Input::Content { text: texts.join(" "), turns, turn_complete: content["turnComplete"] == true })
}

fn read_answers(response: &Value) -> Result<Input, Refusal> {
    let answers = response["functionResponses"].as_array().map_or(&[][..], Vec::as_slice);
    if answers.is_empty() {
        return Err(Refusal::new(1007, INVALID, "toolResponse holds no functionResponses"));
    }
    let read = |answer: &Value| {
        let needed = |key: &str| match answer[key].as_str() {
            Some(text) if !text.is_empty() => Ok(text.to_owned()),
            _ => Err(Refusal::new(1007, INVALID, format!("a function response has no {key}: copy it from the call"))),
        };
        if answer["response"].is_null() {
            let why = "a function response has no `response`: an object with `output` or `error`";
            return Err(Refusal::new(1007, INVALID, why));
        }
        Ok(Answer {
            id: needed("id")?,
            name: needed("name")?,
            response: answer["response"].clone(),
            scheduling: answer["scheduling"].as_str().map(str::to_owned),
            pictures: answer["parts"].as_array().into_iter().flatten().map(read_part).collect::<Result<_, _>>()?,
        })
    };
    answers.iter().map(read).collect::<Result<_, _>>().map(Input::ToolResponse)
}

/// A picture in a function's answer. A document closes the session (live-protocol.md 2.6).
fn read_part(part: &Value) -> Result<Picture, Refusal> {
    match read_still(&part["inlineData"])? {
        Input::Still(picture) => Ok(picture),
        _ => Err(Refusal::new(1007, INVALID, "parts hold inlineData")),
    }
}

fn read_realtime(input: &Value) -> Result<Input, Refusal> {
    let fields = input.as_object().filter(|fields| fields.len() == 1).ok_or_else(|| {
        Refusal::new(1007, INVALID, "realtimeInput holds exactly one of audio, video, text, activityStart, …")
    })?;
    let Some((kind, value)) = fields.iter().next() else {
        return Err(Refusal::new(1007, INVALID, "realtimeInput is empty"));
    };
    match kind.as_str() {
        "audio" => read_audio(value),
        "video" => read_still(value),
        "text" => Ok(Input::Text(value.as_str().unwrap_or_default().to_owned())),
        "activityStart" => Ok(Input::ActivityStart),
        "activityEnd" => Ok(Input::ActivityEnd),
        _ if value == true => Ok(Input::AudioStreamEnd),
        _ => Err(Refusal::new(1007, INVALID, "audioStreamEnd is true or absent")),
    }
}

fn read_audio(blob: &Value) -> Result<Input, Refusal> {
    let mime = blob["mimeType"].as_str().unwrap_or_default();
    let rate = audio_rate(mime)?;
    let bytes = decode(blob["data"].as_str().unwrap_or_default()).unwrap_or_default();
    if bytes.is_empty() {
        return Err(Refusal::new(1007, INVALID, "realtimeInput.audio holds no data"));
    }
    let (pairs, odd) = bytes.as_chunks::<2>();
    if !odd.is_empty() {
        let why = format!("{} bytes of audio are not a whole number of 16-bit samples", bytes.len());
        return Err(Refusal::new(1007, INVALID, why));
    }
    Ok(Input::Audio { rate, frames: pairs.iter().map(|pair| i16::from_le_bytes(*pair)).collect() })
}

/// The rate in `audio/pcm;rate=16000`.
fn audio_rate(mime: &str) -> Result<Hertz, Refusal> {
    let (kind, parameters) = mime.split_once(';').unwrap_or((mime, ""));
    if !kind.trim().eq_ignore_ascii_case("audio/pcm") {
        let reason = format!("Mime type '{}' is not supported.", cut(mime, QUOTED_MAX));
        return Err(Refusal::new(1007, reason, "audio is audio/pcm;rate=16000"));
    }
    let rate = parameters.split(';').find_map(|parameter| parameter.trim().strip_prefix("rate="));
    match rate.and_then(|rate| rate.parse().ok()).filter(|rate| RATES_HZ.contains(rate)) {
        Some(rate) => Ok(Hertz(rate)),
        None => {
            let why = format!("MIME type {mime:?} has no usable rate: say audio/pcm;rate=16000");
            Err(Refusal::new(1007, INVALID, why))
        }
    }
}

fn read_still(blob: &Value) -> Result<Input, Refusal> {
    let mime = blob["mimeType"].as_str().unwrap_or_default();
    if !matches!(mime, "image/jpeg" | "image/png" | "image/webp") {
        let reason = format!("Mime type '{}' is not supported.", cut(mime, QUOTED_MAX));
        return Err(Refusal::new(1007, reason, "stills are image/jpeg, image/png or image/webp"));
    }
    let bytes = decode(blob["data"].as_str().unwrap_or_default()).unwrap_or_default();
    if bytes.is_empty() {
        return Err(Refusal::new(1007, INVALID, "a picture holds no data"));
    }
    Ok(Input::Still(Picture::of(&bytes)))
}
