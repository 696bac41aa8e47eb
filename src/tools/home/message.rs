//! The words of Home Assistant's WebSocket API (developers.home-assistant.io, "WebSocket API").
//!
//! `subscribe_entities` stands not there; it is what Home Assistant's own pages use (`home-assistant-js-websocket`,
//! entities.ts): one subscription that gives the states of named entities, and their changes in short form.

use serde_json::{Map, Value, json};

/// What Home Assistant says, as far as we want to know it.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// It wants the token.
    AuthRequired,
    /// The token is right.
    AuthOk,
    /// The token is not right.
    AuthInvalid,
    /// What became of a command.
    Result {
        /// The command's number.
        id: u64,
        /// Its result, or what is said against it.
        outcome: Result<Value, Refusal>,
    },
    /// News of a subscription.
    Event {
        /// The number of the command that subscribed.
        id: u64,
        /// What happened.
        event: Value,
    },
    /// The answer to a ping, or anything else that shows life.
    Other,
}

/// Why Home Assistant does not do a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// A word such as `not_found`.
    pub code: String,
    /// A sentence.
    pub message: String,
}

/// Reads a message.
///
/// # Errors
/// The end of a sentence, where it is none of the protocol's.
pub fn parse(text: &str) -> Result<Heard, String> {
    let mut message: Value = serde_json::from_str(text).map_err(|_| "sends what is no JSON".to_string())?;
    let id = message["id"].as_u64();
    Ok(match (message["type"].as_str(), id) {
        (Some("auth_required"), _) => Heard::AuthRequired,
        (Some("auth_ok"), _) => Heard::AuthOk,
        (Some("auth_invalid"), _) => Heard::AuthInvalid,
        (Some("result"), Some(id)) => {
            let outcome = if message["success"] == true {
                Ok(message["result"].take())
            } else {
                let text = |key: &str| message["error"][key].as_str().unwrap_or_default().to_string();
                Err(Refusal { code: text("code"), message: text("message") })
            };
            Heard::Result { id, outcome }
        }
        (Some("event"), Some(id)) => Heard::Event { id, event: message["event"].take() },
        (Some(_), _) => Heard::Other,
        (None, _) => return Err("sends messages that are none of its WebSocket API".into()),
    })
}

/// Shows the token.
pub fn auth(token: &str) -> String {
    json!({"type": "auth", "access_token": token}).to_string()
}

/// Asks for the states of entities and their changes.
pub fn subscribe<'a>(id: u64, entities: impl Iterator<Item = &'a str>) -> String {
    json!({"id": id, "type": "subscribe_entities", "entity_ids": entities.collect::<Vec<_>>()}).to_string()
}

/// Calls a service for one entity.
pub fn call(id: u64, (domain, service): (&str, &str), entity: &str, data: &Map<String, Value>) -> String {
    let target = json!({"entity_id": entity});
    let mut message = json!({"id": id, "type": "call_service", "domain": domain, "service": service, "target": target});
    if !data.is_empty() {
        message["service_data"] = Value::Object(data.clone());
    }
    message.to_string()
}

/// Asks whether it lives.
pub fn ping(id: u64) -> String {
    json!({"id": id, "type": "ping"}).to_string()
}
