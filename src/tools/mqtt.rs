//! The action `mqtt`: what is published, where a state is looked for, and what the model is told.

pub mod command;
pub mod presence;
pub mod states;
pub mod wire;

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::config::agent::action::mqtt::{Expect, MqttAction, Payload, Publication, StateOf};
use crate::config::agent::mqtt::topic as check_topic;
use crate::config::agent::template::{Piece, Template};

/// Bytes of a message that is published: what a device understands is a tenth of it.
pub const PAYLOAD_BYTES_MAX: usize = 16 * 1024;
/// Characters of an argument in a topic; rooms have shorter names.
const LEVEL_CHARS_MAX: usize = 64;

/// What a call asks of the broker.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// Publish.
    Publish {
        /// What.
        message: Message,
        /// What is waited for afterwards.
        wait: Option<Wait>,
        /// How long for an answer at most.
        within: Duration,
    },
    /// Tell the last state.
    Read(StateAt),
}

impl Request {
    /// What would be done, for a rehearsal.
    pub fn describe(&self) -> String {
        match self {
            Request::Read(at) => format!("tell the last state of MQTT topic `{}`", at.topic),
            Request::Publish { message, wait, .. } => {
                let wait = wait.as_ref().map(|wait| format!(" and wait for what `{}` says", wait.at.topic));
                let says = String::from_utf8_lossy(&message.payload).chars().take(80).collect::<String>();
                format!("publish `{says}` on MQTT topic `{}`{}", message.topic, wait.unwrap_or_default())
            }
        }
    }
}

/// A message to the broker.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Where to.
    pub topic: String,
    /// What.
    pub payload: Vec<u8>,
    /// Whether the broker confirms it (quality of service 1).
    pub is_confirmed: bool,
    /// Whether the broker keeps it.
    pub is_retained: bool,
    /// How long the broker may hold it for a receiver that is away, s.
    pub expire_s: Option<u32>,
}

/// Where a state is.
#[derive(Clone, Debug, PartialEq)]
pub struct StateAt {
    /// The topic.
    pub topic: String,
    /// Where in the message.
    pub pointer: Option<String>,
}

/// A state that is waited for.
#[derive(Clone, Debug, PartialEq)]
pub struct Wait {
    /// Where it comes.
    pub at: StateAt,
    /// What it must become, as text.
    pub wanted: Option<String>,
}

/// What a call with `args` asks of the broker.
///
/// # Errors
/// A sentence for the model: an argument that fits in no topic.
pub fn request(action: &MqttAction, args: &Map<String, Value>) -> Result<Request, String> {
    Ok(match action {
        MqttAction::Read(state) => Request::Read(state_at(state, args)?),
        MqttAction::Publish(publication) => published(publication, None, args)?,
        MqttAction::PublishAndWait { publication, state, expect } => {
            let at = state_at(state, args)?;
            let wanted = match expect {
                None => None,
                Some(Expect::Text(template)) => Some(text(template, args)?),
                Some(Expect::Payload) => Some(String::from_utf8_lossy(&payload(&publication.payload, args)?).into()),
            };
            published(publication, Some(Wait { at, wanted }), args)?
        }
    })
}

/// The topics with wildcards that an action must hear from the start.
pub fn filter(action: &MqttAction) -> Option<String> {
    let state = match action {
        MqttAction::Publish(_) => return None,
        MqttAction::Read(state) | MqttAction::PublishAndWait { state, .. } => state,
    };
    // A NUL stands in no topic: the reader refuses it.
    let marked = state.topic.fill(|_| Ok::<_, ()>("\0".to_string())).unwrap_or_default();
    let levels = marked.split('/').map(|level| if level.contains('\0') { "+" } else { level });
    Some(levels.collect::<Vec<_>>().join("/"))
}

/// What the model is told when the broker has it.
pub fn done(message: &Message) -> Value {
    let how = if message.is_confirmed { "confirmed_by_broker" } else { "sent" };
    json!({ "published_to": message.topic, how: true })
}

fn published(publication: &Publication, wait: Option<Wait>, args: &Map<String, Value>) -> Result<Request, String> {
    let payload = payload(&publication.payload, args)?;
    if payload.len() > PAYLOAD_BYTES_MAX {
        return Err(format!("the message has {} bytes; at most {PAYLOAD_BYTES_MAX} are sent: say less", payload.len()));
    }
    let message = Message {
        topic: topic(&publication.topic, args)?,
        payload,
        is_confirmed: publication.is_confirmed,
        is_retained: publication.is_retained,
        expire_s: publication.expire_s,
    };
    Ok(Request::Publish { message, wait, within: Duration::from_millis(publication.wait_ms.into()) })
}

fn state_at(state: &StateOf, args: &Map<String, Value>) -> Result<StateAt, String> {
    Ok(StateAt { topic: topic(&state.topic, args)?, pointer: state.pointer.clone() })
}

fn topic(template: &Template, args: &Map<String, Value>) -> Result<String, String> {
    let topic = template.fill(|piece| {
        let Piece::Argument(name) = piece else { return Ok(String::new()) };
        let level = plain(name, args)?;
        let is_level = !level.is_empty()
            && level.chars().count() <= LEVEL_CHARS_MAX
            && !level.chars().any(|letter| matches!(letter, '+' | '#' | '/') || letter.is_control());
        if is_level {
            return Ok(level);
        }
        Err(format!(
            "argument `{name}` becomes part of a topic: it must be 1 to {LEVEL_CHARS_MAX} characters without `+`, `#` and `/`"
        ))
    })?;
    check_topic(&topic).map_err(|why| format!("the topic `{topic}` {why}: give other arguments"))?;
    Ok(topic)
}

fn payload(payload: &Payload, args: &Map<String, Value>) -> Result<Vec<u8>, String> {
    Ok(match payload {
        Payload::Text(template) => text(template, args)?.into_bytes(),
        Payload::Switch { argument, on, off } => match args.get(argument) {
            Some(Value::Bool(true)) => on.clone().into_bytes(),
            Some(Value::Bool(false)) => off.clone().into_bytes(),
            _ => return Err(format!("argument `{argument}` must be true or false")),
        },
        Payload::Json(value) => filled(value, args)?.to_string().into_bytes(),
    })
}

/// The JSON with its places filled; a text that is one place becomes the argument as it is.
fn filled(value: &Value, args: &Map<String, Value>) -> Result<Value, String> {
    Ok(match value {
        Value::String(pattern) => {
            let template = Template::parse(pattern).map_err(|why| format!("the configuration's `{pattern}` {why}"))?;
            match template.pieces() {
                [Piece::Argument(name)] => args.get(name).cloned().ok_or_else(|| missing(name))?,
                _ => Value::String(text(&template, args)?),
            }
        }
        Value::Array(items) => items.iter().map(|item| filled(item, args)).collect::<Result<_, _>>()?,
        Value::Object(members) => {
            let members = members.iter().map(|(name, member)| Ok((name.clone(), filled(member, args)?)));
            Value::Object(members.collect::<Result<_, String>>()?)
        }
        other => other.clone(),
    })
}

fn text(template: &Template, args: &Map<String, Value>) -> Result<String, String> {
    template.fill(|piece| match piece {
        Piece::Argument(name) => plain(name, args),
        _ => Ok(String::new()), // secrets have no place here: the reader refuses them
    })
}

/// An argument as text.
fn plain(name: &str, args: &Map<String, Value>) -> Result<String, String> {
    match args.get(name) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(value @ (Value::Number(_) | Value::Bool(_))) => Ok(value.to_string()),
        Some(Value::Array(_) | Value::Object(_)) => Err(format!("argument `{name}` must be one text or number")),
        Some(Value::Null) | None => Err(missing(name)),
    }
}

fn missing(name: &str) -> String {
    format!("argument `{name}` is missing")
}

#[cfg(test)]
mod tests;
